import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { RateLimit } from '../access/rate.ts';
import { RecentMap } from '../lib/recent-map.ts';
import type { ClientAddresses } from './client-address.ts';

/** How many addresses are remembered: those that were silent longest are forgotten first. */
const MOST_ADDRESSES = 10_000;

/**
 * The rate of requests: of each connection, or of each address where a proxy's connections carry the
 * requests of many.
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
    return this.#rateOf(request).take();
  }

  #rateOf(request: IncomingMessage): RateLimit {
    if (!this.#addresses.behindProxy) {
      let rate = this.#ofSocket.get(request.socket);
      if (rate === undefined) {
        rate = new RateLimit(this.#perSecond);
        this.#ofSocket.set(request.socket, rate);
      }
      return rate;
    }
    const address = this.#addresses.of(request);
    const rate = this.#ofAddress.get(address) ?? new RateLimit(this.#perSecond);
    // At worst one of the oldest starts anew with a full burst.
    this.#ofAddress.set(address, rate);
    return rate;
  }
}
