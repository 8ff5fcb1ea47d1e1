import type { ContractKey } from '../contract/key.ts';
import type { Principal } from './principal.ts';

/** Over how long unknown contracts are counted, in milliseconds. */
const UNKNOWN_WINDOW_MS = 60_000;
/** From so many principals on, those that use nothing are looked for, each time they have doubled. */
const LEAST_SWEEP_SIZE = 10_000;

/** What one principal uses of the gateway, over all its connections. */
export class Usage {
  connections = 0;
  contracts = 0;
  /** Queries that run or wait. */
  inFlight = 0;
  readonly #selections = new Map<object, number>();
  /** When IME refused a contract that this principal was the first to ask for, by `performance.now()`. */
  #unknownAtMs: number[] = [];

  /** Whether nothing is used and nothing is remembered. */
  get isIdle(): boolean {
    return this.connections + this.contracts + this.inFlight === 0 && this.unknownContracts === 0;
  }

  /** Contracts within the last minute that IME turned out not to know. */
  get unknownContracts(): number {
    const sinceMs = performance.now() - UNKNOWN_WINDOW_MS;
    if (this.#unknownAtMs.length > 0) {
      this.#unknownAtMs = this.#unknownAtMs.filter((atMs) => atMs > sinceMs);
    }
    return this.#unknownAtMs.length;
  }

  /** Another contract that IME does not know. */
  unknownContract(): void {
    this.#unknownAtMs.push(performance.now());
  }

  /** How many selections are in use, with `selection` among them. */
  selectionsWith(selection: object): number {
    return this.#selections.size + (this.#selections.has(selection) ? 0 : 1);
  }

  /** One more subscription has the selection. */
  useSelection(selection: object): void {
    this.#selections.set(selection, (this.#selections.get(selection) ?? 0) + 1);
  }

  /** One subscription less has it. */
  leaveSelection(selection: object): void {
    const left = (this.#selections.get(selection) ?? 0) - 1;
    if (left > 0) this.#selections.set(selection, left);
    else this.#selections.delete(selection);
  }
}

/** The usage of every principal that uses anything. */
export class Usages {
  readonly #usages = new Map<string, Usage>();
  /** Who was the first to ask for a contract of which nothing is known yet. */
  readonly #askers = new Map<ContractKey, string>();
  #sweepSize = LEAST_SWEEP_SIZE;

  /** The usage of a principal; kept for as long as anything is used. */
  of({ id }: Principal): Usage {
    let usage = this.#usages.get(id);
    if (usage === undefined) {
      if (this.#usages.size >= this.#sweepSize) this.#sweep();
      usage = new Usage();
      this.#usages.set(id, usage);
    }
    return usage;
  }

  /** Forgets a principal that uses nothing. */
  release({ id }: Principal): void {
    if (this.#usages.get(id)?.isIdle) this.#usages.delete(id);
  }

  /** A contract that the gateway did not hold is asked of IME for a principal. */
  asked(key: ContractKey, { id }: Principal): void {
    this.#askers.set(key, id);
  }

  /** What was asked for turned out to exist (or is no longer held): nobody is to blame. */
  answered(key: ContractKey): void {
    this.#askers.delete(key);
  }

  /** IME refuses a contract. */
  refused(key: ContractKey): void {
    const asker = this.#askers.get(key);
    if (asker === undefined) return;
    this.#askers.delete(key);
    this.#usages.get(asker)?.unknownContract();
  }

  /** Those whose unknown contracts are more than a minute old are not told of again. */
  #sweep(): void {
    for (const [id, usage] of this.#usages) if (usage.isIdle) this.#usages.delete(id);
    this.#sweepSize = Math.max(LEAST_SWEEP_SIZE, 2 * this.#usages.size);
  }
}
