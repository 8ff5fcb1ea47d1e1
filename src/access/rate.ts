/** Lets so many events a second through, and twice that at once after a rest. */
export class RateLimit {
  readonly #perSecond: number;
  #tokens: number;
  #atMs: number;

  constructor(perSecond: number) {
    this.#perSecond = perSecond;
    this.#tokens = perSecond * 2;
    this.#atMs = performance.now();
  }

  /** Takes one event. @returns whether it is within the rate */
  take(): boolean {
    const nowMs = performance.now();
    const refilled = this.#tokens + ((nowMs - this.#atMs) / 1000) * this.#perSecond;
    this.#atMs = nowMs;
    this.#tokens = Math.min(refilled, this.#perSecond * 2);
    if (this.#tokens < 1) return false;
    this.#tokens--;
    return true;
  }
}
