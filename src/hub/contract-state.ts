import type { ContractStatus } from '../contract/contract-status.ts';
import type { ContractKey } from '../contract/key.ts';
import { type Snapshot, withKnownSections } from '../contract/snapshot.ts';

/** A {@link Snapshot} with its place in the order in which the gateway received the contract's states. */
export interface NumberedSnapshot extends Snapshot {
  /** 1 for the first state since the gateway asked for the contract. */
  readonly sequence: number;
}

/** All that is known of a contract at one moment. Immutable: each change makes a new one. */
export interface ContractState {
  readonly key: ContractKey;
  readonly status: ContractStatus;
  /** Epoch milliseconds. */
  readonly statusSinceMs: number;
  /** Why the status is not LIVE, in words; null while it is. */
  readonly statusReason: string | null;
  readonly snapshot: NumberedSnapshot | null;
}

/** The state of a contract that has just been asked for. */
export function pendingState(key: ContractKey, nowMs: number): ContractState {
  return {
    key,
    status: 'PENDING',
    statusSinceMs: nowMs,
    statusReason: 'Asked of IME; no state has arrived yet.',
    snapshot: null,
  };
}

/** `last` after a new snapshot: sections that it leaves out keep their last known value. */
export function withSnapshot(
  last: ContractState,
  next: Snapshot,
  staleReason: string | null,
  nowMs: number,
): ContractState {
  const status = staleReason === null ? 'LIVE' : 'STALE';
  const sequence = (last.snapshot?.sequence ?? 0) + 1;
  return {
    key: last.key,
    status,
    statusSinceMs: status === last.status ? last.statusSinceMs : nowMs,
    statusReason: staleReason,
    snapshot: { sequence, ...withKnownSections(next, last.snapshot) },
  };
}

/** `last` with another status or reason; `last` itself where neither changes. */
export function withStatus(
  last: ContractState,
  status: ContractStatus,
  statusReason: string | null,
  nowMs: number,
): ContractState {
  if (status === last.status && statusReason === last.statusReason) return last;
  const statusSinceMs = status === last.status ? last.statusSinceMs : nowMs;
  return { ...last, status, statusSinceMs, statusReason };
}
