import { type IncomingMessage, type ServerResponse, STATUS_CODES } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import type { GraphQLSchema } from 'graphql';
import { endWithSocket } from '../lib/end-with-socket.ts';
import { normalizeTarget } from '../lib/request-target.ts';
import { spreadOver } from '../lib/spread-over.ts';
import type { ClientAddresses } from '../listener/client-address.ts';
import { HttpListener } from '../listener/http-listener.ts';
import { SAFE_HEADERS } from '../pages/safe-headers.ts';
import { codedError } from '../schema/errors/coded-error.ts';
import { sendJson, sendRefusal } from './answers.ts';
import type { GraphqlEndpoint, HttpGraphqlGateway } from './graphql-endpoint.ts';
import { METHODS } from './graphql-request.ts';
import { Origins } from './origins.ts';
import { type Answer, REMOVED_PATH, type RouteGateway, routeTable } from './routes.ts';
import { GRAPHQL_PATH } from './yoga.ts';

/** What is at {@link REMOVED_PATH} now, and what it was once asked with. */
const REMOVED = `Gone: use ${GRAPHQL_PATH}, with server-sent events in graphql-sse's distinct connections mode, a WebSocket, or multipart/mixed.`;
const REMOVED_METHODS = `${METHODS}, PUT, DELETE`;

/** What the server needs of the gateway. */
export interface ServerGateway extends HttpGraphqlGateway, RouteGateway {
  /** Origins of other pages that may use the gateway. */
  readonly origins: readonly string[];
  /** Whether the gateway can do its job, and why not. */
  readiness(): Promise<{ readonly ready: boolean; readonly reasons: readonly string[] }>;
}

/** Whoever takes over connections that ask to become WebSockets. */
export interface Upgrader {
  /** The subprotocol that a client must offer. */
  readonly subprotocol: string;
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer, address: string): void;
  /** Closes every connection so that its client comes back, spread over a time in milliseconds. */
  close(drainMs: number): Promise<void>;
}

/** Whoever takes over connections that ask to become WebSockets at paths of its own. */
export interface PathUpgrader {
  /** Whether a path is one of its own. */
  serves(path: string): boolean;
  upgrade(
    request: IncomingMessage,
    socket: Duplex,
    head: Buffer,
    address: string,
    path: string,
  ): void;
  /** Closes every connection so that its client comes back, spread over a time in milliseconds. */
  close(drainMs: number): Promise<void>;
}

/** The gateway's one HTTP server: GraphQL on every transport, its pages, and what operators ask. */
export class GatewayServer {
  readonly #gateway: ServerGateway;
  readonly #listener: HttpListener;
  readonly #webSockets: Upgrader;
  readonly #relay: PathUpgrader | undefined;
  readonly #endpoint: GraphqlEndpoint;
  readonly #origins: Origins;
  readonly #addresses: ClientAddresses;
  readonly #routes: ReadonlyMap<string, Answer>;
  #draining = false;

