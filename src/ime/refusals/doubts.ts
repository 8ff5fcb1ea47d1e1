import type { Clock } from '../../lib/clock.ts';
import { RecentMap } from '../../lib/recent-map.ts';
import { OWN } from '../pool/askers.ts';

/** For how long it counts that IME has refused somebody's contracts, in milliseconds. */
const DOUBT_MS = 10 * 60_000;
/** Who was refused no more often than this is not in doubt: anybody may misspell a name. */
const MOST_MISTAKES = 3;
/** How many of them are remembered: who was refused longest ago is forgotten first. */
const MOST_DOUBTED = 10_000;

/** Whose contracts IME has refused lately. */
export class Doubts {
  readonly #clock: Clock;
  /** How often, and when last, by the monotonic clock. */
  readonly #refusals = new RecentMap<string, { times: number; lastAtMs: number }>(MOST_DOUBTED);

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** IME has refused contracts of somebody. */
  add(asker: string): void {
    if (asker === OWN) return;
    const times = this.#timesOf(asker) + 1;
    this.#refusals.set(asker, { times, lastAtMs: this.#clock.monotonicMs() });
  }

  has(asker: string): boolean {
    return this.#timesOf(asker) > MOST_MISTAKES;
  }

  clear(): void {
    this.#refusals.clear();
  }

  #timesOf(asker: string): number {
    const record = this.#refusals.get(asker);
    if (record === undefined) return 0;
    return record.lastAtMs > this.#clock.monotonicMs() - DOUBT_MS ? record.times : 0;
  }
}
