import type { ContractKey } from '../../contract/key.ts';

/** Over how long unknown contracts are counted, in milliseconds. */
const UNKNOWN_WINDOW_MS = 60_000;

/** What one principal uses of the gateway, over all its connections. */
export class Usage {
  connections = 0;
  /** Queries that run or wait. */
  inFlight = 0;
  /** Contracts that it was the first to ask for, and of which IME has said nothing yet. */
  unproven = 0;
  /** Contracts that nobody wants any more and that are still asked of IME for this principal, the longest first. */
  readonly lingering = new Set<ContractKey>();
  /** The contracts of its subscriptions, each with how many of them it is in. */
  readonly #wanted = new Map<ContractKey, number>();
  readonly #selections = new Map<object | string, number>();
  /** When IME refused a contract that this principal was the first to ask for, by `performance.now()`. */
  #unknownAtMs: number[] = [];

  /** Whether nothing is used and nothing is remembered. */
  get isIdle(): boolean {
    const used = this.connections + this.inFlight + this.unproven + this.contracts;
    return used === 0 && this.unknownContracts === 0;
  }

  /** Distinct contracts that are asked of IME for it. */
  get contracts(): number {
    return this.#wanted.size + this.lingering.size;
  }

  /** Whether the contract is in any of its subscriptions. */
  wants(key: ContractKey): boolean {
    return this.#wanted.has(key);
  }

  /** One more subscription has the contract. @returns whether it is the principal's first */
  want(key: ContractKey): boolean {
    const count = this.#wanted.get(key) ?? 0;
    this.#wanted.set(key, count + 1);
    return count === 0;
  }

  /** One subscription less has it. @returns whether it was the principal's last */
  leave(key: ContractKey): boolean {
    const left = (this.#wanted.get(key) ?? 1) - 1;
    if (left > 0) this.#wanted.set(key, left);
    else this.#wanted.delete(key);
    return left === 0;
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
  selectionsWith(selection: object | string): number {
    return this.#selections.size + (this.#selections.has(selection) ? 0 : 1);
  }

  /** One more subscription has the selection. */
  useSelection(selection: object | string): void {
    this.#selections.set(selection, (this.#selections.get(selection) ?? 0) + 1);
  }

  /** One subscription less has it. */
  leaveSelection(selection: object | string): void {
    const left = (this.#selections.get(selection) ?? 0) - 1;
    if (left > 0) this.#selections.set(selection, left);
    else this.#selections.delete(selection);
  }
}
