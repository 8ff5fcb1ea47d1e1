import type { ContractKey } from '../contract/key.ts';
import type { AccessLimits, LimitCode, LimitExceeded, LimitName } from './limit.ts';
import type { Principal } from './principal.ts';
import type { Usages } from './usage/usages.ts';

/** What is asked of the hub before contracts are asked of it. */
export interface ContractHolder {
  /** Whether the contract is held already. */
  holds(key: ContractKey): boolean;
  /** Whether the contract is held only while somebody wants it, and a while longer. */
  holdsOnDemand(key: ContractKey): boolean;
  /** Whether the contract is held although nobody wants it any more, and will be let go. */
  lingers(key: ContractKey): boolean;
  /**
   * Makes room for contracts, `most` in all; others that nobody wants any more are let go for them.
   *
   * @param letGo contracts that linger, to be let go in any case
   * @returns whether there is room; nothing is let go where there is not
   */
  makeRoom(wanted: readonly ContractKey[], most: number, letGo: readonly ContractKey[]): boolean;
  /** Somebody else asks for contracts that are held and of which IME has said nothing yet. */
  askedToo(keys: readonly ContractKey[], asker: string): void;
}

/** What the shares need of the limits and of what is used. */
interface ShareKeeper {
  readonly limits: AccessLimits;
  readonly usages: Usages;
  /** The error of a limit that was run into, counted. */
  exceeded(limit: LimitName, code: LimitCode, message: string, most?: number): LimitExceeded;
}

/**
 * Which contracts are asked of the hub for whom: the one place that knows the bound of all of them, each
 * principal's share, and who asks for contracts that do not exist.
 */
export class ContractShares {
  readonly #holder: ContractHolder;
  readonly #keeper: ShareKeeper;

  constructor(holder: ContractHolder, keeper: ShareKeeper) {
    this.#holder = holder;
    this.#keeper = keeper;
  }

  /**
   * Contracts are about to be asked of the hub for a query of somebody. Those not held yet count for them
   * for as long as they are held.
   *
   * @throws LimitExceeded where there is no room for those not held yet, or where the principal has
   *   asked for too many that are not known to exist; nothing is taken then
   */
  ask(keys: readonly ContractKey[], principal: Principal): void {
    const added = keys.filter((key) => !this.#holder.holds(key));
    this.#takeRoom(keys, added, added.length, principal);
  }

  /**
   * The same for a subscription, which wants all of them until {@link leave}.
   *
   * @throws LimitExceeded as {@link ask} does
   */
  want(keys: readonly ContractKey[], principal: Principal): void {
    const usage = this.#keeper.usages.of(principal);
    const added = keys.filter((key) => !this.#holder.holds(key));
    let counted = 0;
    for (const key of keys) if (!usage.wants(key) && !usage.lingering.has(key)) counted++;
    this.#takeRoom(keys, added, counted, principal);
    this.#keeper.usages.want(keys, principal);
  }

  /** A subscription of contracts has ended. */
  leave(keys: readonly ContractKey[], principal: Principal): void {
    this.#keeper.usages.leave(keys, principal, (key) => {
      if (this.#holder.holdsOnDemand(key)) return true;
      // One that never came so far as to be asked of IME is not waited for.
      this.#keeper.usages.dropped(key);
      return false;
    });
  }

  /** @param counted how many contracts more are then asked of IME for the principal */
  #takeRoom(
    keys: readonly ContractKey[],
    added: readonly ContractKey[],
    counted: number,
    principal: Principal,
  ): void {
    const letGo = this.#lettingGo(keys, counted, principal);
    const { upstreamContracts } = this.#keeper.limits;
    if (added.length > 0) this.#mayAskMore(added.length, principal);
    if (added.length + letGo.length > 0 && !this.#holder.makeRoom(keys, upstreamContracts, letGo)) {
      throw this.#keeper.exceeded(
        'upstream_contracts',
        'TOO_MANY_CONTRACTS',
        `the gateway asks IME for at most ${upstreamContracts} contracts at once`,
        upstreamContracts,
      );
    }
    const { id } = principal;
    const others = keys.filter((key) => (this.#keeper.usages.askerOf(key) ?? id) !== id);
    if (others.length > 0) this.#holder.askedToo(others, id);
    for (const key of added) this.#keeper.usages.asked(key, principal);
  }

  /**
   * Which contracts that linger for a principal are let go for others that it asks for, so that it keeps to
   * its share.
   */
  #lettingGo(keys: readonly ContractKey[], counted: number, principal: Principal): ContractKey[] {
    const most = principal.limits.contracts ?? this.#keeper.limits.perPrincipal.contracts;
    const { contracts, lingering } = this.#keeper.usages.of(principal);
    const excess = contracts + counted - most;
    if (counted === 0 || excess <= 0) return [];
    const kept = new Set(keys);
    const letGo: ContractKey[] = [];
    for (const key of lingering) {
      if (letGo.length === excess) break;
      if (!kept.has(key) && this.#holder.lingers(key)) letGo.push(key);
    }
    if (letGo.length === excess) return letGo;
    const would = contracts + counted - letGo.length;
    throw this.#keeper.exceeded(
      'contracts_per_principal',
      'TOO_MANY_CONTRACTS',
      `expected at most ${most} contracts of one principal, got ${would}`,
      most,
    );
  }

  /** @throws LimitExceeded where a principal has asked for too many contracts that may not exist */
  #mayAskMore(added: number, principal: Principal): void {
    const { unknownContracts, unprovenContracts } = this.#keeper.limits.perPrincipal;
    const usage = this.#keeper.usages.of(principal);
    if (usage.unknownContracts >= unknownContracts) {
      throw this.#keeper.exceeded(
        'unknown_contracts_per_minute',
        'RATE_LIMITED',
        `expected at most ${unknownContracts} unknown contracts a minute`,
        unknownContracts,
      );
    }
    const would = usage.unproven + added;
    if (would > unprovenContracts) {
      throw this.#keeper.exceeded(
        'unproven_contracts_per_principal',
        'RATE_LIMITED',
        `expected at most ${unprovenContracts} contracts of one principal that IME has not accepted yet, got ${would}`,
        unprovenContracts,
      );
    }
  }
}