  constructor(
    gateway: ServerGateway,
    schema: GraphQLSchema,
    endpoint: GraphqlEndpoint,
    webSockets: Upgrader,
    relay: PathUpgrader | undefined,
    addresses: ClientAddresses,
  ) {
    this.#gateway = gateway;
    this.#endpoint = endpoint;
    this.#webSockets = webSockets;
    this.#relay = relay;
    this.#addresses = addresses;
    this.#origins = new Origins(gateway.origins, addresses);
    this.#routes = routeTable(gateway, schema, {
      graphql: (request, response) => this.#graphql(request, response),
      ready: (_request, response) => this.#ready(response),
      removed: (request, response) => this.#removed(request, response),
    });
    const { access, log, slowReaders } = gateway;
    this.#listener = new HttpListener(
      {
        limits: access.limits,
        addresses,
        log,
        stallMs: slowReaders.stallMs,
        refused: (limit) => access.hits[limit]++,
      },
      {
        answer: (request, response) => this.#answer(request, response),
        upgrade: (request, socket, head) => this.#upgrade(request, socket, head),
      },
    );
  }

  /** How many answers were cut because their client took nothing. */
  get cut(): number {
    return this.#listener.cut;
  }

  /**
   * Listens. @returns the address that was bound
   * @throws where the address cannot be had
   */
  listen(port: number, host: string): Promise<AddressInfo> {
    return this.#listener.listen(port, host);
  }

  /**
   * Takes no new connections of clients, closes those there are, spread over the drain time, so that
   * clients come back elsewhere, and ends. Until then operators are answered.
   *
   * @param drainMs the drain time, in milliseconds
   * @param handsOver whether another process takes the connections that come: requests on those there are
   *   answered until the end
   */
  async close(drainMs: number, handsOver = false): Promise<void> {
    if (handsOver) this.#listener.stop();
    else this.#draining = true;
    // A stream that is completed is over for its client; one that breaks is taken up again.
    const streams = [...this.#endpoint.streams.open];
    await Promise.all([
      this.#webSockets.close(drainMs),
      this.#relay?.close(drainMs),
      spreadOver(drainMs, streams, (response) => response.destroy()),
    ]);
    await this.#listener.close();
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    if (response.socket === null) endWithSocket(response);
    for (const [name, value] of Object.entries(SAFE_HEADERS)) response.setHeader(name, value);
    const path = normalizeTarget(request);
    if (path === '*') {
      // The server as a whole, of which nothing else can be asked. Source: RFC 9110, section 9.3.7.
      if (request.method === 'OPTIONS') response.writeHead(204, { allow: METHODS }).end();
      else sendJson(response, 400, { error: 'expected a path, got *, which is for OPTIONS' });
      return;
    }
    if (this.#relay?.serves(path)) {
      response.setHeader('upgrade', 'websocket');
      sendJson(response, 426, { error: 'expected a WebSocket, as IME serves it here' });
      return;
    }
    const answer = this.#routes.get(path);
    if (answer === undefined) {
      sendJson(response, 404, { error: `Nothing is here; GraphQL is at ${GRAPHQL_PATH}.` });
      return;
    }
    Promise.resolve(answer(request, response))
      .then(() => this.#listener.watch(response, request))
      .catch((error: unknown) => {
        this.#gateway.log.error({ error }, 'a request failed');
        if (response.headersSent) response.destroy();
        else sendJson(response, 500, { error: 'The gateway failed to answer this.' });
      });
  }

  /** A page is told as well, whatever it asks with. */
  #removed(request: IncomingMessage, response: ServerResponse): void {
    const headers = this.#origins.headers(request, REMOVED_METHODS);
    for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
    if (request.method === 'OPTIONS') response.writeHead(204, { allow: REMOVED_METHODS }).end();
    else sendJson(response, 410, { error: REMOVED });
  }

  async #graphql(request: IncomingMessage, response: ServerResponse): Promise<void> {
    for (const [name, value] of Object.entries(this.#origins.headers(request))) {
      response.setHeader(name, value);
    }
    if (!this.#origins.allow(request)) {
      const message = 'expected a request of a page of this origin or of CORS_ORIGINS';
      sendRefusal(request, response, codedError('FORBIDDEN', message), this.#gateway.log);
    } else if (request.method === 'OPTIONS') {
      response.writeHead(204, { allow: METHODS }).end();
    } else if (this.#draining) {
      response.setHeader('connection', 'close');
      const error = codedError('SERVICE_RESTARTING', 'The gateway restarts.');
      sendRefusal(request, response, error, this.#gateway.log);
    } else {
      response.appendHeader('vary', 'Accept');
      await this.#endpoint.answer(request, response);
    }
  }

  #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    const path = normalizeTarget(request);
    const { subprotocol } = this.#webSockets;
    const relay = this.#relay?.serves(path) ? this.#relay : undefined;
    if (path === REMOVED_PATH) {
      refuseUpgrade(socket, 410, REMOVED);
    } else if (path !== GRAPHQL_PATH && this.#routes.has(path)) {
      refuseUpgrade(socket, 400, `There are no WebSockets here; they are at ${GRAPHQL_PATH}.`);
    } else if (path !== GRAPHQL_PATH && relay === undefined) {
      refuseUpgrade(socket, 404, `WebSockets are at ${GRAPHQL_PATH}.`);
    } else if (this.#draining) {
      refuseUpgrade(socket, 503, 'The gateway restarts.');
    } else if (!this.#origins.allow(request)) {
      refuseUpgrade(socket, 403, 'expected a page of this origin or of CORS_ORIGINS');
    } else if (relay !== undefined) {
      relay.upgrade(request, socket, head, this.#addresses.of(request), path);
    } else if (!offers(request, subprotocol)) {
      refuseUpgrade(socket, 400, `expected the subprotocol ${subprotocol}`);
    } else {
      this.#webSockets.upgrade(request, socket, head, this.#addresses.of(request));
    }
  }

  async #ready(response: ServerResponse): Promise<void> {
    const readiness = this.#draining
      ? { ready: false, reasons: ['The gateway is stopping.'] }
      : await this.#gateway.readiness();
    sendJson(response, readiness.ready ? 200 : 503, readiness);
  }
}

function offers({ headers }: IncomingMessage, subprotocol: string): boolean {
  const offered = String(headers['sec-websocket-protocol'] ?? '').split(',');
  return offered.some((one) => one.trim() === subprotocol);
}

function refuseUpgrade(socket: Duplex, status: number, message: string): void {
  const body = `${JSON.stringify({ error: message })}\n`;
  const headers = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}`,
    'Content-Type: application/json; charset=utf-8',
    `Content-Length: ${Buffer.byteLength(body)}`,
    'Connection: close',
    ...(status === 503 ? ['Retry-After: 1'] : []),
  ];
  socket.on('error', () => socket.destroy());
  socket.end(`${headers.join('\r\n')}\r\n\r\n${body}`);
}
