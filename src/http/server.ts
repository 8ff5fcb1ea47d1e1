import {
  createServer,
  type IncomingMessage,
  type Server,
  type ServerResponse,
  STATUS_CODES,
} from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import type { GraphQLSchema } from 'graphql';
import { endWithSocket } from '../lib/end-with-socket.ts';
import { normalizeTarget } from '../lib/request-target.ts';
import { spreadOver } from '../lib/spread-over.ts';
import { SAFE_HEADERS } from '../pages/safe-headers.ts';
import { codedError } from '../schema/coded-error.ts';
import { sendJson, sendRefusal } from './answers.ts';
import type { ClientAddresses } from './client-address.ts';
import type { GraphqlEndpoint, HttpGraphqlGateway } from './graphql-endpoint.ts';
import { METHODS } from './graphql-request.ts';
import { Origins } from './origins.ts';
import { answerWithoutUpgrade, asksForWebSocket } from './other-upgrade.ts';
import { type Answer, type RouteGateway, routeTable } from './routes.ts';
import { UnreadAnswers } from './unread-answers.ts';
import { GRAPHQL_PATH } from './yoga.ts';

/** How long requests are given to be answered once the server closes. */
const CLOSE_TIMEOUT_MS = 1_000;
/** How long a client may take for its headers, and for the whole request. */
const HEADERS_TIMEOUT_MS = 10_000;
const REQUEST_TIMEOUT_MS = 30_000;
/** How often it is looked who takes longer. */
const TIMEOUT_LOOK_MS = 1_000;
/** Longer than proxies keep connections without a request: theirs must not be closed under one. */
const KEEP_ALIVE_TIMEOUT_MS = 65_000;
/** Connections beyond those that are counted: short requests, and those that wait to be refused. */
const SPARE_CONNECTIONS = 1_000;

/** What the server needs of the gateway. */
export interface ServerGateway extends HttpGraphqlGateway, RouteGateway {
  /** Origins of other pages that may use the gateway. */
  readonly origins: readonly string[];
  /** Over how long connections are closed at a stop, in milliseconds. */
  readonly drainMs: number;
  /** Whether the gateway can do its job, and why not. */
  readiness(): Promise<{ readonly ready: boolean; readonly reasons: readonly string[] }>;
}

/** Whoever takes over connections that ask to become WebSockets. */
export interface Upgrader {
  /** The subprotocol that a client must offer. */
  readonly subprotocol: string;
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer, address: string): void;
  /** Closes every connection so that its client comes back. */
  close(): Promise<void>;
}

/** The gateway's one HTTP server: GraphQL on every transport, its pages, and what operators ask. */
export class GatewayServer {
  readonly #gateway: ServerGateway;
  readonly #http: Server;
  readonly #webSockets: Upgrader;
  readonly #endpoint: GraphqlEndpoint;
  readonly #origins: Origins;
  readonly #addresses: ClientAddresses;
  readonly #routes: ReadonlyMap<string, Answer>;
  readonly #unread: UnreadAnswers;
  /** The latest response of each connection; what holds it is set once, for each request would cost. */
  readonly #latest = new WeakMap<Duplex, { response: ServerResponse | undefined }>();
  #draining = false;

