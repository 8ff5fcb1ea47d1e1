import type { ContractKey } from '../../contract/key.ts';
import { Usage } from './usage.ts';

/** From so many principals on, those that use nothing are looked for, each time they have doubled. */
const LEAST_SWEEP_SIZE = 10_000;

/** Whom usage is counted for: a principal. */
interface Somebody {
  readonly id: string;
}

/** The usage of every principal that uses anything. */
export class Usages {
  readonly #usages = new Map<string, Usage>();
  /** Who was the first to ask for a contract that IME has neither accepted nor refused yet. */
  readonly #askers = new Map<ContractKey, string>();
  /** How many principals have a contract in subscriptions. */
  readonly #wanters = new Map<ContractKey, number>();
  /** For whom a contract that no subscription has is still asked of IME. */
  readonly #lingerers = new Map<ContractKey, string>();
  #sweepSize = LEAST_SWEEP_SIZE;

  /** The usage of a principal; kept for as long as anything is used. */
  of({ id }: Somebody): Usage {
    let usage = this.#usages.get(id);
    if (usage === undefined) {
      if (this.#usages.size >= this.#sweepSize) this.#sweep();
      usage = new Usage();
      this.#usages.set(id, usage);
    }
    return usage;
  }

  /** Forgets a principal that uses nothing. */
  release({ id }: Somebody): void {
    if (this.#usages.get(id)?.isIdle) this.#usages.delete(id);
  }

  /** A contract that the gateway did not hold is asked of IME for a principal, who may not stay. */
  asked(key: ContractKey, principal: Somebody): void {
    const { id } = principal;
    const usage = this.of(principal);
    this.#askers.set(key, id);
    usage.unproven++;
    this.#lingerers.set(key, id);
    usage.lingering.add(key);
  }

  /** Who was the first to ask for a contract; `undefined` as soon as IME has accepted or refused it. */
  askerOf(key: ContractKey): string | undefined {
    return this.#askers.get(key);
  }

  /** IME accepts a contract. */
  answered(key: ContractKey): void {
    this.#settle(key);
  }

  /** IME refuses a contract. */
  refused(key: ContractKey): void {
    this.#settle(key, (usage) => usage.unknownContract());
  }

  /** The gateway holds a contract no longer. */
  dropped(key: ContractKey): void {
    this.#settle(key);
    this.#lingersNoMore(key);
  }

  /** A principal has a subscription of contracts. */
  want(keys: readonly ContractKey[], principal: Somebody): void {
    const usage = this.of(principal);
    for (const key of keys) {
      if (usage.want(key)) this.#wanters.set(key, (this.#wanters.get(key) ?? 0) + 1);
      this.#lingersNoMore(key);
    }
  }

  /**
   * A principal has one subscription of contracts less.
   *
   * @param lingers whether a contract that nobody wants is still asked of IME for a while
   */
  leave(
    keys: readonly ContractKey[],
    principal: Somebody,
    lingers: (key: ContractKey) => boolean,
  ): void {
    const { id } = principal;
    const usage = this.of(principal);
    for (const key of keys) {
      if (!usage.leave(key)) continue;
      const left = (this.#wanters.get(key) ?? 1) - 1;
      if (left > 0) {
        this.#wanters.set(key, left);
        continue;
      }
      this.#wanters.delete(key);
      if (lingers(key)) {
        this.#lingerers.set(key, id);
        usage.lingering.add(key);
      }
    }
  }

  /** Something is known of a contract. @param tell is told the usage of who was the first to ask for it */
  #settle(key: ContractKey, tell: (usage: Usage) => void = () => {}): void {
    const id = this.#askers.get(key);
    if (id === undefined) return;
    this.#askers.delete(key);
    const usage = this.#usages.get(id);
    if (usage === undefined) return;
    usage.unproven--;
    tell(usage);
    if (usage.isIdle) this.#usages.delete(id);
  }

  #lingersNoMore(key: ContractKey): void {
    const id = this.#lingerers.get(key);
    if (id === undefined) return;
    this.#lingerers.delete(key);
    const usage = this.#usages.get(id);
    usage?.lingering.delete(key);
    if (usage?.isIdle) this.#usages.delete(id);
  }

  /** Those whose unknown contracts are more than a minute old are not told of again. */
  #sweep(): void {
    for (const [id, usage] of this.#usages) if (usage.isIdle) this.#usages.delete(id);
    this.#sweepSize = Math.max(LEAST_SWEEP_SIZE, 2 * this.#usages.size);
  }
}
