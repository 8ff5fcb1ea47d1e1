import type { ContractStatus } from '../contract/contract-status.ts';
import type { ContractKey } from '../contract/key.ts';
import { type Snapshot, withKnownSections } from '../contract/snapshot.ts';
import { ObjectTexts } from './object-texts.ts';

/** A {@link Snapshot} with its place in the order in which the gateway received the contract's states. */
export interface NumberedSnapshot extends Snapshot {
  /** 1 for the first state since the gateway asked for the contract. */
  readonly sequence: number;
}

/** What a {@link ContractState} says. */
interface ContractFacts {
  readonly status: ContractStatus;
  /** Epoch milliseconds. */
  readonly statusSinceMs: number;
  /** Why the status is not LIVE, in words; null while it is. */
  readonly statusReason: string | null;
  readonly snapshot: NumberedSnapshot | null;
}

/** All that is known of a contract at one moment. What it says never changes: each change makes a new one. */
export class ContractState implements ContractFacts {
  readonly key: ContractKey;
  readonly status: ContractStatus;
  readonly statusSinceMs: number;
  readonly statusReason: string | null;
  readonly snapshot: NumberedSnapshot | null;
  /** What renderers have made of this state, each under a number of its own. It goes with the state. */
  renderings: Map<number, unknown> | undefined = undefined;
  /** How much that is. */
  renderingBytes = 0;
  #texts: ObjectTexts | undefined;

  constructor(key: ContractKey, facts: ContractFacts) {
    this.key = key;
    this.status = facts.status;
    this.statusSinceMs = facts.statusSinceMs;
    this.statusReason = facts.statusReason;
    this.snapshot = facts.snapshot;
  }

  /** What has been written of this state's fields, and of what is below it. It goes with the state. */
  get texts(): ObjectTexts {
    this.#texts ??= new ObjectTexts(this);
    return this.#texts;
  }

  /** The state of a contract that has just been asked for. */
  static pending(key: ContractKey, nowMs: number): ContractState {
    return new ContractState(key, {
      status: 'PENDING',
      statusSinceMs: nowMs,
      statusReason: 'Asked of IME; no state has arrived yet.',
      snapshot: null,
    });
  }

  /** This state after a new snapshot: sections that it leaves out keep their last known value. */
  withSnapshot(next: Snapshot, staleReason: string | null, nowMs: number): ContractState {
    const status = staleReason === null ? 'LIVE' : 'STALE';
    const sequence = (this.snapshot?.sequence ?? 0) + 1;
    return new ContractState(this.key, {
      status,
      statusSinceMs: status === this.status ? this.statusSinceMs : nowMs,
      statusReason: staleReason,
      snapshot: { sequence, ...withKnownSections(next, this.snapshot) },
    });
  }

  /** This state with another status or reason; itself where neither changes. */
  withStatus(status: ContractStatus, statusReason: string | null, nowMs: number): ContractState {
    if (status === this.status && statusReason === this.statusReason) return this;
    const statusSinceMs = status === this.status ? this.statusSinceMs : nowMs;
    return new ContractState(this.key, {
      status,
      statusSinceMs,
      statusReason,
      snapshot: this.snapshot,
    });
  }
}
