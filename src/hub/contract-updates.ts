import type { ContractKey } from '../contract/key.ts';
import type { ContractState } from './contract-state.ts';

/** What a subscriber wants to be told of which contracts. */
export interface UpdateWish {
  /** Distinct contracts, each of which may be seen. */
  readonly keys: readonly ContractKey[];
  /** Contracts that were asked for and may not be seen. */
  readonly refusedKeys?: readonly ContractKey[];
  /** Whether to begin with what is known now. */
  readonly initial: boolean;
  /** The least time between two updates of one contract, in milliseconds; 0: as they come. */
  readonly intervalMs: number;
  /** Whether an update whose selection reads as the last one sent is left out. */
  readonly changesOnly: boolean;
}

/** A contract that a subscriber may not see, in the place of its states. */
interface RefusedContract {
  readonly key: ContractKey;
  readonly refused: true;
}

/** What a subscription that is pulled from brings. */
export type ContractUpdate = ContractState | RefusedContract;