  constructor(
    gateway: ServerGateway,
    schema: GraphQLSchema,
    endpoint: GraphqlEndpoint,
    webSockets: Upgrader,
    addresses: ClientAddresses,
  ) {
    this.#gateway = gateway;
    this.#endpoint = endpoint;
    this.#webSockets = webSockets;
    this.#addresses = addresses;
    this.#unread = new UnreadAnswers(gateway.slowReaders.stallMs);
    this.#origins = new Origins(gateway.origins, addresses);
    this.#routes = routeTable(
      gateway,
      schema,
      (request, response) => this.#graphql(request, response),
      (_request, response) => this.#ready(response),
    );
    const timeouts = {
      headersTimeout: HEADERS_TIMEOUT_MS,
      requestTimeout: REQUEST_TIMEOUT_MS,
      keepAliveTimeout: KEEP_ALIVE_TIMEOUT_MS,
      connectionsCheckingInterval: TIMEOUT_LOOK_MS,
    };
    this.#http = createServer(timeouts, (request, response) => this.#answer(request, response));
    this.#http.maxConnections = gateway.access.limits.connections + SPARE_CONNECTIONS;
    this.#http.on('connection', (socket) => {
      if (!this.#latest.has(socket)) this.#latest.set(socket, { response: undefined });
    });
    this.#http.on('upgrade', (request, socket, head) => this.#upgrade(request, socket, head));
  }

  /** How many answers were cut because their client took nothing. */
  get cut(): number {
    return this.#unread.cut;
  }

  /**
   * Listens. @returns the address that was bound
   * @throws where the address cannot be had
   */
  async listen(port: number, host: string): Promise<AddressInfo> {
    await new Promise<void>((resolve, reject) => {
      this.#http.once('error', reject);
      this.#http.listen(port, host, resolve);
    });
    return this.#http.address() as AddressInfo;
  }

  /**
   * Takes no new connections of clients, closes those there are, spread over the drain time, so that
   * clients come back elsewhere, and ends. Until then operators are answered.
   */
  async close(): Promise<void> {
    this.#draining = true;
    // A stream that is completed is over for its client; one that breaks is taken up again.
    const streams = [...this.#endpoint.streams.open];
    await Promise.all([
      this.#webSockets.close(),
      spreadOver(this.#gateway.drainMs, streams, (response) => response.destroy()),
    ]);
    const closed = new Promise((resolve) => this.#http.close(resolve));
    this.#http.closeIdleConnections();
    const timer = setTimeout(() => this.#http.closeAllConnections(), CLOSE_TIMEOUT_MS);
    await closed;
    clearTimeout(timer);
    this.#unread.close();
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    if (response.socket === null) endWithSocket(response);
    const latest = this.#latest.get(request.socket);
    if (latest !== undefined) latest.response = response;
    for (const [name, value] of Object.entries(SAFE_HEADERS)) response.setHeader(name, value);
    const path = normalizeTarget(request);
    if (path === '*') {
      response.writeHead(204, { allow: METHODS }).end();
      return;
    }
    const answer = this.#routes.get(path);
    if (answer === undefined) {
      sendJson(response, 404, { error: `Nothing is here; GraphQL is at ${GRAPHQL_PATH}.` });
      return;
    }
    Promise.resolve(answer(request, response))
      .then(() => this.#unread.watch(request.socket, response))
      .catch((error: unknown) => {
        this.#gateway.log.error({ error }, 'a request failed');
        if (response.headersSent) response.destroy();
        else sendJson(response, 500, { error: 'The gateway failed to answer this.' });
      });
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
    if (!asksForWebSocket(request)) {
      const answer = () => answerWithoutUpgrade(this.#http, request, socket, head);
      const before = this.#latest.get(request.socket)?.response;
      // What was asked before on the same connection is answered first.
      if (before === undefined || before.closed) answer();
      else {
        // Until then nobody else hears of the connection's faults.
        const ignore = () => {};
        socket.on('error', ignore);
        before.once('close', () => {
          socket.off('error', ignore);
          answer();
        });
      }
      return;
    }
    const path = normalizeTarget(request);
    const { subprotocol } = this.#webSockets;
    if (path !== GRAPHQL_PATH && this.#routes.has(path)) {
      refuseUpgrade(socket, 410, `There are no WebSockets here; they are at ${GRAPHQL_PATH}.`);
    } else if (path !== GRAPHQL_PATH) {
      refuseUpgrade(socket, 404, `WebSockets are at ${GRAPHQL_PATH}.`);
    } else if (this.#draining) {
      refuseUpgrade(socket, 503, 'The gateway restarts.');
    } else if (!this.#origins.allow(request)) {
      refuseUpgrade(socket, 403, 'expected a page of this origin or of CORS_ORIGINS');
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
