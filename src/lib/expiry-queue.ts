/**
 * Keys that expire a fixed time after they were added, unless they are taken out before. One timer serves
 * all: the time is the same for each, so the order of adding is the order of expiring.
 */
export class ExpiryQueue<K> {
  readonly #dueAtMs = new Map<K, number>();
  readonly #afterMs: number;
  readonly #expire: (key: K) => void;
  #timer: NodeJS.Timeout | undefined;

  /** @param afterMs the time from adding a key to `expire`, in milliseconds */
  constructor(afterMs: number, expire: (key: K) => void) {
    this.#afterMs = afterMs;
    this.#expire = expire;
  }

  /** Lets `key` expire, its time counted from now. */
  add(key: K): void {
    this.#dueAtMs.delete(key);
    this.#dueAtMs.set(key, performance.now() + this.#afterMs);
    if (this.#timer === undefined) this.#arm(this.#afterMs);
  }

  /** Keeps `key`. */
  delete(key: K): void {
    if (this.#dueAtMs.delete(key) && this.#dueAtMs.size === 0) this.#disarm();
  }

  /** Whether `key` is going to expire. */
  has(key: K): boolean {
    return this.#dueAtMs.has(key);
  }

  /** How many keys are going to expire. */
  get size(): number {
    return this.#dueAtMs.size;
  }

  /** Lets the key expire now that would be the next. */
  expireOldest(): void {
    for (const key of this.#dueAtMs.keys()) {
      this.delete(key);
      this.#expire(key);
      return;
    }
  }

  /** Keeps every key and ends the timer. */
  clear(): void {
    this.#dueAtMs.clear();
    this.#disarm();
  }

  #arm(inMs: number): void {
    this.#timer = setTimeout(() => this.#expireDue(), inMs);
  }

  #disarm(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #expireDue(): void {
    this.#timer = undefined;
    const nowMs = performance.now();
    for (const [key, dueAtMs] of this.#dueAtMs) {
      if (dueAtMs > nowMs) {
        this.#arm(dueAtMs - nowMs);
        return;
      }
      this.#dueAtMs.delete(key);
      this.#expire(key);
    }
  }
}
