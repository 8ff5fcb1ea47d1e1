import { isIPv4 } from 'node:net';
import ipaddr from 'ipaddr.js';

/** An address with a port behind it, as some proxies write it. */
const WITH_PORT = /^(?:(\d+\.\d+\.\d+\.\d+)|\[([^\]]+)\])(?::\d*)?$/;

/**
 * What an address is counted as, wherever addresses are counted: an IPv4 address, also where it is written as
 * an IPv6 address, or the first 64 bits of an IPv6 address, for whoever has one of those has them all. What is
 * no address counts as one and the same.
 */
export function addressKey(address: string | undefined): string {
  if (address === undefined) return 'unknown';
  if (isIPv4(address)) return address;
  const [, v4, v6] = WITH_PORT.exec(address) ?? [];
  const bare = v4 ?? v6 ?? address;
  if (!ipaddr.isValid(bare)) return 'unknown';
  const parsed = ipaddr.process(bare);
  if (parsed instanceof ipaddr.IPv4) return parsed.toString();
  const network = parsed.parts.slice(0, 4).map((group) => group.toString(16));
  return `${network.join(':')}::/64`;
}
