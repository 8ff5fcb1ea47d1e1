import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import type { GraphQLSchema } from 'graphql';
import { readBody } from './body.ts';
import type { ServerGateway } from './context.ts';
import { Documents } from './documents.ts';
import { Projections } from './projection.ts';
import { ClientSockets } from './websocket.ts';
import { createHttpGraphql, GRAPHQL_PATH, STREAM_PATH } from './yoga.ts';

/** How long requests are given to be answered once the server closes. */
const CLOSE_TIMEOUT_MS = 1_000;

type Answer = (request: IncomingMessage, response: ServerResponse) => void | Promise<void>;

/** The gateway's one HTTP server: GraphQL on every transport, and what operators ask. */
export class GatewayServer {
  readonly #gateway: ServerGateway;
  readonly #http: Server;
  readonly #sockets: ClientSockets;
  readonly #routes: ReadonlyMap<string, Answer>;
  readonly #streams = new Set<ServerResponse>();
  #draining = false;

  constructor(gateway: ServerGateway, schema: GraphQLSchema) {
    this.#gateway = gateway;
    const projections = new Projections(schema, gateway);
    this.#sockets = new ClientSockets(gateway, schema, new Documents(schema), projections);
    const yoga = createHttpGraphql(gateway, schema, projections);
    const graphql: Answer = async (request, response) => {
      this.#countStream(request, response);
      if (await readBody(request, response, gateway.maxBodyBytes)) await yoga(request, response);
    };
    this.#routes = new Map<string, Answer>([
      [GRAPHQL_PATH, graphql],
      [STREAM_PATH, graphql],
      ['/', (_request, response) => void response.writeHead(302, { location: GRAPHQL_PATH }).end()],
      ['/health', (_request, response) => sendJson(response, 200, { status: 'ok' })],
      ['/ready', (_request, response) => this.#ready(response)],
    ]);
    this.#http = createServer((request, response) => this.#answer(request, response));
    this.#http.on('upgrade', (request, socket, head) => this.#upgrade(request, socket, head));
  }

  /** WebSocket connections and streaming HTTP requests of clients. */
  get clients(): number {
    return this.#sockets.size + this.#streams.size;
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

  /** Takes no new connections, closes those there are so that clients come back, and ends. */
  async close(): Promise<void> {
    this.#draining = true;
    const closed = new Promise((resolve) => this.#http.close(resolve));
    // A stream that is completed is over for its client; one that breaks is taken up again.
    for (const response of this.#streams) response.destroy();
    this.#http.closeIdleConnections();
    await this.#sockets.close();
    const timer = setTimeout(() => this.#http.closeAllConnections(), CLOSE_TIMEOUT_MS);
    await closed;
    clearTimeout(timer);
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
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

  #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    socket.on('error', () => socket.destroy());
    if (this.#draining) refuseUpgrade(socket, '503 Service Unavailable\r\nRetry-After: 1');
    else if (pathOf(request) !== GRAPHQL_PATH) refuseUpgrade(socket, '404 Not Found');
    else this.#sockets.upgrade(request, socket, head);
  }

  async #ready(response: ServerResponse): Promise<void> {
    const readiness = this.#draining
      ? { ready: false, reasons: ['The gateway is stopping.'] }
      : await this.#gateway.readiness();
    sendJson(response, readiness.ready ? 200 : 503, readiness);
  }

  #countStream(request: IncomingMessage, response: ServerResponse): void {
    const accept = request.headers.accept ?? '';
    if (!accept.includes('text/event-stream') && !accept.includes('multipart/mixed')) return;
    this.#streams.add(response);
    response.once('close', () => this.#streams.delete(response));
  }
}

/** The path of a request, without what follows a `?`. */
function pathOf(request: IncomingMessage): string {
  const target = request.url ?? '/';
  const end = target.indexOf('?');
  return end === -1 ? target : target.slice(0, end);
}

function sendJson(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, {
    'content-type': 'application/json; charset=utf-8',
    'cache-control': 'no-store',
  });
  response.end(`${JSON.stringify(body)}\n`);
}

function refuseUpgrade(socket: Duplex, status: string): void {
  socket.end(`HTTP/1.1 ${status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`);
}
