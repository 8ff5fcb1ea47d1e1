import type { IncomingMessage } from 'node:http';
import { isIPv6 } from 'node:net';
import proxyAddress from 'proxy-addr';
import type { TrustedProxies } from '../config/settings.ts';

const MAPPED_IPV4 = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i;

/** Where requests come from, as far as the proxies in between can be believed. */
export class ClientAddresses {
  readonly #proxies: TrustedProxies;

  constructor(proxies: TrustedProxies) {
    this.#proxies = proxies;
  }

  /** Whether any proxy is believed. */
  get behindProxy(): boolean {
    return this.#proxies.given !== 'off';
  }

  /**
   * The address that limits are counted by: an IPv4 address, or the first 64 bits of an IPv6 address,
   * for whoever has one of those has them all.
   */
  of(request: IncomingMessage): string {
    const address = proxyAddress(request, (hop, place) => this.#proxies.trusts(hop, place));
    const [, mapped] = MAPPED_IPV4.exec(address) ?? [];
    if (mapped !== undefined) return mapped;
    return isIPv6(address) ? `${network(address)}::/64` : address;
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
    if (typeof given !== 'string' || !this.behindProxy || !this.#proxies.trusts(nearest, 0)) {
      return undefined;
    }
    return given.split(',')[0]?.trim();
  }
}

/** The first four groups of an IPv6 address, written out. */
function network(address: string): string {
  const [left = '', right = ''] = address.split('%', 1)[0]?.split('::', 2) ?? [];
  const head = left === '' ? [] : left.split(':');
  const tail = right === '' ? [] : right.split(':');
  const zeros = address.includes('::') ? Math.max(0, 8 - head.length - tail.length) : 0;
  const groups = [...head, ...Array.from({ length: zeros }, () => '0'), ...tail];
  return groups
    .slice(0, 4)
    .map((group) => Number.parseInt(group, 16).toString(16))
    .join(':');
}
