import type { IncomingMessage, Server } from 'node:http';
import type { Duplex } from 'node:stream';

/** Headers that speak of the connection, and of what it was offered to become. */
const OFFERS = new Set(['upgrade', 'http2-settings']);

/**
 * Whether an offer is ignored by Node itself. It could from 24 on, and must from 25 on: there the body of a
 * request with an offer no longer comes with the connection, so that {@link answerWithoutUpgrade} cannot.
 * Measured with 24.21 and 26.10.
 */
export const NODE_IGNORES_OFFERS = Number.parseInt(process.versions.node, 10) >= 25;

/**
 * Whether a request asks for a WebSocket. Anything else that it offers to become, such as `h2c` by Java's
 * client and `curl --http2`, a server may ignore. Source: RFC 9110, section 7.8.
 */
export function asksForWebSocket({ headers }: IncomingMessage): boolean {
  const offered = (headers.upgrade ?? '').split(',').map((offer) => offer.trim().toLowerCase());
  if (!offered.includes('websocket')) return false;
  headers.upgrade = 'websocket';
  return true;
}

/**
 * Has a request answered whose offer to upgrade is ignored. Node has stopped reading its connection as HTTP
 * with the `upgrade` event, before any body: the connection begins anew, with the same request less its
 * offer.
 */
export function answerWithoutUpgrade(
  server: Server,
  { method, url, httpVersion, rawHeaders }: IncomingMessage,
  socket: Duplex,
  head: Buffer,
): void {
  if (socket.destroyed) return;
  let text = `${method} ${url} HTTP/${httpVersion}\r\n`;
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = rawHeaders[at] as string;
    const value = rawHeaders[at + 1] as string;
    const kept = name.toLowerCase() === 'connection' ? withoutOffers(value) : value;
    if (!OFFERS.has(name.toLowerCase()) && kept !== '') text += `${name}: ${kept}\r\n`;
  }
  socket.unshift(Buffer.concat([Buffer.from(`${text}\r\n`, 'latin1'), head]));
  server.emit('connection', socket);
}

function withoutOffers(connection: string): string {
  return connection
    .split(',')
    .map((option) => option.trim())
    .filter((option) => !OFFERS.has(option.toLowerCase()))
    .join(', ');
}
