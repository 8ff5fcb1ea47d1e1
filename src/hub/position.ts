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

/** A cursor that a client shows; `undefined` for what is none. */
export function readCursor(text: string): Position | undefined {
  const parts = /^([0-9A-Za-z]{8}):([0-9]{16})$/.exec(text);
  return parts === null ? undefined : { epoch: parts[1] as string, offset: Number(parts[2]) };
}

/** The furthest position that was reached: what is told anew may be older than what was told last. */
export class Reached {
  position = ORIGIN;

  to(position: Position): void {
    const { epoch, offset } = this.position;
    if (position.offset > offset || position.epoch !== epoch) this.position = position;
  }
}

/** What a client has that shows a cursor: no log is kept, for each state has its own position. */
export class Resumption {
  readonly #epoch: string;
  readonly #upTo: number;

  private constructor(epoch: string, upTo: number) {
    this.#epoch = epoch;
    this.#upTo = upTo;
  }

  /**
   * @param since the position that the client shows
   * @param latest the last position that was given out
   * @param paceMs how long changes were held back for the client, in milliseconds: such a change may have come
   *   before `since` and not have been sent
   * @returns `undefined` where nothing is known of `since`: the client begins anew
   */
  static from(since: Position, latest: Position, paceMs: number): Resumption | undefined {
    if (since.epoch !== latest.epoch || since.offset > latest.offset) return undefined;
    return new Resumption(since.epoch, since.offset - paceOffset(paceMs));
  }

  /** Whether the client has what is at a position, or something newer. */
  has({ epoch, offset }: Position): boolean {
    return epoch === this.#epoch && offset <= this.#upTo;
  }
}

/** A time as a difference of offsets. */
export function paceOffset(ms: number): number {
  return Math.ceil(ms * 1_000);
}

/** Orders states as they have changed. */
export function byPosition(
  one: { readonly position: Position },
  other: { readonly position: Position },
): number {
  return one.position.offset - other.position.offset;
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
