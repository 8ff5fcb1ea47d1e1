import type { GraphQLSchema } from 'graphql';
import { LRUCache } from 'lru-cache';
import { AccessRefused } from '../access/refused.ts';
import type { ClientOperation } from '../render/rendering.ts';
import type { SelectedField } from '../render/selection.ts';
import type { GatewayReport } from '../schema/report.ts';
import { clientError } from './client-error.ts';
import type { OperationGateway } from './operation-context.ts';
import { type StatusAnswer, StatusView, steadyReport } from './status-view.ts';

/** How often it is looked whether anything has changed, in milliseconds. */
const LOOK_MS = 500;
/** The least time between two results of one subscription, in milliseconds. */
const LEAST_MS = 1_000;
/** How many selections are remembered. */
const MOST_VIEWS = 50;

/** Somebody who follows the gateway's own state. */
export interface StatusFollower {
  readonly view: StatusView;
  /** Whether they may see everything. @throws where they are not let in any more */
  isOperator(): boolean;
  /** @returns whether it is told; otherwise it is tried again */
  tell(json: Buffer): boolean;
}

/** Tells followers the gateway's own state when it changes. There is one timer, while anybody follows. */
export class StatusUpdates {
  readonly #schema: GraphQLSchema;
  readonly #gateway: OperationGateway;
  readonly #views = new LRUCache<string, StatusView>({ max: MOST_VIEWS });
  /** What each was told last, and when. */
  readonly #followers = new Map<StatusFollower, { steady: string; atMs: number }>();
  #looking: NodeJS.Timeout | undefined;
  /** How everything read when all had been told. */
  #told: string | undefined;

  constructor(schema: GraphQLSchema, gateway: OperationGateway) {
    this.#schema = schema;
    this.#gateway = gateway;
  }

  /** The view of a subscription, shared with those that select the same. */
  view(operation: ClientOperation, { responseKey, fields }: SelectedField): StatusView {
    const selection = JSON.stringify([responseKey, fields]);
    const known = this.#views.get(selection);
    if (known !== undefined) return known;
    const { log } = this.#gateway;
    const toldError = (error: unknown) => clientError(error, log);
    const view = new StatusView(this.#schema, this.#gateway, operation, toldError, selection);
    this.#views.set(selection, view);
    return view;
  }

  /** Tells a follower how it is now, and from now on what changes. */
  follow(follower: StatusFollower): void {
    this.#followers.set(follower, { steady: '', atMs: Number.NEGATIVE_INFINITY });
    this.#told = undefined;
    this.#looking ??= setInterval(() => this.#look(), LOOK_MS);
    this.#tell(follower, this.#gateway.report(), performance.now());
  }

  /** Tells a follower nothing more; harmless when repeated. */
  leave(follower: StatusFollower): void {
    if (!this.#followers.delete(follower) || this.#followers.size > 0) return;
    clearInterval(this.#looking);
    this.#looking = undefined;
  }

  #look(): void {
    try {
      const report = this.#gateway.report();
      const reads = JSON.stringify(steadyReport(report));
      if (reads === this.#told) return;
      const nowMs = performance.now();
      let isBehind = false;
      for (const follower of this.#followers.keys()) {
        if (!this.#tell(follower, report, nowMs)) isBehind = true;
      }
      this.#told = isBehind ? undefined : reads;
    } catch (error) {
      this.#gateway.log.error({ error }, "the gateway's own state could not be told");
    }
  }

  /** @returns whether there is nothing left to tell of this report */
  #tell(follower: StatusFollower, report: GatewayReport, nowMs: number): boolean {
    const last = this.#followers.get(follower);
    if (last === undefined) return true;
    let answer: StatusAnswer;
    try {
      answer = follower.view.answer(report, follower.isOperator());
    } catch (error) {
      // Who is not let in any more is closed for that.
      if (error instanceof AccessRefused) return true;
      throw error;
    }
    if (answer.steady === last.steady) return true;
    if (nowMs - last.atMs < LEAST_MS || !follower.tell(answer.json)) return false;
    last.steady = answer.steady;
    last.atMs = nowMs;
    return true;
  }
}
