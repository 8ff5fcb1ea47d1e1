import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { RateLimit } from '../access/rate.ts';
import { RecentMap } from '../lib/recent-map.ts';
import type { ClientAddresses } from '../listener/client-address.ts';

/** How many addresses are remembered: those that were silent longest are forgotten first. */
const MOST_ADDRESSES = 10_000;

/**
 * The rate of requests: of each connection, and of each address where a request comes on a connection of its
 * own, or on a proxy's, whose connections carry the requests of many.
 */
export class HttpRates {
  readonly #perSecond: number;
  readonly #addresses: ClientAddresses;
  readonly #ofSocket = new WeakMap<Socket, RateLimit>();
  readonly #ofAddress = new RecentMap<string, RateLimit>(MOST_ADDRESSES);

  constructor(perSecond: number, addresses: ClientAddresses) {
    this.#perSecond = perSecond;
    this.#addresses = addresses;
  }

  /** Takes a request. @returns whether it is within the rate */
  take(request: IncomingMessage): boolean {
    const known = this.#addresses.behindProxy ? undefined : this.#ofSocket.get(request.socket);
    if (known !== undefined) return known.take();
    const own = new RateLimit(this.#perSecond);
    this.#ofSocket.set(request.socket, own);
    // A new connection for each request must be worth no more than one connection.
    return own.take() && this.#rateOf(this.#addresses.of(request)).take();
  }

  #rateOf(address: string): RateLimit {
    const rate = this.#ofAddress.get(address) ?? new RateLimit(this.#perSecond);
    // At worst one of the oldest starts anew with a full burst.
    this.#ofAddress.set(address, rate);
    return rate;
  }
}
