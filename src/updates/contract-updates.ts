import type { ContractKey } from '../contract/key.ts';
import type { ContractState } from '../hub/contract-state.ts';
import type { Position } from '../hub/position.ts';
import type { Batch } from './batch.ts';

/** What a subscriber wants to be told of which contracts. */
export interface UpdateWish {
  /** Distinct contracts, each of which may be seen; none where all are wanted. */
  readonly keys: readonly ContractKey[];
  /** Every contract that is held and of which this says that it may be seen. */
  readonly all?: ((key: ContractKey) => boolean) | undefined;
  /** Contracts that were asked for and may not be seen. */
  readonly refusedKeys?: readonly ContractKey[];
  /** Whether to begin with what is known now. */
  readonly initial: boolean;
  /** Begin with what has changed since then, instead. */
  readonly since?: Position | undefined;
  /** The least time between two updates of one contract, in milliseconds; 0: as they come. */
  readonly intervalMs: number;
  /** Updates are wanted in batches, with at least so many milliseconds between two; 0: one for each tick. */
  readonly everyMs?: number | undefined;
  /** Whether an update whose selection reads as the last one sent is left out. */
  readonly changesOnly: boolean;
  /** Since which offset at the latest a state has read as it does, for `changesOnly`. */
  readonly readsSince?: ((state: ContractState) => number) | undefined;
}

/** A contract that a subscriber may not see, in the place of its states. */
interface RefusedContract {
  readonly key: ContractKey;
  readonly refused: true;
}

/** What a subscription that is pulled from brings. */
export type ContractUpdate = ContractState | RefusedContract | Batch;
