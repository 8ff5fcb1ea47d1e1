import { type Clock, guardedClock, systemClock } from '../lib/clock.ts';
import type { Logger } from '../observability/log.ts';
import { RepeatLimit } from '../observability/repeat-limit.ts';

/** How often equal faults are logged, in milliseconds. */
const REPEAT_INTERVAL_MS = 10_000;

/** What a source needs of the process it is in. */
export interface SourceGround {
  readonly clock: Clock;
  readonly repeats: RepeatLimit;
  readonly log: Logger;
  /** How many connections its clients have. */
  readonly clients: () => number;
}

/** Times and faults of a process: what a timer was to do and has failed is logged. */
export function sourceGround(log: Logger): Omit<SourceGround, 'clients'> {
  const repeats = new RepeatLimit(REPEAT_INTERVAL_MS);
  const clock = guardedClock(systemClock, (error) => {
    const held = repeats.pass('timer');
    if (held !== undefined) log.error({ error, held }, 'what a timer was to do has failed');
  });
  return { clock, repeats, log };
}
