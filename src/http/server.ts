import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import type { GraphQLSchema } from 'graphql';
import type { FanOutCounts } from '../fanout/fanout.ts';
import { spreadOver } from '../lib/spread-over.ts';
import { clientError } from '../operation/client-error.ts';
import { Documents } from '../operation/documents.ts';
import { type ServerGateway, sharedContext } from '../operation/operation-context.ts';
import { boardPages } from '../pages/board-page.ts';
import { graphiqlPage } from '../pages/graphiql-page.ts';
import { Page, scriptHashes } from '../pages/page.ts';
import { SAFE_HEADERS } from '../pages/safe-headers.ts';
import { Projections } from '../render/projection.ts';
import { codedError } from '../schema/coded-error.ts';
import { WebSocketEndpoint } from '../websocket/websocket-endpoint.ts';
import { sendError, sendJson } from './answers.ts';
import { ClientAddresses } from './client-address.ts';
import { GraphqlEndpoint } from './graphql-endpoint.ts';
import { Origins } from './origins.ts';
import { StreamQuotas } from './stream-quotas.ts';
import { HttpStreams } from './streams.ts';
import { createHttpGraphql, GRAPHQL_PATH, STREAM_PATH } from './yoga.ts';

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

/** What the server has done and does, for the metrics. */
export interface ServerReport {
  readonly webSockets: number;
  readonly streams: number;
  readonly fanOut: Readonly<FanOutCounts>;
  /** States rendered for subscriptions since the start. */
  readonly renderings: number;
  /** Distinct selections of subscriptions in use. */
  readonly projections: number;
}

/** The gateway's one HTTP server: GraphQL on every transport, its pages, and what operators ask. */
export class GatewayServer {
  readonly #gateway: ServerGateway;
  readonly #http: Server;
  readonly #sockets: WebSocketEndpoint;
  readonly #endpoint: GraphqlEndpoint;
  readonly #streams: HttpStreams;
  readonly #origins: Origins;
  readonly #projections: Projections;
  readonly #routes: ReadonlyMap<string, Answer>;
  #draining = false;

  constructor(gateway: ServerGateway, schema: GraphQLSchema) {
    this.#gateway = gateway;
    const { access, documentLimits, trustedDocuments, log } = gateway;
    const addresses = new ClientAddresses(gateway.proxies);
    this.#origins = new Origins(gateway.origins, addresses);
    this.#projections = new Projections(
      schema,
      (error) => clientError(error, log),
      sharedContext(gateway),
    );
    const documents = new Documents(schema, documentLimits, trustedDocuments, () => {
      access.hits.document++;
    });
    const quotas = new StreamQuotas();
    this.#streams = new HttpStreams(gateway, schema, documents, this.#projections, quotas);
    this.#sockets = new WebSocketEndpoint(gateway, schema, documents, this.#projections, addresses);
    this.#endpoint = new GraphqlEndpoint(
      gateway,
      schema,
      documents,
      this.#projections,
      addresses,
      this.#streams,
      createHttpGraphql(gateway, schema, documents, this.#projections, quotas),
    );
    this.#routes = this.#routeTable();
    const timeouts = {
      headersTimeout: HEADERS_TIMEOUT_MS,
      requestTimeout: REQUEST_TIMEOUT_MS,
      keepAliveTimeout: KEEP_ALIVE_TIMEOUT_MS,
      connectionsCheckingInterval: TIMEOUT_LOOK_MS,
    };
    this.#http = createServer(timeouts, (request, response) => this.#answer(request, response));
    this.#http.maxConnections = access.limits.connections + SPARE_CONNECTIONS;
    this.#http.on('upgrade', (request, socket, head) => this.#upgrade(request, socket, head));
  }

  /** What the server has done and does. */
  report(): ServerReport {
    const { counts } = this.#sockets;
    return {
      webSockets: this.#sockets.size,
      streams: this.#streams.open.size,
      fanOut: { ...counts, stalled: counts.stalled + this.#streams.stalled },
      renderings: this.#projections.renderings,
      projections: this.#projections.size,
    };
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
    const streams = [...this.#streams.open];
    await Promise.all([
      this.#sockets.close(),
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
      [STREAM_PATH, graphql],
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
      sendError(response, 403, codedError('FORBIDDEN', message));
    } else if (request.method === 'OPTIONS') {
      response.writeHead(204, { allow: 'GET, POST, PUT, DELETE, OPTIONS' }).end();
    } else if (this.#draining) {
      response.setHeader('retry-after', '1');
      response.setHeader('connection', 'close');
      sendError(response, 503, codedError('UPSTREAM_UNAVAILABLE', 'The gateway restarts.'));
    } else {
      await this.#endpoint.answer(request, response);
    }
  }

  #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    if (this.#draining) refuseUpgrade(socket, '503 Service Unavailable\r\nRetry-After: 1');
    else if (pathOf(request) !== GRAPHQL_PATH) refuseUpgrade(socket, '404 Not Found');
    else if (!this.#origins.allow(request)) refuseUpgrade(socket, '403 Forbidden');
    else this.#sockets.upgrade(request, socket, head);
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
