import type { Access } from '../../access/access.ts';
import { NOBODY, type Principal } from '../../access/principal.ts';
import type { ConnectionQuota } from '../../access/quota.ts';
import type { ContractKey } from '../../contract/key.ts';
import type { Channel } from '../link/channel.ts';
import type { CountedPrincipal } from './worker-places.ts';

/** What holds the contracts that workers ask for. */
export interface SharedHolder {
  /** Has contracts held from now on, for as long as somebody wants them and a while longer. */
  hold(keys: readonly ContractKey[]): void;
  /** What is known of contracts is told a worker before what is said to it next. */
  tellFirst(channel: Channel, keys: readonly ContractKey[]): void;
}

interface Wish {
  readonly keys: readonly ContractKey[];
  readonly principal: CountedPrincipal;
}

interface Subscription extends Wish {
  readonly subscription: number;
  readonly selection: string;
}

/** What one worker has taken, by the numbers that it gives. */
interface Taken {
  readonly connections: Map<number, ConnectionQuota>;
  readonly subscriptions: Map<number, Subscription>;
}

/** Counts what all workers take together, and gives back what a worker had that ends. */
export class PrimaryPlaces {
  readonly #access: Access;
  readonly #holder: SharedHolder;

  /** @param access whose limits are those of all workers together */
  constructor(access: Access, holder: SharedHolder) {
    this.#access = access;
    this.#holder = holder;
  }

  /** A worker has come. */
  serve(channel: Channel): void {
    const taken: Taken = { connections: new Map(), subscriptions: new Map() };
    const { connections, subscriptions } = taken;
    channel.answers('enter', (place: { connection: number; address: string }) => {
      connections.set(place.connection, this.#access.enter(place.address));
    });
    channel.answers('identify', (who: { connection: number; principal: CountedPrincipal }) => {
      connections.get(who.connection)?.join(whole(who.principal));
    });
    channel.answers('leave', ({ connection }: { connection: number }) => {
      connections.get(connection)?.leave();
      connections.delete(connection);
    });
    channel.answers('want', (wish: Subscription) => {
      this.#want(wish);
      subscriptions.set(wish.subscription, wish);
      this.#holder.tellFirst(channel, wish.keys);
    });
    channel.answers('giveBack', ({ subscription }: { subscription: number }) => {
      const wish = subscriptions.get(subscription);
      if (wish !== undefined) this.#leave(wish);
      subscriptions.delete(subscription);
    });
    channel.answers('ask', ({ keys, principal }: Wish) => {
      this.#access.ask(keys, whole(principal));
      this.#holder.hold(keys);
      this.#holder.tellFirst(channel, keys);
    });
    channel.onClose(() => {
      for (const wish of subscriptions.values()) this.#leave(wish);
      for (const quota of connections.values()) quota.leave();
    });
  }

  #want({ keys, principal: { id, limits }, selection }: Subscription): void {
    const principal = whole({ id, limits });
    const usage = this.#access.usages.of(principal);
    const most = this.#access.limits.perPrincipal.selections;
    const would = usage.selectionsWith(selection);
    if (would > most) {
      throw this.#access.exceeded(
        'selections_per_principal',
        'QUERY_TOO_COMPLEX',
        `expected at most ${most} different selections in the subscriptions of one principal, got ${would}`,
        most,
      );
    }
    this.#access.want(keys, principal);
    usage.useSelection(selection);
    this.#holder.hold(keys);
  }

  #leave({ keys, principal, selection }: Subscription): void {
    const { usages } = this.#access;
    this.#access.leave(keys, whole(principal));
    usages.of(principal).leaveSelection(selection);
    usages.release(principal);
  }
}

/** As much of a principal as is counted; what it may see is not asked here. */
function whole({ id, limits }: CountedPrincipal): Principal {
  return { ...NOBODY, id, limits };
}
