import type { ContractKey } from '../../contract/key.ts';

const FIRST_MS = 60_000;
const CAP_MS = 15 * 60_000;
const INFERRED_MS = 5_000;
const POSTPONED_MS = 10_000;
/** How many refused contracts are remembered: past it the one remembered longest is forgotten. */
const MOST_REMEMBERED = 50_000;

/** Which contracts IME refused, for how long that is believed, and how often it was so. */
export class InvalidMemory {
  readonly #refused = new Map<ContractKey, { strikes: number; retestAtMs: number }>();

  /**
   * IME refused the contract (again): believed for a minute, twice as long each time, 15 min at most.
   *
   * @param inferred whether it was never refused alone: then it is tried alone soon
   */
  convict(key: ContractKey, nowMs: number, inferred = false): void {
    const strikes = (this.#refused.get(key)?.strikes ?? 0) + (inferred ? 0 : 1);
    const believedMs = inferred ? INFERRED_MS : Math.min(CAP_MS, FIRST_MS * 2 ** (strikes - 1));
    this.#refused.delete(key);
    this.#refused.set(key, { strikes, retestAtMs: nowMs + believedMs });
    if (this.#refused.size <= MOST_REMEMBERED) return;
    for (const oldest of this.#refused.keys()) {
      this.#refused.delete(oldest);
      return;
    }
  }

  /** A try brought no answer: the next one comes in a while. */
  postpone(key: ContractKey, nowMs: number): void {
    const known = this.#refused.get(key);
    if (known !== undefined) known.retestAtMs = nowMs + POSTPONED_MS;
  }

  /** IME accepts the contract after all. */
  forget(key: ContractKey): void {
    this.#refused.delete(key);
  }

  has(key: ContractKey): boolean {
    return this.#refused.has(key);
  }

  /** From when on, by the monotonic clock, the contract may be tried again; `undefined` for one not refused. */
  retestAtMs(key: ContractKey): number | undefined {
    return this.#refused.get(key)?.retestAtMs;
  }
}
