import type { Clock } from '../../src/lib/clock.ts';

interface Waiting {
  dueMs: number;
  readonly everyMs: number | undefined;
  readonly run: () => void;
}

/** A clock that a test moves by hand; its timers run in the order in which they are due. */
export class ManualClock implements Clock {
  #monotonicMs = 1_000;
  #offsetMs: number;
  readonly #waiting = new Set<Waiting>();

  /** @param nowMs the time of day that it begins at, in epoch milliseconds */
  constructor(nowMs = Date.UTC(2026, 4, 23, 11, 40)) {
    this.#offsetMs = nowMs - this.#monotonicMs;
  }

  /** How many timers wait. */
  get timers(): number {
    return this.#waiting.size;
  }

  nowMs(): number {
    return this.#monotonicMs + this.#offsetMs;
  }

  monotonicMs(): number {
    return this.#monotonicMs;
  }

  /** Somebody sets the clock: no time passes. */
  step(byMs: number): void {
    this.#offsetMs += byMs;
  }

  setTimeout(run: () => void, ms: number): () => void {
    return this.#add({ dueMs: this.#monotonicMs + Math.max(0, ms || 0), everyMs: undefined, run });
  }

  setInterval(run: () => void, ms: number): () => void {
    return this.#add({ dueMs: this.#monotonicMs + ms, everyMs: Math.max(1, ms), run });
  }

  /** Lets time pass, and after each timer everything that it has set off. */
  async advance(ms: number): Promise<void> {
    const untilMs = this.#monotonicMs + ms;
    for (;;) {
      let next: Waiting | undefined;
      for (const one of this.#waiting) {
        if (one.dueMs <= untilMs && (next === undefined || one.dueMs < next.dueMs)) next = one;
      }
      if (next === undefined) break;
      this.#monotonicMs = Math.max(this.#monotonicMs, next.dueMs);
      if (next.everyMs === undefined) this.#waiting.delete(next);
      else next.dueMs += next.everyMs;
      next.run();
      await new Promise((resolve) => setImmediate(resolve));
    }
    this.#monotonicMs = untilMs;
  }

  #add(one: Waiting): () => void {
    this.#waiting.add(one);
    return () => this.#waiting.delete(one);
  }
}
