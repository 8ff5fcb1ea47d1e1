import type { ContractStatus } from '../contract/contract-status.ts';
import type { ContractKey } from '../contract/key.ts';
import type { Snapshot } from '../contract/snapshot.ts';

/** Where the hub's contracts come from: what the hub needs, declared by the hub. */
export interface ContractSource {
  /** The contract is wanted from now on. Called once until {@link release}. */
  retain(key: ContractKey): void;
  /** Nobody wants the contract any more. */
  release(key: ContractKey): void;
}

/** What a source tells the hub. Calls for a contract that is not retained are ignored. */
export interface ContractSink {
  /**
   * A new state of a contract, newer than all before it.
   *
   * @param staleReason set where the state is known to be late: the contract is then STALE for this
   *   reason, otherwise it is LIVE
   */
  publish(key: ContractKey, snapshot: Snapshot, staleReason?: string): void;
  /**
   * The contract's status without a new state.
   *
   * @param reason why, in words for a person
   */
  setStatus(key: ContractKey, status: Exclude<ContractStatus, 'LIVE'>, reason: string): void;
}
