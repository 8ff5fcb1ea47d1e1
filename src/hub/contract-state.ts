import { allChanged, type ContractChanges, changesBy } from '../contract/contract-changes.ts';
import {
  AWAITING_STATE,
  type ContractStatus,
  type ContractStatusCode,
} from '../contract/contract-status.ts';
import type { ContractKey } from '../contract/key.ts';
import { type Snapshot, withKnownSections } from '../contract/snapshot.ts';
import { KeptShare } from './kept-share.ts';
import { ObjectTexts } from './object-texts.ts';
import { cursorOf, ORIGIN, type Position } from './position.ts';
import type { NewState, NewStatus } from './source.ts';

/** A {@link Snapshot} with its place in the order in which the gateway received the contract's states. */
export interface NumberedSnapshot extends Snapshot {
  readonly sequence: number;
}

/** What a {@link ContractState} says. */
interface ContractFacts {
  readonly status: ContractStatus;
  /** Epoch milliseconds. */
  readonly statusSinceMs: number;
  /** Why the status is not LIVE, in words; null while it is. */
  readonly statusReason: string | null;
  /** The same for programs. */
  readonly statusCode: ContractStatusCode | null;
  readonly snapshot: NumberedSnapshot | null;
  /** Where this state stands among all changes of all contracts. */
  readonly position: Position;
  /** Since when each part of it has been as it is; all of it since its position where this is left out. */
  readonly changes?: ContractChanges;
}

/** All that is known of a contract at one moment. What it says never changes: each change makes a new one. */
export class ContractState implements ContractFacts {
  readonly key: ContractKey;
  readonly status: ContractStatus;
  readonly statusSinceMs: number;
  readonly statusReason: string | null;
  readonly statusCode: ContractStatusCode | null;
  readonly snapshot: NumberedSnapshot | null;
  readonly position: Position;
  readonly changes: ContractChanges;
  /** What renderers have made of this state, each under a number of its own. It goes with the state. */
  renderings: Map<number, unknown> | undefined = undefined;
  /** How much that is. */
  renderingBytes = 0;
  /** How much of that is kept. */
  readonly share: KeptShare;
  #texts: ObjectTexts | undefined;

  constructor(key: ContractKey, facts: ContractFacts, share: KeptShare = KeptShare.WHOLE) {
    this.key = key;
    this.share = share;
    this.status = facts.status;
    this.statusSinceMs = facts.statusSinceMs;
    this.statusReason = facts.statusReason;
    this.statusCode = facts.statusCode;
    this.snapshot = facts.snapshot;
    this.position = facts.position;
    this.changes = facts.changes ?? allChanged(facts.position.offset);
  }

  /** {@link ContractFacts.position} as clients are told it. */
  get cursor(): string {
    return cursorOf(this.position);
  }

  /** What has been written of this state's fields, and of what is below it. It goes with the state. */
  get texts(): ObjectTexts {
    this.#texts ??= new ObjectTexts(this, this.share);
    return this.#texts;
  }

  /** The state of a contract of which its source has said nothing yet. */
  static pending(key: ContractKey, nowMs: number, share?: KeptShare): ContractState {
    const facts: ContractFacts = {
      status: 'PENDING',
      statusSinceMs: nowMs,
      statusReason: AWAITING_STATE.reason,
      statusCode: AWAITING_STATE.code,
      snapshot: null,
      position: ORIGIN,
    };
    return new ContractState(key, facts, share);
  }

  /** This state after a new snapshot: sections that it leaves out keep their last known value. */
  withSnapshot({ snapshot, sequence, position, stale, sinceMs }: NewState): ContractState {
    const status = stale === undefined ? 'LIVE' : 'STALE';
    const known = withKnownSections(snapshot, this.snapshot);
    const isStatusSame = status === this.status && (stale?.reason ?? null) === this.statusReason;
    const changes = changesBy(this.changes, this.snapshot, known, position.offset);
    const facts: ContractFacts = {
      status,
      statusSinceMs:
        sinceMs ?? (status === this.status ? this.statusSinceMs : snapshot.receivedAtMs),
      statusReason: stale?.reason ?? null,
      statusCode: stale?.code ?? null,
      snapshot: { sequence, ...known },
      position,
      changes: isStatusSame ? changes : { ...changes, status: position.offset },
    };
    return new ContractState(this.key, facts, this.share);
  }

  /** This state with another status or cause; itself where neither changes. */
  withStatus({ status, cause, position, sinceMs }: NewStatus, nowMs: number): ContractState {
    const statusReason = cause?.reason ?? null;
    const statusCode = cause?.code ?? null;
    const isSame = status === this.status && statusReason === this.statusReason;
    // What its source has said nothing of has no position yet.
    if (isSame && statusCode === this.statusCode && this.position !== ORIGIN) return this;
    const facts: ContractFacts = {
      status,
      statusSinceMs: sinceMs ?? (status === this.status ? this.statusSinceMs : nowMs),
      statusReason,
      statusCode,
      snapshot: this.snapshot,
      position,
      changes: {
        ...this.changes,
        status: position.offset,
        held: this.position === ORIGIN ? position.offset : this.changes.held,
      },
    };
    return new ContractState(this.key, facts, this.share);
  }
}
