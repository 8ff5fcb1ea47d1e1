import type { ContractKey } from '../contract/key.ts';
import { once } from '../lib/once.ts';
import { RecentMap } from '../lib/recent-map.ts';
import type { Authenticator } from './authenticator.ts';
import { type ContractHolder, ContractShares } from './contract-shares.ts';
import {
  type AccessLimits,
  LIMITS,
  type LimitCode,
  LimitExceeded,
  type LimitName,
} from './limit.ts';
import type { Principal } from './principal.ts';
import { ConnectionQuota, type QuotaKeeper } from './quota.ts';
import { RateLimit } from './rate.ts';
import { Session, Sessions } from './session.ts';
import type { SharedConnection, SharedPlaces } from './shared-places.ts';
import { Usages } from './usage/usages.ts';

/** How many principals' rates are remembered: those that were silent longest are forgotten first. */
const MOST_RATES = 20_000;

/** Who is let in, and how much of the gateway each of them may use. */
export class Access implements QuotaKeeper {
  readonly limits: AccessLimits;
  readonly usages = new Usages();
  /** How often each limit was run into. */
  readonly hits = Object.fromEntries(LIMITS.map((name) => [name, 0])) as Record<LimitName, number>;
  /** How many tokens were refused. */
  refusals = 0;
  readonly #authenticator: Authenticator;
  readonly #shares: ContractShares;
  readonly #holder: ContractHolder;
  readonly #shared: SharedPlaces | undefined;
  readonly #sessions: Sessions;
  readonly #connectionsOfAddress = new Map<string, number>();
  readonly #rates = new RecentMap<string, RateLimit>(MOST_RATES);
  #connections = 0;

  /**
   * @param failed told of what throws when it is told of a session's end
   * @param shared where several processes have the same limits
   */
  constructor(
    authenticator: Authenticator,
    limits: AccessLimits,
    holder: ContractHolder,
    failed: (error: unknown) => void,
    shared?: SharedPlaces,
  ) {
    this.#holder = holder;
    this.#shared = shared;
    this.#sessions = new Sessions(failed);
    this.#authenticator = authenticator;
    this.limits = limits;
    this.#shares = new ContractShares(holder, this);
    authenticator.watch(() =>
      this.#sessions.recheck((principal) => authenticator.recheck(principal)),
    );
  }

  /** Whether everybody is let in without a token. */
  get open(): boolean {
    return this.#authenticator.open;
  }

  /** How many connections there are. */
  get connections(): number {
    return this.#connections;
  }

