import type { ContractKey } from '../contract/key.ts';
import { once } from '../lib/once.ts';
import type { AccessLimits, LimitCode, LimitExceeded, LimitName } from './limit.ts';
import type { Principal } from './principal.ts';
import { RateLimit } from './rate.ts';
import type { Session } from './session.ts';
import type { SharedConnection, SharedSubscription } from './shared-places.ts';
import type { Usages } from './usage/usages.ts';

/** What a connection's quota needs of those of all others. */
export interface QuotaKeeper {
  readonly limits: AccessLimits;
  readonly usages: Usages;
  /** A subscription of `principal` has these contracts. @throws LimitExceeded where that is too much */
  want(keys: readonly ContractKey[], principal: Principal): void;
  /** It has them no more. */
  leave(keys: readonly ContractKey[], principal: Principal): void;
  /** The error of a limit that was run into, counted. */
  exceeded(limit: LimitName, code: LimitCode, message: string, most?: number): LimitExceeded;
  /** The error of operations that come too fast, counted. */
  tooFast(): LimitExceeded;
  /** @throws LimitExceeded where the principal's operations come too fast */
  operation(principal: Principal, address: string): void;
  /** @throws LimitExceeded where too many of the principal's operations run or wait */
  begin(principal: Principal): () => void;
  /** A connection from `address` has ended. */
  left(address: string): void;
  /** What may be refused for all processes, counted where it is. */
  counting<Taken>(taking: Promise<Taken>): Promise<Taken>;
}

/** What subscriptions are told apart by, in all processes. */
export interface SharedSelection {
  readonly selection: string;
}

/** What one connection uses of what it may: a WebSocket, or an HTTP request that streams. */
export class ConnectionQuota {
  readonly #keeper: QuotaKeeper;
  readonly #address: string;
  readonly #rate: RateLimit;
  readonly #place: SharedConnection | undefined;
  #session: Session | undefined;
  /** Whose usage the connection is counted in. */
  #principal: Principal | undefined;
  #subscriptions = 0;
  #inFlight = 0;
  #contracts = 0;
  #left = false;

  /**
   * @param address where the connection comes from
   * @param place where there are other processes: its place among the connections of all of them
   */
  constructor(keeper: QuotaKeeper, address: string, place?: SharedConnection) {
    this.#keeper = keeper;
    this.#address = address;
    this.#place = place;
    this.#rate = new RateLimit(keeper.limits.operationsPerSecond);
  }

  /** Where the connection comes from. */
  get address(): string {
    return this.#address;
  }

  /** Who is on the connection; `undefined` until that is known. */
  get session(): Session | undefined {
    return this.#session;
  }

  /**
   * Who is on the connection becomes known, at once where this process is alone.
   *
   * @throws LimitExceeded where they have too many connections, in all processes
   */
  identifying(session: Session): Promise<void> | undefined {
    if (this.#place === undefined) {
      this.identify(session);
      return undefined;
    }
    const identified = this.#place.identify(session.principal);
    return this.#keeper.counting(identified).then(() => this.identify(session));
  }

  /**
   * Who is on the connection becomes known.
   *
   * @throws LimitExceeded where they have too many connections
   */
  identify(session: Session): void {
    if (this.#left) return;
    this.join(session.principal);
    this.#session = session;
  }

  /** The connection counts for a principal. @throws LimitExceeded where it has too many connections */
  join(principal: Principal): void {
    const usage = this.#keeper.usages.of(principal);
    const most = principal.limits.connections ?? this.#keeper.limits.perPrincipal.connections;
    if (usage.connections >= most) {
      throw this.#keeper.exceeded(
        'connections_per_principal',
        'RATE_LIMITED',
        `expected at most ${most} connections of one principal`,
        most,
      );
    }
    usage.connections++;
    this.#principal = principal;
  }

