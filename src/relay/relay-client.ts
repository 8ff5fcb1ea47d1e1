import { ClientConnection, FAULT, MOST_REASON_BYTES } from '../connections/client-connection.ts';
import { LIMIT_EXCEEDED } from '../connections/connection-identity.ts';
import { SERVICE_RESTART } from '../connections/connection-server.ts';
import { type ContractKey, contractTextOf } from '../contract/key.ts';
import type { CarriedSubscription, FrameEncoder } from '../fanout/frame-encoder.ts';
import type { ContractState } from '../hub/contract-state.ts';
import type { ContractHub } from '../hub/hub.ts';
import { REFUSED_CLOSE_CODE } from '../ime/protocol/endpoints.ts';
import type { SubscriptionPlace } from '../operation/admitted-subscription.ts';
import { ContractSubscription } from '../updates/contract-subscription.ts';

/** A connection at one of IME's endpoints. It asks for contracts once, by its handshake. */
export class RelayClient extends ClientConnection {
  #subscription: RelaySubscription | undefined = undefined;

  /** What it follows; `undefined` until its client is known. */
  get subscription(): RelaySubscription | undefined {
    return this.#subscription;
  }

  /** Follows contracts from now on, until it is gone. */
  follow(subscription: RelaySubscription): void {
    this.#subscription = subscription;
    subscription.open();
  }

  /** Closes it with a reason that is cut to what a close frame holds. */
  refuse(code: number, reason: string): void {
    let text = reason;
    while (Buffer.byteLength(text) > MOST_REASON_BYTES) text = text.slice(0, -1);
    this.close(code, text.toWellFormed());
  }

  /** A message of the client, which IME has no use for. */
  ignore(): void {
    try {
      this.quota.operation();
    } catch {
      this.close(LIMIT_EXCEEDED, 'Too many messages');
    }
  }

  // Nobody shows another token here, and whose key is narrowed is closed.
  narrowed(): void {}

  protected stopAll(): void {
    this.#subscription?.stop();
  }
}

/** The contracts that a connection follows: IME's own messages, each once. */
export class RelaySubscription extends ContractSubscription implements CarriedSubscription {
  readonly ownText = '';
  readonly encoder: FrameEncoder;
  readonly #hub: ContractHub;
  readonly #client: RelayClient;
  readonly #place: SubscriptionPlace;
  readonly #isStrict: boolean;
  /** The newest state of each contract that was sent, or was there before. */
  readonly #sequences = new Map<ContractKey, number>();
  #state: 'open' | 'over' = 'open';

  /**
   * @param place what it has taken of its connection, which it gives back
   * @param isStrict whether one contract that is refused ends it
   */
  constructor(
    hub: ContractHub,
    client: RelayClient,
    place: SubscriptionPlace,
    encoder: FrameEncoder,
    isStrict: boolean,
  ) {
    super(hub, place.wish);
    this.#hub = hub;
    this.#client = client;
    this.#place = place;
    this.encoder = encoder;
    this.#isStrict = isStrict;
  }

  get isOver(): boolean {
    return this.#state === 'over';
  }

  override open(): void {
    const [refused] = this.wish.refusedKeys ?? [];
    if (refused !== undefined && this.#isStrict) {
      this.#refuse(refused);
      return;
    }
    if (!this.wish.initial) {
      for (const key of this.wish.keys) {
        const sequence = this.#hub.stateOf(key)?.snapshot?.sequence;
        if (sequence !== undefined) this.#sequences.set(key, sequence);
      }
    }
    super.open();
  }

  /** A contract of which IME has said nothing at all yet; `undefined` where there is none. */
  get unanswered(): ContractKey | undefined {
    return this.wish.keys.find((key) => !this.#hub.isAnswered(key));
  }

  /** Nobody waits for the contracts that IME has said nothing of. */
  giveUp(code: number): void {
    const key = this.unanswered;
    if (key === undefined || !this.#isStrict) return;
    this.#client.refuse(code, `IME has not answered for ${contractTextOf(key)} yet`);
  }

  end(): void {
    this.#client.close(SERVICE_RESTART, 'The gateway restarts');
    this.stop();
  }

  override broken(): void {
    this.#client.close(FAULT, 'The gateway failed; its log says why');
    this.stop();
  }

  /** Gives back what it has; harmless when repeated. */
  stop(): void {
    if (this.#state === 'over') return;
    this.#state = 'over';
    this.#client.writer.forget(this);
    this.close();
    this.#place.giveBack();
  }

  protected update(state: ContractState): void {
    if (this.isOver) return;
    if (state.status === 'INVALID' && this.#isStrict) {
      this.#refuse(state.key);
      return;
    }
    const { snapshot, key } = state;
    // IME has no word for what is a change of the status alone.
    if (snapshot === null || snapshot.sequence === this.#sequences.get(key)) return;
    this.#sequences.set(key, snapshot.sequence);
    this.#client.writer.push(this, state);
  }

  // No batches are asked for here.
  protected batchReady(): void {}

  protected finish(): void {
    const [key] = [...this.wish.keys, ...(this.wish.refusedKeys ?? [])];
    if (key !== undefined) this.#refuse(key);
  }

  protected reads(state: ContractState): string {
    return state.snapshot?.raw ?? '';
  }

  #refuse(key: ContractKey): void {
    this.#client.refuse(REFUSED_CLOSE_CODE, `${contractTextOf(key)} is not to be had`);
    this.stop();
  }
}