  /**
   * Who shows this token.
   *
   * @throws AccessRefused where they are not let in
   * @throws AccessUnavailable where that cannot be said now
   */
  async authenticate(token: string | undefined, address: string): Promise<Session> {
    try {
      const principal = await this.#authenticator.authenticate(token, address);
      return new Session(this.#sessions, principal);
    } catch (error) {
      this.refusals++;
      throw error;
    }
  }

  /**
   * Who a session is of, as of now: what was found out before something was waited for may have changed.
   *
   * @throws AccessRefused where they are not let in any more
   */
  current(session: Session): Principal {
    return session.current((principal) => this.#authenticator.recheck(principal));
  }

  /**
   * A connection begins, at once where this process is alone.
   *
   * @throws LimitExceeded where there are too many already, in all processes
   */
  come(address: string): ConnectionQuota | Promise<ConnectionQuota> {
    if (this.#shared === undefined) return this.enter(address);
    return this.counting(this.#shared.enter(address)).then((place) => {
      try {
        return this.enter(address, place);
      } catch (error) {
        place.leave();
        throw error;
      }
    });
  }

  /**
   * A connection begins.
   *
   * @param place its place among those of all processes, which it gives back
   * @throws LimitExceeded where there are too many already
   */
  enter(address: string, place?: SharedConnection): ConnectionQuota {
    const { connections, connectionsPerAddress } = this.limits;
    if (this.#connections >= connections) {
      throw this.exceeded(
        'connections',
        'RATE_LIMITED',
        'the gateway has no place for another connection',
      );
    }
    const ofAddress = this.#connectionsOfAddress.get(address) ?? 0;
    if (ofAddress >= connectionsPerAddress) {
      throw this.exceeded(
        'connections_per_address',
        'RATE_LIMITED',
        `expected at most ${connectionsPerAddress} connections from one address`,
        connectionsPerAddress,
      );
    }
    this.#connections++;
    this.#connectionsOfAddress.set(address, ofAddress + 1);
    return new ConnectionQuota(this, address, place);
  }

  /** A connection from `address` has ended. */
  left(address: string): void {
    this.#connections--;
    const left = (this.#connectionsOfAddress.get(address) ?? 1) - 1;
    if (left > 0) this.#connectionsOfAddress.set(address, left);
    else this.#connectionsOfAddress.delete(address);
  }

  /**
   * Contracts are about to be asked of the hub for a query of somebody.
   *
   * @throws LimitExceeded as {@link ContractShares.ask} does
   */
  ask(keys: readonly ContractKey[], principal: Principal): void {
    this.#shares.ask(keys, principal);
  }

  /**
   * {@link ask} for all processes together; at once where this one is alone.
   *
   * @throws LimitExceeded as {@link ContractShares.ask} does
   */
  asking(keys: readonly ContractKey[], principal: Principal): Promise<void> | undefined {
    if (this.#shared === undefined) {
      this.ask(keys, principal);
      return undefined;
    }
    if (keys.every((key) => this.#holder.holds(key))) return undefined;
    return this.counting(this.#shared.ask(keys, principal));
  }

  /**
   * The same for a subscription, which wants them until {@link leave}.
   *
   * @throws LimitExceeded as {@link ContractShares.want} does
   */
  want(keys: readonly ContractKey[], principal: Principal): void {
    this.#shares.want(keys, principal);
  }

  /** A subscription of contracts has ended. */
  leave(keys: readonly ContractKey[], principal: Principal): void {
    this.#shares.leave(keys, principal);
  }

  /**
   * A principal begins an operation, from wherever on however many connections.
   *
   * @throws LimitExceeded where they come faster than they may
   */
  operation({ id }: Principal, address: string): void {
    const { operationsPerSecond } = this.limits.perPrincipal;
    if (!Number.isFinite(operationsPerSecond)) return;
    const who = `${id} ${address}`;
    const rate = this.#rates.get(who) ?? new RateLimit(operationsPerSecond);
    this.#rates.set(who, rate);
    if (rate.take()) return;
    throw this.exceeded(
      'operations_per_second_per_principal',
      'RATE_LIMITED',
      `expected at most ${operationsPerSecond} operations a second of one principal`,
      operationsPerSecond,
    );
  }

  /**
   * A principal has one more operation that runs or waits.
   *
   * @returns gives its place back; harmless when repeated
   * @throws LimitExceeded where there are too many
   */
  begin(principal: Principal): () => void {
    const { operationsInFlight } = this.limits.perPrincipal;
    const usage = this.usages.of(principal);
    if (usage.inFlight >= operationsInFlight) {
      throw this.exceeded(
        'operations_in_flight_per_principal',
        'RATE_LIMITED',
        `expected at most ${operationsInFlight} operations of one principal at once`,
        operationsInFlight,
      );
    }
    usage.inFlight++;
    return once(() => {
      usage.inFlight--;
      this.usages.release(principal);
    });
  }

  /** What may be refused for all processes: a limit that was run into is counted here. */
  async counting<Taken>(taking: Promise<Taken>): Promise<Taken> {
    try {
      return await taking;
    } catch (error) {
      if (error instanceof LimitExceeded) this.hits[error.limit]++;
      throw error;
    }
  }

  /** The error of operations that come too fast, counted. */
  tooFast(): LimitExceeded {
    return this.exceeded(
      'operations_per_second',
      'RATE_LIMITED',
      `expected at most ${this.limits.operationsPerSecond} operations a second`,
      this.limits.operationsPerSecond,
    );
  }

  /** The error of an operation that costs too much, counted. */
  tooCostly(cost: number, most: number): LimitExceeded {
    const message = `expected an operation that costs at most ${most}, got one of ${cost}`;
    return this.exceeded('cost', 'QUERY_TOO_COMPLEX', message, most);
  }

  /** The error of a limit that was run into, counted. */
  exceeded(limit: LimitName, code: LimitCode, message: string, most?: number): LimitExceeded {
    this.hits[limit]++;
    return new LimitExceeded(limit, code, message, most);
  }

  /** Reads what tokens are checked against anew. */
  reload(): void {
    this.#authenticator.reload();
  }

  /** Ends every timer and watch. */
  close(): void {
    this.#sessions.close();
    this.#authenticator.close();
  }
}
