import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { RateLimit } from '../access/rate.ts';
import type { ClientAddresses } from './client-address.ts';

/** From so many addresses on, those that have been silent are forgotten. */
const SWEEP_SIZE = 10_000;

/**
 * The rate of requests: of each connection, or of each address where a proxy's connections carry the
 * requests of many.
 */
export class HttpRates {
  readonly #perSecond: number;
  readonly #addresses: ClientAddresses;
  readonly #ofSocket = new WeakMap<Socket, RateLimit>();
  readonly #ofAddress = new Map<string, RateLimit>();

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
    let rate = this.#ofAddress.get(address);
    if (rate === undefined) {
      // The oldest go first; at worst one of them starts anew with a full burst.
      for (const oldest of this.#ofAddress.keys()) {
        if (this.#ofAddress.size < SWEEP_SIZE) break;
        this.#ofAddress.delete(oldest);
      }
      rate = new RateLimit(this.#perSecond);
    }
    this.#ofAddress.delete(address);
    this.#ofAddress.set(address, rate);
    return rate;
  }
}
