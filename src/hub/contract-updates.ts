import type { ContractKey } from '../contract/key.ts';

/** What a subscriber wants to be told of which contracts. */
export interface UpdateWish {
  /** Distinct contracts. */
  readonly keys: readonly ContractKey[];
  /** Whether to begin with what is known now. */
  readonly initial: boolean;
  /** The least time between two updates of one contract, in milliseconds; 0: as they come. */
  readonly intervalMs: number;
  /** Whether an update whose selection reads as the last one sent is left out. */
  readonly changesOnly: boolean;
}
