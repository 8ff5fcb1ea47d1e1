import type { ContractKey } from '../contract/key.ts';
import type { Principal } from './principal.ts';

/**
 * What several processes may take together, as one of them knows it: it asks before it takes. Whatever it has
 * taken is given back for it where it ends without doing so.
 */
export interface SharedPlaces {
  /** A connection begins. @throws LimitExceeded where there are too many in all processes */
  enter(address: string): Promise<SharedConnection>;
  /**
   * Contracts are about to be asked for in a query of somebody: they are held for a while.
   *
   * @throws LimitExceeded as `ContractShares.ask` does, for all processes
   */
  ask(keys: readonly ContractKey[], principal: Principal): Promise<void>;
}

/** A connection's place among those of all processes. */
export interface SharedConnection {
  /** Who is on it becomes known. @throws LimitExceeded where they have too many connections in all processes */
  identify(principal: Principal): Promise<void>;
  /**
   * A subscription of somebody on it is about to begin: its contracts are held, and everything that is known of
   * them is told, before this comes back.
   *
   * @param selection what is selected, as a text
   * @throws LimitExceeded as `ContractShares.want` does, for all processes
   */
  want(
    keys: readonly ContractKey[],
    principal: Principal,
    selection: string,
  ): Promise<SharedSubscription>;
  /** The connection is gone. */
  leave(): void;
}

/** A subscription's place among those of all processes. */
export interface SharedSubscription {
  /** Gives it back; harmless when repeated. */
  giveBack(): void;
}
