import type { GraphQLSchema } from 'graphql';
import { NOBODY } from '../access/principal.ts';
import { type ClientOperation, executedAnswer, type ToldError } from '../render/rendering.ts';
import type { GatewayReport } from '../schema/report.ts';
import { type OperationGateway, operationContext } from './operation-context.ts';

/** What an answer says, and what of it counts as a change. */
export interface StatusAnswer {
  readonly json: Buffer;
  readonly steady: string;
}

/** A report with all that changes although nothing has happened left out: how long, and how many messages. */
export function steadyReport(report: GatewayReport): GatewayReport {
  const { upstream, cluster } = report;
  return {
    ...report,
    uptimeSeconds: 0,
    cluster: cluster && { ...cluster, roundTripMs: null },
    upstream: {
      ...upstream,
      messages: 0,
      partialMessages: 0,
      duplicates: 0,
      droppedFrames: 0,
      sockets: upstream.sockets.map((socket) => ({ ...socket, lastMessageAtMs: null })),
    },
  };
}

/** What clients see of the gateway's own state: one selection, shared by all who have it. */
export class StatusView {
  readonly #schema: GraphQLSchema;
  readonly #gateway: OperationGateway;
  readonly #operation: ClientOperation;
  readonly #toldError: ToldError;
  /** What tells it from other selections. */
  readonly selection: string;
  #report: GatewayReport | undefined;
  /** Of the last report, to those who are no operators and to those who are. */
  #answers: [StatusAnswer?, StatusAnswer?] = [];

  constructor(
    schema: GraphQLSchema,
    gateway: OperationGateway,
    operation: ClientOperation,
    toldError: ToldError,
    selection: string,
  ) {
    this.selection = selection;
    this.#schema = schema;
    this.#gateway = gateway;
    this.#operation = operation;
    this.#toldError = toldError;
  }

  /** The answer for a report, made once for everybody who may see as much. */
  answer(report: GatewayReport, isOperator: boolean): StatusAnswer {
    if (report !== this.#report) {
      this.#report = report;
      this.#answers = [];
    }
    const place = isOperator ? 1 : 0;
    const known = this.#answers[place];
    if (known !== undefined) return known;
    const steady = this.#text(steadyReport(report), isOperator);
    const answer = { json: Buffer.from(this.#text(report, isOperator)), steady };
    this.#answers[place] = answer;
    return answer;
  }

  #text(report: GatewayReport, isOperator: boolean): string {
    const principal = { ...NOBODY, operator: isOperator };
    const asker = { who: () => principal, transport: 'http', requestId: 'status' } as const;
    const context = operationContext(this.#gateway, asker);
    return executedAnswer(this.#schema, this.#operation, context, report, this.#toldError);
  }
}
