import type { IncomingMessage, ServerResponse } from 'node:http';
import { type GraphQLSchema, getOperationAST, OperationTypeNode } from 'graphql';
import type { ConnectionQuota } from '../access/quota.ts';
import type { Session } from '../access/session.ts';
import { clientError } from '../operation/client-error.ts';
import { operationCost } from '../operation/cost.ts';
import type { Documents } from '../operation/documents.ts';
import { operationContext, type ServerGateway } from '../operation/operation-context.ts';
import type { Projections } from '../render/projection.ts';
import { SharedPayloads, subscribeShared } from './shared-results.ts';
import type { QueryRequest } from './snapshot-answers.ts';
import { streamFormat } from './stream-formats.ts';
import type { StreamQuotas } from './stream-quotas.ts';
import { StreamResponse } from './stream-response.ts';

/** How long after the end of its token a single-connection stream is cut, in milliseconds. */
const CUT_DELAY_MS = 1_000;

/** What a request is served with once it is known who makes it. */
export interface Visit {
  readonly session: Session;
  readonly requestId: string;
  /** Where it streams: what it uses as a connection. */
  readonly quota: ConnectionQuota | undefined;
}

/** The responses that stream: server-sent events and multipart. */
export class HttpStreams {
  readonly #gateway: ServerGateway;
  readonly #schema: GraphQLSchema;
  readonly #documents: Documents;
  readonly #projections: Projections;
  readonly #quotas: StreamQuotas;
  readonly #open = new Set<ServerResponse>();
  #stalled = 0;

  constructor(
    gateway: ServerGateway,
    schema: GraphQLSchema,
    documents: Documents,
    projections: Projections,
    quotas: StreamQuotas,
  ) {
    this.#gateway = gateway;
    this.#schema = schema;
    this.#documents = documents;
    this.#projections = projections;
    this.#quotas = quotas;
  }

  /** Those that are open now. */
  get open(): ReadonlySet<ServerResponse> {
    return this.#open;
  }

  /** How many were cut because their client took nothing. */
  get stalled(): number {
    return this.#stalled;
  }

  /**
   * Counts a request that asks for a stream as a connection.
   *
   * @returns its quota; `undefined` for a request that asks for none
   * @throws LimitExceeded where there are too many connections already
   */
  enter(
    request: IncomingMessage,
    response: ServerResponse,
    session: Session,
    address: string,
  ): ConnectionQuota | undefined {
    const accept = request.headers.accept ?? '';
    if (!accept.includes('text/event-stream') && !accept.includes('multipart/mixed')) {
      return undefined;
    }
    const quota = this.#gateway.access.enter(address);
    response.once('close', () => {
      quota.leave();
      this.#open.delete(response);
    });
    this.#open.add(response);
    quota.identify(session);
    if (isSingleConnection(request)) this.#tie(request, response, session, quota);
    return quota;
  }

  /** A single-connection stream: operations find its quota, and it ends with its token. */
  #tie(
    request: IncomingMessage,
    response: ServerResponse,
    session: Session,
    quota: ConnectionQuota,
  ): void {
    const token = request.headers['x-graphql-event-stream-token'];
    const untie = this.#quotas.opened(token, request.url ?? '', quota);
    let cutting: NodeJS.Timeout | undefined;
    const forget = session.onEnd(() => {
      // Its operations tell their clients why before the stream is cut.
      cutting = setTimeout(() => response.destroy(), CUT_DELAY_MS);
    });
    response.once('close', () => {
      clearTimeout(cutting);
      forget?.();
      untie();
    });
  }

  /**
   * Streams a subscription to a client that asks for a stream.
   *
   * @param read reads the request; called where a stream is asked for
   * @returns whether it did
   */
  async subscribe(
    request: IncomingMessage,
    response: ServerResponse,
    read: () => QueryRequest | undefined,
    { session, requestId, quota }: Visit,
  ): Promise<boolean> {
    const format = streamFormat(request.headers.accept);
    if (format === undefined || quota === undefined || isSingleConnection(request)) return false;
    const asked = read();
    const document = asked && this.#documents.prepare(asked.query).document;
    const operation = document && getOperationAST(document, asked.operationName);
    if (!asked || !document || operation?.operation !== OperationTypeNode.SUBSCRIPTION)
      return false;
    const { hub, access, log, slowReaders, maxCost } = this.#gateway;
    const stream = new StreamResponse(response, format, slowReaders.stallMs);
    try {
      const { operationName, variables } = asked;
      const cost = operationCost(this.#schema, document, operationName, variables, hub.size);
      if (cost > maxCost) throw access.tooCostly(cost, maxCost);
      const { principal } = session;
      const contextValue = operationContext(this.#gateway, {
        principal,
        transport: 'http',
        requestId,
      });
      const args = {
        schema: this.#schema,
        document,
        contextValue,
        variableValues: variables ?? null,
        operationName: operationName ?? null,
      };
      const payloads = await subscribeShared(args, hub, this.#projections, quota);
      if (!(payloads instanceof SharedPayloads)) {
        stream.fail((payloads.errors ?? []).map((error) => clientError(error, log)));
        return true;
      }
      const end = await stream.write(payloads, session);
      if (end === 'stalled') this.#stalled++;
      log.debug({ requestId, end }, 'a stream has ended');
    } catch (error) {
      stream.fail([clientError(error, log)]);
    }
    return true;
  }
}

/** Whether a request goes to graphql-sse's single-connection mode. */
function isSingleConnection(request: IncomingMessage): boolean {
  return !/^\/graphql(\?|$)/.test(request.url ?? '');
}
