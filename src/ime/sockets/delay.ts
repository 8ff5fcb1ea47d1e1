/** More than this above the smallest delay seen, in milliseconds, and a state is late. */
const LATE_MS = 2_000;
/** How long a smallest delay is believed: a clock that was set is not held against IME for ever. */
const WINDOW_MS = 10 * 60_000;

/**
 * Tells how late messages are. IME's timestamps have no zone and its clock is not ours, so only
 * differences count: the delay of a message is received − timestamp, less the smallest such
 * difference seen lately.
 */
export class DelayMeter {
  /** The smallest differences of the window that runs and of the one before it. */
  #current = Number.POSITIVE_INFINITY;
  #previous = Number.POSITIVE_INFINITY;
  #windowEndsAtMs = 0;
  #candidate: number | undefined;

  /**
   * @param receivedAtMs by the monotonic clock
   * @param timestampMs epoch milliseconds as IME's timestamp says, right but for a constant
   * @param nowMs by the monotonic clock
   * @returns by how many milliseconds the message is late, 0 where it is not
   */
  lateByMs(receivedAtMs: number, timestampMs: number, nowMs: number): number {
    const difference = receivedAtMs - timestampMs;
    this.#turn(nowMs);
    const smallest = Math.min(this.#current, this.#previous);
    if (difference < smallest - LATE_MS && Number.isFinite(smallest)) {
      // One timestamp from the future would make all others look late: a second one must agree.
      const agrees =
        this.#candidate !== undefined && Math.abs(difference - this.#candidate) <= LATE_MS;
      this.#candidate = difference;
      if (agrees) this.#current = difference;
      return 0;
    }
    if (difference < this.#current) this.#current = difference;
    const late = difference - Math.min(this.#current, this.#previous);
    return late > LATE_MS ? late : 0;
  }

  #turn(nowMs: number): void {
    if (nowMs < this.#windowEndsAtMs) return;
    this.#previous = this.#windowEndsAtMs === 0 ? Number.POSITIVE_INFINITY : this.#current;
    this.#current = Number.POSITIVE_INFINITY;
    this.#windowEndsAtMs = nowMs + WINDOW_MS;
  }
}
