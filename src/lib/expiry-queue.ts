import { type Clock, systemClock } from './clock.ts';

/**
 * Keys that expire a fixed time after they were added, unless they are taken out before. One timer serves
 * all: the time is the same for each, so the order of adding is the order of expiring.
 */
export class ExpiryQueue<K> {
  readonly #dueAtMs = new Map<K, number>();
  readonly #afterMs: number;
  readonly #expire: (key: K) => void;
  readonly #clock: Clock;
  #disarm: (() => void) | undefined;

  /** @param afterMs the time from adding a key to `expire`, in milliseconds */
  constructor(afterMs: number, expire: (key: K) => void, clock: Clock = systemClock) {
    this.#clock = clock;
    this.#afterMs = afterMs;
    this.#expire = expire;
  }

  /** Lets `key` expire, its time counted from now. */
  add(key: K): void {
    this.#dueAtMs.delete(key);
    this.#dueAtMs.set(key, this.#clock.monotonicMs() + this.#afterMs);
    if (this.#disarm === undefined) this.#arm(this.#afterMs);
  }

  /** Keeps `key`. */
  delete(key: K): void {
    if (this.#dueAtMs.delete(key) && this.#dueAtMs.size === 0) this.#rest();
  }

  /** Whether `key` is going to expire. */
  has(key: K): boolean {
    return this.#dueAtMs.has(key);
  }

  /** How many keys are going to expire. */
  get size(): number {
    return this.#dueAtMs.size;
  }

  /**
   * Takes out the keys that would be the next to expire, without letting them.
   *
   * @param count how many, at most
   * @param which those that count
   */
  takeOldest(count: number, which: (key: K) => boolean): K[] {
    const taken: K[] = [];
    for (const key of this.#dueAtMs.keys()) {
      if (taken.length >= count) break;
      if (which(key)) taken.push(key);
    }
    for (const key of taken) this.delete(key);
    return taken;
  }

  /** Keeps every key and ends the timer. */
  clear(): void {
    this.#dueAtMs.clear();
    this.#rest();
  }

  #arm(inMs: number): void {
    this.#disarm = this.#clock.setTimeout(() => this.#expireDue(), inMs);
  }

  #rest(): void {
    this.#disarm?.();
    this.#disarm = undefined;
  }

  #expireDue(): void {
    this.#disarm = undefined;
    const nowMs = this.#clock.monotonicMs();
    const due: K[] = [];
    for (const [key, dueAtMs] of this.#dueAtMs) {
      if (dueAtMs > nowMs) {
        this.#arm(dueAtMs - nowMs);
        break;
      }
      due.push(key);
    }
    for (const key of due) this.#dueAtMs.delete(key);
    for (const key of due) this.#expire(key);
  }
}
