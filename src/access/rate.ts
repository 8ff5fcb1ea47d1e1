/** A full burst is what the rate lets through in this time, in milliseconds. */
const BURST_MS = 2_000;

/** Lets so many events a second through, and twice that at once after a rest. */
export class RateLimit {
  readonly #perSecond: number;
  /** When a full burst is to be had again, by `performance.now()`. */
  #restedAtMs = 0;

  constructor(perSecond: number) {
    this.#perSecond = perSecond;
  }

  /** Takes one event. @returns whether it is within the rate */
  take(): boolean {
    const nowMs = performance.now();
    const restedAtMs = Math.max(nowMs, this.#restedAtMs) + 1000 / this.#perSecond;
    if (restedAtMs > nowMs + BURST_MS) return false;
    this.#restedAtMs = restedAtMs;
    return true;
  }
}
