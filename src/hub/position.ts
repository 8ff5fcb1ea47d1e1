import { randomBytes } from 'node:crypto';
import type { Clock } from '../lib/clock.ts';

/** Where a change stands among all changes of all contracts of one source. */
export interface Position {
  /** Positions are compared within one epoch only. */
  readonly epoch: string;
  /** Grows with every change; microseconds, as good as the clock. */
  readonly offset: number;
}

const EPOCH_BYTES = 4;
/** Microseconds of epoch time have 16 digits until the year 2286. */
const OFFSET_DIGITS = 16;

/** Before every change. */
export const ORIGIN: Position = { epoch: '0'.repeat(2 * EPOCH_BYTES), offset: 0 };

/**
 * A position as clients are told it: of fixed width, so that those of one epoch compare as texts do.
 */
export function cursorOf({ epoch, offset }: Position): string {
  return `${epoch}:${String(offset).padStart(OFFSET_DIGITS, '0')}`;
}

/**
 * Gives positions to the changes of all contracts of a source, in one order: a hybrid clock, at least the
 * time and at least one more than the last.
 */
export class PositionGiver {
  readonly epoch: string;
  readonly #clock: Clock;
  #last = 0;

  /** @param epoch a short text of fixed width; a new one for each start of the source */
  constructor(clock: Clock, epoch: string = randomBytes(EPOCH_BYTES).toString('hex')) {
    this.#clock = clock;
    this.epoch = epoch;
  }

  /** The position of the change that happens now. */
  next(): Position {
    this.#last = Math.max(this.#last + 1, Math.trunc(this.#clock.nowMs() * 1_000));
    return { epoch: this.epoch, offset: this.#last };
  }
}
