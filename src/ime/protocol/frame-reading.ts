import type { MarketState } from '../../contract/snapshot.ts';

/** What is written in a frame, null where it is not there or of a wrong type. */
export interface FrameReading {
  /** The contract's name or ID. */
  readonly contract: string | null;
  /** As it is written, whatever that is. */
  readonly timestamp: string | null;
  /** Null also where `data` has something and no section can be read. */
  readonly state: MarketState | null;
  /** Fields of the state that are null and should not be. */
  readonly missingFields: number;
}
