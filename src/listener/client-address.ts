import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import proxyAddress from 'proxy-addr';
import type { TrustedProxies } from '../config/settings.ts';
import { addressKey } from './address-key.ts';

/** Where requests come from, as far as the proxies in between can be believed. */
export class ClientAddresses {
  readonly #proxies: TrustedProxies;
  /** Of connections that come from no proxy: theirs does not change. */
  readonly #ofSocket = new WeakMap<Socket, string>();

  constructor(proxies: TrustedProxies) {
    this.#proxies = proxies;
  }

  /** Whether any proxy is believed. */
  get behindProxy(): boolean {
    return this.#proxies.given !== 'off';
  }

  /** Whether a connection from an address is a proxy's that is believed. */
  isProxy(peer: string): boolean {
    return this.#proxies.trusts(peer, 0);
  }

  /** The address that a request comes from, as limits count it: see {@link addressKey}. */
  of(request: IncomingMessage): string {
    if (this.behindProxy) return this.#read(request);
    let address = this.#ofSocket.get(request.socket);
    if (address === undefined) {
      address = this.#read(request);
      this.#ofSocket.set(request.socket, address);
    }
    return address;
  }

  #read(request: IncomingMessage): string {
    return addressKey(proxyAddress(request, (hop, place) => this.#proxies.trusts(hop, place)));
  }

  /** The host that the client asked for. */
  hostOf(request: IncomingMessage): string | undefined {
    return this.#forwarded(request, 'x-forwarded-host') ?? request.headers.host;
  }

  /** The scheme that the client came by; `undefined` where nobody says it who is believed. */
  protocolOf(request: IncomingMessage): string | undefined {
    return this.#forwarded(request, 'x-forwarded-proto')?.toLowerCase();
  }

  /** What a proxy that is believed says of its client's request. */
  #forwarded({ headers, socket }: IncomingMessage, name: string): string | undefined {
    const given = headers[name];
    const nearest = socket.remoteAddress ?? '';
    if (typeof given !== 'string' || !this.isProxy(nearest)) {
      return undefined;
    }
    return given.split(',')[0]?.trim();
  }
}
