import type { ContractKey } from '../contract/key.ts';
import type { ContractState } from './contract-state.ts';
import type { ContractUpdate, UpdateWish } from './contract-updates.ts';
import type { ContractHub, Endable } from './hub.ts';
import { Mailbox } from './mailbox.ts';
import type { ContractSubscriber } from './topic.ts';
import { UpdateGate } from './update-gate.ts';

/** Where a subscription's updates go. */
export interface UpdateSink {
  update(state: ContractState): void;
  /** Every contract is INVALID and was told so: nothing else will come. */
  finish(): void;
  /** The hub has closed: nothing else can come. */
  end(): void;
}

/**
 * One subscription's place in the hub: what is known of each contract now (where wished), then every
 * change that its wish lets through, each once and in order.
 */
export class ContractSubscription implements ContractSubscriber, Endable {
  readonly #hub: ContractHub;
  readonly #wish: UpdateWish;
  readonly #sink: UpdateSink;
  readonly #gate: UpdateGate | undefined;
  /** Made with the first contract that is INVALID: most subscriptions never see one. */
  #invalid: Set<ContractKey> | undefined;
  #closed = false;

  /**
   * @param read how the subscription's selection reads for a state, for `changesOnly`
   */
  constructor(
    hub: ContractHub,
    wish: UpdateWish,
    sink: UpdateSink,
    read: (state: ContractState) => string,
  ) {
    this.#hub = hub;
    this.#wish = wish;
    this.#sink = sink;
    const gated = wish.intervalMs > 0 || wish.changesOnly;
    this.#gate = gated ? new UpdateGate(wish, read, (state) => sink.update(state)) : undefined;
    hub.opened(this);
  }

  /** Begins: may call the sink at once. */
  open(): void {
    for (const state of this.#hub.subscribe(this.#wish.keys, this)) {
      // That a contract is INVALID is told even to those who leave out what is known now: for them
      // nothing else may ever come.
      if (this.#wish.initial || state.status === 'INVALID') this.#tell(state, true);
      this.#noteInvalid(state);
    }
  }

  contractChanged(state: ContractState, statusChanged: boolean): void {
    this.#tell(state, statusChanged);
    if (statusChanged) this.#noteInvalid(state);
  }

  /** The hub ends it. */
  end(): void {
    this.#sink.end();
  }

  /** Ends it; harmless when repeated. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#gate?.close();
    this.#hub.ended(this);
    this.#hub.unsubscribe(this.#wish.keys, this);
  }

  #tell(state: ContractState, statusChanged: boolean): void {
    if (this.#gate === undefined) this.#sink.update(state);
    else this.#gate.offer(state, statusChanged);
  }

  #noteInvalid(state: ContractState): void {
    if (state.status !== 'INVALID') {
      this.#invalid?.delete(state.key);
      return;
    }
    this.#invalid ??= new Set();
    this.#invalid.add(state.key);
    if (this.#invalid.size === this.#wish.keys.length) this.#sink.finish();
  }
}

/**
 * A {@link ContractSubscription} as an async iterable with one reader, which may be slow. First comes what
 * may not be seen.
 */
export function subscribeToContracts(
  hub: ContractHub,
  wish: UpdateWish,
  read: (state: ContractState) => string = () => '',
): Mailbox<ContractUpdate> {
  const mailbox = new Mailbox<ContractUpdate>(() => subscription.close());
  const subscription = new ContractSubscription(
    hub,
    wish,
    {
      update: (state) => mailbox.push(state),
      finish: () => mailbox.finish(),
      end: () => mailbox.end(),
    },
    read,
  );
  for (const key of wish.refusedKeys ?? []) mailbox.push({ key, refused: true });
  subscription.open();
  if (wish.keys.length === 0) mailbox.finish();
  return mailbox;
}
