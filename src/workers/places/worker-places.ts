import { createHash } from 'node:crypto';
import type { Principal } from '../../access/principal.ts';
import type {
  SharedConnection,
  SharedPlaces,
  SharedSubscription,
} from '../../access/shared-places.ts';
import type { ContractKey } from '../../contract/key.ts';
import { once } from '../../lib/once.ts';
import { RecentMap } from '../../lib/recent-map.ts';
import type { Channel } from '../link/channel.ts';

/** How many selections are known by name. */
const MOST_SELECTIONS = 1_000;

/** A principal as the process that counts needs to know it. */
export type CountedPrincipal = Pick<Principal, 'id' | 'limits'>;

/** What all processes may together, as a worker asks for it. */
export class WorkerPlaces implements SharedPlaces {
  readonly #channel: Channel;
  /** Short names of selections, whose texts may be long. */
  readonly #names = new RecentMap<string, string>(MOST_SELECTIONS);
  #taken = 0;

  constructor(channel: Channel) {
    this.#channel = channel;
  }

  async enter(address: string): Promise<SharedConnection> {
    const connection = ++this.#taken;
    await this.#channel.ask('enter', { connection, address });
    return {
      identify: (principal) =>
        this.#channel.ask('identify', { connection, principal: counted(principal) }),
      want: (keys, principal, selection) => this.#want(keys, principal, selection),
      leave: once(() => this.#channel.tell('leave', { connection })),
    };
  }

  ask(keys: readonly ContractKey[], principal: Principal): Promise<void> {
    return this.#channel.ask('ask', { keys, principal: counted(principal) });
  }

  async #want(
    keys: readonly ContractKey[],
    principal: Principal,
    text: string,
  ): Promise<SharedSubscription> {
    const subscription = ++this.#taken;
    const selection = this.#nameOf(text);
    const wish = { subscription, keys, principal: counted(principal), selection };
    await this.#channel.ask('want', wish);
    return { giveBack: once(() => this.#channel.tell('giveBack', { subscription })) };
  }

  #nameOf(text: string): string {
    const name =
      this.#names.get(text) ?? createHash('sha256').update(text).digest('base64').slice(0, 24);
    this.#names.set(text, name);
    return name;
  }
}

function counted({ id, limits }: Principal): CountedPrincipal {
  return { id, limits };
}
