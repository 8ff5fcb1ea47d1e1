import type { ContractKey } from '../contract/key.ts';
import type { ContractState } from '../hub/contract-state.ts';
import type { ContractHub } from '../hub/hub.ts';
import type { Endable } from '../hub/open-subscriptions.ts';
import { byPosition, Resumption } from '../hub/position.ts';
import type { ContractSubscriber } from '../hub/topic.ts';
import { Mailbox } from '../lib/mailbox.ts';
import { AllContracts } from './all-contracts.ts';
import { Batch } from './batch.ts';
import type { ContractUpdate, UpdateWish } from './contract-updates.ts';
import { UpdateGate } from './update-gate.ts';

/**
 * One subscription's place in the hub: what is known of each contract now (where wished), then every
 * change that its wish lets through, each once and in order.
 */
export abstract class ContractSubscription implements ContractSubscriber, Endable {
  readonly wish: UpdateWish;
  readonly #hub: ContractHub;
  readonly #gate: UpdateGate | Batch | undefined;
  /** Made with the first contract that is INVALID: most subscriptions never see one. */
  #invalid: Set<ContractKey> | undefined;
  #all: AllContracts | undefined;
  /** What the client has already, and need not be told where it becomes known here only now. */
  #resumed: Resumption | undefined;
  #isClosed = false;

  constructor(hub: ContractHub, wish: UpdateWish) {
    this.#hub = hub;
    this.wish = wish;
    this.#gate = this.#gateOf(wish);
    hub.open.add(this);
  }

  /** What is gathered of them, where updates are wanted in batches. */
  protected get batch(): Batch | undefined {
    return this.#gate instanceof Batch ? this.#gate : undefined;
  }

  /** An update that the wish lets through. */
  protected abstract update(state: ContractState): void;

  /** A batch can be taken: told once, until it is. */
  protected abstract batchReady(batch: Batch): void;

  /** Every contract is INVALID and was told so: nothing else will come. */
  protected abstract finish(): void;

  /** How the subscription's selection reads for a state, for `changesOnly`. */
  protected abstract reads(state: ContractState): string;

  /** The hub has closed: nothing else can come. */
  abstract end(): void;

  /** Begins, in the order of change: may update and finish at once. */
  open(): void {
    const { keys, all, initial, since, intervalMs, changesOnly, readsSince } = this.wish;
    const resumed = since && Resumption.from(since, this.#hub.latest, intervalMs);
    this.#resumed = resumed;
    const isTold = (state: ContractState) => {
      if (since !== undefined) {
        const { epoch, offset } = state.position;
        const changedAt = changesOnly ? readsSince?.(state) : undefined;
        return !resumed?.has({ epoch, offset: changedAt ?? offset });
      }
      // That a contract is INVALID is told even to those who leave out what is known now: for them
      // nothing else may ever come.
      return initial || state.status === 'INVALID';
    };
    const states =
      all === undefined ? this.#hub.subscribe(keys, this) : this.#watch(all, resumed !== undefined);
    for (const state of states.sort(byPosition)) {
      if (isTold(state)) this.#tell(state, true);
      else if (resumed !== undefined) this.#gate?.has(state);
      if (all === undefined) this.#noteInvalid(state);
    }
    // None of those asked for may be seen: nothing else will come.
    if (all === undefined && keys.length === 0) this.finish();
  }

  /** Where all contracts are wanted: other ones may be seen from now on. */
  narrow(sees: (key: ContractKey) => boolean): void {
    this.#all?.narrow(sees);
    this.#gate?.dropHeld((key) => !sees(key));
  }

  #watch(sees: (key: ContractKey) => boolean, isResumed: boolean): ContractState[] {
    this.#all = new AllContracts(
      sees,
      (state, statusChanged) => this.#tell(state, statusChanged),
      () => this.broken(),
    );
    return this.#all.begin(this.#hub.watch(this.#all), isResumed);
  }

  contractChanged(state: ContractState, statusChanged: boolean): void {
    if (this.#resumed?.has(state.position)) this.#gate?.has(state);
    else this.#tell(state, statusChanged);
    if (statusChanged) this.#noteInvalid(state);
  }

  broken(): void {
    this.end();
  }

  /** Leaves the hub; harmless when repeated. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#gate?.close();
    this.#hub.open.delete(this);
    this.#hub.unsubscribe(this.wish.keys, this);
    if (this.#all !== undefined) this.#hub.unwatch(this.#all);
  }

  #gateOf(wish: UpdateWish): UpdateGate | Batch | undefined {
    const { pace } = this.#hub;
    const { everyMs, intervalMs, changesOnly } = wish;
    const read = (state: ContractState) => this.reads(state);
    if (everyMs !== undefined) {
      const batch: Batch = new Batch({ everyMs, changesOnly }, read, pace, () =>
        this.batchReady(batch),
      );
      return batch;
    }
    if (intervalMs === 0 && !changesOnly) return undefined;
    const emit = (state: ContractState) => this.update(state);
    return new UpdateGate(wish, read, emit, pace, () => this.broken());
  }

  #tell(state: ContractState, statusChanged: boolean): void {
    if (this.#gate === undefined) this.update(state);
    else this.#gate.offer(state, statusChanged);
  }

  #noteInvalid(state: ContractState): void {
    if (state.status !== 'INVALID') {
      this.#invalid?.delete(state.key);
      return;
    }
    this.#invalid ??= new Set();
    this.#invalid.add(state.key);
    if (this.#invalid.size === this.wish.keys.length) this.finish();
  }
}

/** A subscription whose updates wait in a mailbox until they are read. */
class MailboxSubscription extends ContractSubscription {
  readonly mailbox = new Mailbox<ContractUpdate>(() => this.close());
  readonly #reads: (state: ContractState) => string;

  constructor(hub: ContractHub, wish: UpdateWish, reads: (state: ContractState) => string) {
    super(hub, wish);
    this.#reads = reads;
    for (const key of wish.refusedKeys ?? []) this.mailbox.push({ key, refused: true });
    this.open();
  }

  end(): void {
    this.mailbox.end();
  }

  protected update(state: ContractState): void {
    this.mailbox.push(state);
  }

  protected batchReady(batch: Batch): void {
    // What the tick brings besides belongs to it.
    setImmediate(() => this.mailbox.push(batch));
  }

  protected finish(): void {
    const { batch } = this;
    if (batch !== undefined) {
      batch.hurry();
      this.mailbox.push(batch);
    }
    this.mailbox.finish();
  }

  protected reads(state: ContractState): string {
    return this.#reads(state);
  }
}

/**
 * A subscription as an async iterable with one reader, which may be slow. First comes what may not be
 * seen.
 *
 * @param reads how the subscription's selection reads for a state, for `changesOnly`
 */
export function subscribeToContracts(
  hub: ContractHub,
  wish: UpdateWish,
  reads: (state: ContractState) => string = () => '',
): Mailbox<ContractUpdate> {
  return new MailboxSubscription(hub, wish, reads).mailbox;
}
