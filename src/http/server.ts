import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { spreadOver } from '../lib/spread-over.ts';
import { boardPages } from '../pages/board-page.ts';
import { graphiqlPage } from '../pages/graphiql-page.ts';
import { Page, scriptHashes } from '../pages/page.ts';
import { SAFE_HEADERS } from '../pages/safe-headers.ts';
import { codedError } from '../schema/coded-error.ts';
import { sendJson, sendRefusal } from './answers.ts';
import type { ClientAddresses } from './client-address.ts';
import type { GraphqlEndpoint, HttpGraphqlGateway } from './graphql-endpoint.ts';
import { Origins } from './origins.ts';
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

type Answer = (request: IncomingMessage, response: ServerResponse) => void | Promise<void>;

/** What the server needs of the gateway. */
export interface ServerGateway extends HttpGraphqlGateway {
  /** Origins of other pages that may use the gateway. */
  readonly origins: readonly string[];
  /** Over how long connections are closed at a stop, in milliseconds. */
  readonly drainMs: number;
  /** Whether a browser is shown GraphiQL. */
  readonly graphiql: boolean;
  /** Whether the data is invented, which every page that shows it says. */
  readonly simulated: boolean;
  /** A few contract names for the first documents that a person sees. */
  readonly exampleNames: readonly string[];
  /** Whether the gateway can do its job, and why not. */
  readiness(): Promise<{ readonly ready: boolean; readonly reasons: readonly string[] }>;
  /** The metrics, as Prometheus reads them. */
  metrics(): Promise<{ readonly type: string; readonly text: string }>;
}

/** Whoever takes over connections that ask to become WebSockets. */
export interface Upgrader {
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
  #draining = false;

  constructor(
    gateway: ServerGateway,
    endpoint: GraphqlEndpoint,
    webSockets: Upgrader,
    addresses: ClientAddresses,
  ) {
    this.#gateway = gateway;
    this.#endpoint = endpoint;
    this.#webSockets = webSockets;
    this.#addresses = addresses;
    this.#origins = new Origins(gateway.origins, addresses);
    this.#routes = this.#routeTable();
    const timeouts = {
      headersTimeout: HEADERS_TIMEOUT_MS,
      requestTimeout: REQUEST_TIMEOUT_MS,
      keepAliveTimeout: KEEP_ALIVE_TIMEOUT_MS,
      connectionsCheckingInterval: TIMEOUT_LOOK_MS,
    };
    this.#http = createServer(timeouts, (request, response) => this.#answer(request, response));
    this.#http.maxConnections = gateway.access.limits.connections + SPARE_CONNECTIONS;
    this.#http.on('upgrade', (request, socket, head) => this.#upgrade(request, socket, head));
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
  }

  #routeTable(): ReadonlyMap<string, Answer> {
    const graphql: Answer = (request, response) => this.#graphql(request, response);
    return new Map<string, Answer>([
      [GRAPHQL_PATH, this.#gateway.graphiql ? this.#withGraphiql(graphql) : graphql],
      ...this.#boardRoutes(),
      ['/health', (_request, response) => sendJson(response, 200, { status: 'ok' })],
      ['/ready', (_request, response) => this.#ready(response)],
      ['/metrics', (_request, response) => this.#metrics(response)],
    ]);
  }

  #boardRoutes(): [string, Answer][] {
    const pages = boardPages();
    if (pages !== undefined) {
      return Array.from(pages, ([path, page]) => [
        path,
        (request, response) => page.send(request, response),
      ]);
    }
    this.#gateway.log.warn('the market board is not built: npm run build does that');
    return [
      ['/', (_request, response) => void response.writeHead(302, { location: GRAPHQL_PATH }).end()],
    ];
  }

  #withGraphiql(graphql: Answer): Answer {
    const { simulated, exampleNames } = this.#gateway;
    const html = graphiqlPage(GRAPHQL_PATH, simulated, exampleNames);
    const policy = [
      "default-src 'none'",
      `script-src ${scriptHashes(html)}`,
      'worker-src blob:',
      "style-src 'unsafe-inline'",
      "img-src 'self' data:",
      'font-src data:',
      "connect-src 'self'",
      "base-uri 'none'",
      "form-action 'none'",
      "frame-ancestors 'none'",
    ].join('; ');
    const page = new Page(Buffer.from(html), 'text/html; charset=utf-8', policy);
    return (request, response) => {
      const wantsPage =
        (request.method === 'GET' || request.method === 'HEAD') &&
        request.headers.accept?.includes('text/html') === true &&
        !/[?&]query=/.test(request.url ?? '');
      return wantsPage ? page.send(request, response) : graphql(request, response);
    };
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    for (const [name, value] of Object.entries(SAFE_HEADERS)) response.setHeader(name, value);
    const answer = this.#routes.get(pathOf(request));
    if (answer === undefined) {
      sendJson(response, 404, { error: `Nothing is here; GraphQL is at ${GRAPHQL_PATH}.` });
      return;
    }
    Promise.resolve(answer(request, response)).catch((error: unknown) => {
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
      response.writeHead(204, { allow: 'GET, POST, PUT, DELETE, OPTIONS' }).end();
    } else if (this.#draining) {
      response.setHeader('connection', 'close');
      const error = codedError('SERVICE_RESTARTING', 'The gateway restarts.');
      sendRefusal(request, response, error, this.#gateway.log);
    } else {
      await this.#endpoint.answer(request, response);
    }
  }

  #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    if (this.#draining) refuseUpgrade(socket, '503 Service Unavailable\r\nRetry-After: 1');
    else if (pathOf(request) !== GRAPHQL_PATH) refuseUpgrade(socket, '404 Not Found');
    else if (!this.#origins.allow(request)) refuseUpgrade(socket, '403 Forbidden');
    else this.#webSockets.upgrade(request, socket, head, this.#addresses.of(request));
  }

  async #ready(response: ServerResponse): Promise<void> {
    const readiness = this.#draining
      ? { ready: false, reasons: ['The gateway is stopping.'] }
      : await this.#gateway.readiness();
    sendJson(response, readiness.ready ? 200 : 503, readiness);
  }

  async #metrics(response: ServerResponse): Promise<void> {
    const { type, text } = await this.#gateway.metrics();
    response.writeHead(200, { 'content-type': type, 'cache-control': 'no-store' });
    response.end(text);
  }
}

/** The path of a request, without what follows a `?`. */
function pathOf(request: IncomingMessage): string {
  const target = request.url ?? '/';
  const end = target.indexOf('?');
  return end === -1 ? target : target.slice(0, end);
}

function refuseUpgrade(socket: Duplex, status: string): void {
  socket.on('error', () => socket.destroy());
  socket.end(`HTTP/1.1 ${status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`);
}
