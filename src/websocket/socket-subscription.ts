import type { GraphQLError } from 'graphql';
import type { ContractPatterns } from '../access/patterns.ts';
import type { CarriedSubscription, FrameEncoder } from '../fanout/frame-encoder.ts';
import type { LateMessage } from '../fanout/late-messages.ts';
import type { ContractState } from '../hub/contract-state.ts';
import type { ContractHub } from '../hub/hub.ts';
import type { Span } from '../observability/tracing.ts';
import type { SubscriptionPlace } from '../operation/admitted-subscription.ts';
import { BatchProjection } from '../render/batch-projection.ts';
import type { Projection } from '../render/projection.ts';
import { codedError, forbiddenContract } from '../schema/errors/coded-error.ts';
import { ContractSubscription } from '../updates/contract-subscription.ts';
import type { ClientOperation, ClientSocket } from './client-socket.ts';
import { NextFrames, nextMessage, ownTextOf } from './next-frames.ts';

/** A subscription whose updates go straight to its connection. */
export class SocketSubscription
  extends ContractSubscription
  implements CarriedSubscription, LateMessage, ClientOperation
{
  readonly id: string;
  readonly ownText: string;
  readonly encoder: FrameEncoder;
  readonly projection: Projection;
  readonly #client: ClientSocket;
  readonly #place: SubscriptionPlace;
  readonly #span: Span | undefined;
  #state: 'open' | 'over' = 'open';

  /**
   * @param place what it has taken of its connection, which it gives back
   * @param span ends with it
   */
  constructor(
    hub: ContractHub,
    id: string,
    client: ClientSocket,
    place: SubscriptionPlace,
    span: Span | undefined,
  ) {
    super(hub, place.wish);
    this.id = id;
    this.ownText = ownTextOf(id);
    this.projection = place.projection;
    this.encoder = NextFrames.of(place.projection);
    this.#client = client;
    this.#place = place;
    this.#span = span;
  }

  get isOver(): boolean {
    return this.#state === 'over';
  }

  /** Begins with what may not be seen. */
  override open(): void {
    for (const key of this.wish.refusedKeys ?? []) {
      const refusal = this.projection.refusal(forbiddenContract(key));
      this.#client.writer.send(nextMessage(this.ownText, refusal));
    }
    super.open();
  }

  /** Ends it; its client is told that it is complete. */
  end(): void {
    if (this.#close()) this.#client.writer.sendMessage({ id: this.id, type: 'complete' });
  }

  /** Ends it with an error that its client is told. */
  fail(error: GraphQLError): void {
    if (!this.#close()) return;
    this.#client.writer.sendMessage({ id: this.id, type: 'error', payload: [error.toJSON()] });
  }

  stop(): void {
    this.#close();
  }

  override broken(): void {
    this.fail(codedError('INTERNAL_SERVER_ERROR', 'The gateway failed; its log says why.'));
  }

  narrowed(contracts: ContractPatterns): void {
    if (this.wish.all !== undefined) {
      this.narrow((key) => contracts.allow(key));
      this.#client.writer.flush();
      this.#client.writer.forgetContracts(this, (key) => !contracts.allow(key));
      return;
    }
    const key = this.wish.keys.find((one) => !contracts.allow(one));
    if (key !== undefined) this.fail(forbiddenContract(key));
  }

  protected update(state: ContractState): void {
    this.#client.writer.push(this, state);
  }

  protected batchReady(): void {
    this.#client.writer.offer(this);
  }

  makeMessage(): Buffer | undefined {
    const states = this.batch?.take() ?? [];
    if (states.length === 0 || !(this.projection instanceof BatchProjection)) return undefined;
    return nextMessage(this.ownText, this.projection.bundle(states));
  }

  protected finish(): void {
    // What the client is told of the end must come after the last update.
    this.#client.writer.finish(this);
    this.batch?.hurry();
    const last = this.makeMessage();
    if (last !== undefined) this.#client.writer.send(last);
    this.end();
  }

  protected reads(state: ContractState): string {
    return this.projection.reads(state);
  }

  /** Gives back what it has. @returns whether it had not been over */
  #close(): boolean {
    if (this.#state === 'over') return false;
    this.#state = 'over';
    this.#client.writer.forget(this);
    this.close();
    this.#place.giveBack();
    this.#client.disown(this);
    this.#span?.end();
    return true;
  }
}