  /**
   * A subscription is about to open: where there are other processes, what it takes is taken from what they all
   * may before {@link subscribe}.
   *
   * @returns `undefined` where this process is alone
   * @throws LimitExceeded where it would be too much for all processes
   */
  reserve(
    keys: readonly ContractKey[],
    { selection }: SharedSelection,
  ): Promise<SharedSubscription> | undefined {
    const principal = this.#session?.principal ?? this.#principal;
    if (this.#place === undefined || principal === undefined) return undefined;
    return this.#keeper.counting(this.#place.want(keys, principal, selection));
  }

  /** @throws LimitExceeded where operations come faster than they may */
  operation(): void {
    if (!this.#rate.take()) throw this.#keeper.tooFast();
    if (this.#principal !== undefined) this.#keeper.operation(this.#principal, this.#address);
  }

  /**
   * An operation begins that runs or waits until it is answered.
   *
   * @returns gives its place back; harmless when repeated
   * @throws LimitExceeded where there are too many
   */
  begin(): () => void {
    const { operationsInFlight } = this.#keeper.limits;
    if (this.#inFlight >= operationsInFlight) {
      throw this.#keeper.exceeded(
        'operations_in_flight',
        'RATE_LIMITED',
        `expected at most ${operationsInFlight} operations of one connection at once`,
        operationsInFlight,
      );
    }
    const ofPrincipal =
      this.#principal === undefined ? () => {} : this.#keeper.begin(this.#principal);
    this.#inFlight++;
    return once(() => {
      this.#inFlight--;
      ofPrincipal();
    });
  }

  /**
   * A subscription opens.
   *
   * @param keys its contracts, each of which may be seen
   * @param selection what its selection is shared by
   * @throws LimitExceeded where it would be too much
   */
  subscribe(keys: readonly ContractKey[], selection: object): void {
    const { limits } = this.#keeper;
    // As it is known by now: its limits may have been changed.
    const principal = this.#session?.principal ?? (this.#principal as Principal);
    const usage = this.#keeper.usages.of(principal);
    const contracts = keys.length;
    this.#atMost(
      this.#subscriptions + 1,
      limits.subscriptionsPerConnection,
      'subscriptions_per_connection',
      'subscriptions on one connection',
    );
    this.#atMost(
      this.#contracts + contracts,
      limits.contractsPerConnection,
      'contracts_per_connection',
      'contracts on one connection',
    );
    this.#atMost(
      usage.selectionsWith(selection),
      limits.perPrincipal.selections,
      'selections_per_principal',
      'different selections in the subscriptions of one principal',
    );
    this.#keeper.want(keys, principal);
    this.#subscriptions++;
    this.#contracts += contracts;
    usage.useSelection(selection);
  }

  /** A subscription has ended that was opened with the same contracts and selection. */
  unsubscribe(keys: readonly ContractKey[], selection: object): void {
    const principal = this.#principal as Principal;
    const usage = this.#keeper.usages.of(principal);
    this.#subscriptions--;
    this.#contracts -= keys.length;
    this.#keeper.leave(keys, principal);
    usage.leaveSelection(selection);
    this.#keeper.usages.release(principal);
  }

  /** The connection is gone. Harmless when repeated. */
  leave(): void {
    if (this.#left) return;
    this.#left = true;
    this.#keeper.left(this.#address);
    this.#place?.leave();
    if (this.#principal === undefined) return;
    this.#keeper.usages.of(this.#principal).connections--;
    this.#keeper.usages.release(this.#principal);
  }

  #atMost(would: number, most: number, limit: LimitName, what: string): void {
    if (would <= most) return;
    const code =
      limit === 'subscriptions_per_connection'
        ? 'TOO_MANY_SUBSCRIPTIONS'
        : limit === 'selections_per_principal'
          ? 'QUERY_TOO_COMPLEX'
          : 'TOO_MANY_CONTRACTS';
    const message = `expected at most ${most} ${what}, got ${would}`;
    throw this.#keeper.exceeded(limit, code, message, most);
  }
}
