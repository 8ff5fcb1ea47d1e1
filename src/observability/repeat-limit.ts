/**
 * Lets the first of equal events through and then one in a while, with the number of those held back
 * in between: so that a fault repeated a thousand times a second is logged, not flooded.
 */
export class RepeatLimit {
  readonly #intervalMs: number;
  readonly #events = new Map<string, { nextAtMs: number; held: number }>();

  /** @param intervalMs how long equal events are held back after one was let through */
  constructor(intervalMs: number) {
    this.#intervalMs = intervalMs;
  }

  /**
   * @param event what makes events equal; from a small fixed set, for each is remembered
   * @returns how many equal events were held back since the last one let through, or `undefined`
   *   where this one is held back
   */
  pass(event: string): number | undefined {
    const nowMs = performance.now();
    const known = this.#events.get(event);
    if (known !== undefined && nowMs < known.nextAtMs) {
      known.held++;
      return undefined;
    }
    this.#events.set(event, { nextAtMs: nowMs + this.#intervalMs, held: 0 });
    return known?.held ?? 0;
  }
}
