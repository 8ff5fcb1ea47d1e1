import { type IncomingMessage, type Server, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';

/** Headers that speak of the connection, and of what it was offered to become. */
const OFFERS = new Set(['upgrade', 'http2-settings']);
const FRAMING = new Set(['content-length', 'transfer-encoding']);

/**
 * Whether a request asks for a WebSocket. Anything else that it offers to become, such as `h2c` by Java's
 * client and `curl --http2`, a server may ignore. Source: RFC 9110, section 7.8; only a GET can ask for a
 * WebSocket: RFC 6455, section 4.1.
 */
export function asksForWebSocket({ headers, method }: IncomingMessage): boolean {
  const offered = (headers.upgrade ?? '').split(',').map((offer) => offer.trim().toLowerCase());
  if (method !== 'GET' || !offered.includes('websocket')) return false;
  headers.upgrade = 'websocket';
  return true;
}

/**
 * Has a request answered whose offer to upgrade is ignored. Node has stopped reading its connection as HTTP
 * with the `upgrade` event: the connection begins anew, with the same request less its offer. Told to ignore
 * offers by itself (`shouldUpgradeCallback`), Node loses what came behind such a request in the same piece.
 *
 * @param socket what the event gives. Until Node 24 no body has been read yet. From 25 on the event comes with
 *   a body that has come altogether, or with a stream in the place of the socket while one is on its way.
 */
export function answerWithoutUpgrade(
  server: Server,
  request: IncomingMessage,
  socket: Duplex,
  head: Buffer,
): void {
  if (socket.destroyed) return;
  if (socket !== request.socket) {
    // The answer hears of the connection's faults by itself.
    socket.on('error', () => {});
    answerLast(server, request);
    return;
  }
  const body: Buffer | null = request.read();
  socket.unshift(Buffer.concat([headOf(request, body?.length), body ?? Buffer.alloc(0), head]));
  server.emit('connection', socket);
}

/** Answers a request whose body Node is still reading, as the last one of its connection. */
function answerLast(server: Server, request: IncomingMessage): void {
  const { socket } = request;
  const response = new ServerResponse(request);
  response.shouldKeepAlive = false;
  response.assignSocket(socket);
  response.once('finish', () => socket.destroySoon());
  if (/^100-continue$/i.test(request.headers.expect ?? '')) response.writeContinue();
  server.emit('request', request, response);
}

/**
 * A request's first line and headers as they came, less what it offers.
 *
 * @param bodyBytes the length of its body where that has been read, however it was framed
 */
function headOf(
  { method, url, httpVersion, rawHeaders }: IncomingMessage,
  bodyBytes: number | undefined,
): Buffer {
  let text = `${method} ${url} HTTP/${httpVersion}\r\n`;
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = rawHeaders[at] as string;
    const value = rawHeaders[at + 1] as string;
    const key = name.toLowerCase();
    if (OFFERS.has(key) || (bodyBytes !== undefined && FRAMING.has(key))) continue;
    const kept = key === 'connection' ? withoutOffers(value) : value;
    if (kept !== '') text += `${name}: ${kept}\r\n`;
  }
  if (bodyBytes !== undefined) text += `Content-Length: ${bodyBytes}\r\n`;
  return Buffer.from(`${text}\r\n`, 'latin1');
}

function withoutOffers(connection: string): string {
  const options = connection.split(',').map((option) => option.trim());
  return options.filter((option) => !OFFERS.has(option.toLowerCase())).join(', ');
}
