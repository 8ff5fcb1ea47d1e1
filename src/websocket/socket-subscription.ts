import type { GraphQLError } from 'graphql';
import type { ConnectionQuota } from '../access/quota.ts';
import type { ConnectionWriter } from '../fanout/connection-writer.ts';
import type { CarriedSubscription, FrameEncoder } from '../fanout/frame-encoder.ts';
import type { ContractState } from '../hub/contract-state.ts';
import { ContractSubscription } from '../hub/contract-subscription.ts';
import type { UpdateWish } from '../hub/contract-updates.ts';
import type { ContractHub } from '../hub/hub.ts';
import type { Projection } from '../render/projection.ts';
import { forbiddenContract } from '../schema/coded-error.ts';
import { NextFrames, nextMessage, ownTextOf } from './next-frames.ts';

/** The connection that a subscription belongs to. */
export interface SubscriptionHolder {
  readonly connection: ConnectionWriter;
  readonly quota: ConnectionQuota;
  /** A subscription has ended. */
  ended(id: string): void;
  /** Frees the id of a subscription that the gateway has ended. */
  free(id: string): void;
}

/**
 * A subscription whose updates go straight to its connection. To graphql-ws it is an iterator that yields
 * nothing.
 *
 * graphql-ws waits inside `next()` for as long as a subscription lives, and what waits holds the
 * operation, its arguments and a dozen closures. So the promise that it is given is kept by nobody: what
 * waits for it is free to be collected, and the gateway itself tells the client of the end.
 */
export class SocketSubscription extends ContractSubscription implements CarriedSubscription {
  readonly ownText: string;
  readonly encoder: FrameEncoder;
  readonly projection: Projection;
  readonly #id: string;
  readonly #holder: SubscriptionHolder;
  readonly #connection: ConnectionWriter;
  #state: 'opening' | 'open' | 'over' = 'opening';

  /** @throws LimitExceeded where it would be too much */
  constructor(
    hub: ContractHub,
    wish: UpdateWish,
    id: string,
    holder: SubscriptionHolder,
    projection: Projection,
  ) {
    holder.quota.subscribe(wish.keys, projection);
    super(hub, wish);
    this.ownText = ownTextOf(id);
    this.encoder = NextFrames.of(projection);
    this.#id = id;
    this.#holder = holder;
    this.#connection = holder.connection;
    this.projection = projection;
    projection.acquire();
  }

  get isOver(): boolean {
    return this.#state === 'over';
  }

  /** Begins with what may not be seen. */
  override open(): void {
    for (const key of this.wish.refusedKeys ?? []) {
      const refusal = this.projection.refusal(forbiddenContract(key));
      this.#connection.send(nextMessage(this.ownText, refusal));
    }
    super.open();
    if (this.wish.keys.length === 0) this.end();
  }

  /** Ends it; its client is told that it is complete. */
  end(): void {
    this.#endWith({ id: this.#id, type: 'complete' });
  }

  /** Ends it with an error that its client is told. */
  fail(error: GraphQLError): void {
    this.#endWith({ id: this.#id, type: 'error', payload: [error.toJSON()] });
  }

  /** graphql-ws waits from now on, or is told that it need not. */
  next(): Promise<IteratorResult<never, undefined>> {
    if (this.isOver) return Promise.resolve({ value: undefined, done: true });
    this.#setState('open');
    return new Promise(() => {});
  }

  /** The client has completed it or is gone. */
  return(): Promise<IteratorResult<never, undefined>> {
    this.#setState('over');
    return Promise.resolve({ value: undefined, done: true });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  protected update(state: ContractState): void {
    this.#connection.push(this, state);
  }

  protected finish(): void {
    // What the client is told of the end must come after the last update.
    this.#connection.finish(this);
    this.end();
  }

  protected reads(state: ContractState): string {
    return this.projection.reads(state);
  }

  #endWith(message: object): void {
    // One that ends while it opens is completed by graphql-ws.
    const isTold = this.#state !== 'open';
    this.#setState('over');
    if (isTold) return;
    this.#holder.free(this.#id);
    this.#connection.sendMessage(message);
  }

  #setState(state: 'open' | 'over'): void {
    if (this.#state === state) return;
    this.#state = state;
    if (state !== 'over') return;
    this.#connection.forget(this);
    this.projection.release();
    this.#holder.quota.unsubscribe(this.wish.keys, this.projection);
    this.#holder.ended(this.#id);
    this.close();
  }
}
