import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import type { GraphQLSchema } from 'graphql';
import { CloseCode, handleProtocols, makeServer } from 'graphql-ws';
import { type RawData, type WebSocket, WebSocketServer } from 'ws';
import { LimitExceeded } from '../access/limit.ts';
import type { ConnectionQuota } from '../access/quota.ts';
import { ClientAccess, LIMIT_EXCEEDED } from './client-access.ts';
import type { ClientAddresses } from './client-address.ts';
import { ClientConnection } from './client-connection.ts';
import type { ServerGateway } from './context.ts';
import type { Documents } from './documents.ts';
import { FanOut, type FanOutCounts } from './fanout.ts';
import { type ConnectionExtra, protocolOptions } from './operations.ts';
import type { Projections } from './projection.ts';
import { spreadOver } from './spread.ts';
import { tokenOfHeaders } from './token.ts';

/** How often clients are pinged. One that is silent for as long as a slow one may stall besides is gone. */
const PING_INTERVAL_MS = 12_000;
/** The close code of a drain: every client comes back on it. */
const SERVICE_RESTART = 1012;
/** How long clients are given to answer a close before they are cut. */
const CLOSE_TIMEOUT_MS = 1_000;
/** How many connections beyond the limit are told so at once; more are cut without a word. */
const MOST_REFUSALS_AT_ONCE = 100;

type GraphqlWs = ReturnType<typeof makeServer<Record<string, unknown>, ConnectionExtra>>;

/** What belongs to a client's connection. */
interface Client {
  readonly access: ClientAccess;
  /** When it was last heard of, by `performance.now()`. */
  heardOfAtMs: number;
}

/** The WebSocket connections of clients, speaking `graphql-transport-ws`. */
export class ClientSockets {
  readonly #gateway: ServerGateway;
  readonly #addresses: ClientAddresses;
  readonly #server: WebSocketServer;
  readonly #graphql: GraphqlWs;
  readonly #clients = new Map<WebSocket, Client>();
  readonly #pinging: NodeJS.Timeout;
  readonly #fanOut: FanOut;
  #opened = 0;
  #refusing = 0;

  constructor(
    gateway: ServerGateway,
    schema: GraphQLSchema,
    documents: Documents,
    projections: Projections,
    addresses: ClientAddresses,
  ) {
    this.#gateway = gateway;
    this.#addresses = addresses;
    this.#fanOut = new FanOut(gateway.flushed);
    this.#server = new WebSocketServer({
      noServer: true,
      clientTracking: false,
      maxPayload: gateway.maxMessageBytes,
      perMessageDeflate: gateway.compression,
      handleProtocols,
    });
    this.#graphql = makeServer(protocolOptions(gateway, schema, documents, projections));
    this.#pinging = setInterval(() => this.#ping(), PING_INTERVAL_MS);
  }

  /** How many clients are connected. */
  get size(): number {
    return this.#clients.size;
  }

  /** What the fan-out has done since the start. */
  get counts(): Readonly<FanOutCounts> {
    return this.#fanOut.counts;
  }

  /** Takes over a connection that asks for an upgrade. */
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    let quota: ConnectionQuota;
    try {
      quota = this.#gateway.access.enter(this.#addresses.of(request));
    } catch (error) {
      if (!(error instanceof LimitExceeded)) throw error;
      this.#refuse(request, socket, head);
      return;
    }
    leaveWith(socket, quota);
    const token = tokenOfHeaders(request.headers);
    this.#server.handleUpgrade(request, socket, head, (client) =>
      this.#take(client, quota, token, socket),
    );
  }

  /** Closes every connection with a code that clients come back on, spread over the drain time. */
  async close(): Promise<void> {
    clearInterval(this.#pinging);
    const clients = [...this.#clients.keys()];
    const closed = clients.map(
      (client) => new Promise<void>((resolve) => client.once('close', () => resolve())),
    );
    await spreadOver(this.#gateway.drainMs, clients, (client) => {
      client.close(SERVICE_RESTART, 'The gateway restarts');
    });
    const timer = setTimeout(() => {
      for (const client of clients) client.terminate();
    }, CLOSE_TIMEOUT_MS);
    await Promise.all(closed);
    clearTimeout(timer);
    this.#fanOut.close();
    this.#server.close();
  }

  // What the closures of a function use lives as long as they do: nothing here may hold the request.
  #take(
    client: WebSocket,
    quota: ConnectionQuota,
    handshakeToken: string | undefined,
    socket: Duplex,
  ): void {
    const { hub, slowReaders, log, access: known } = this.#gateway;
    const access = new ClientAccess(known, quota, client, (++this.#opened).toString(36), log);
    const connection = new ClientConnection(client, socket, hub, this.#fanOut, slowReaders);
    const held: Client = { access, heardOfAtMs: performance.now() };
    this.#clients.set(client, held);
    log.debug({ connectionId: access.id, address: quota.address }, 'a client has connected');
    const closed = this.#graphql.opened(
      {
        protocol: client.protocol,
        send: (text) => sendText(client, text),
        close: (code, reason) => client.close(code, reason),
        onMessage: (handle) => {
          client.on('message', (data: RawData) => {
            held.heardOfAtMs = performance.now();
            // Whatever escapes the protocol's own handling is this connection's fault alone.
            handle(String(data)).catch((error: unknown) => this.#failed(client, access, error));
          });
        },
      },
      { access, connection, handshakeToken },
    );
    client.on('pong', () => {
      held.heardOfAtMs = performance.now();
    });
    client.on('error', (error) => {
      const { message } = error;
      log.debug({ connectionId: access.id, reason: message }, 'a client broke the protocol');
    });
    client.once('close', (code, reason) => {
      this.#clients.delete(client);
      access.close();
      log.debug({ connectionId: access.id, code }, 'a client has gone');
      closed(code, reason.toString('utf8')).catch((error: unknown) =>
        this.#failed(client, access, error),
      );
    });
  }

  /** Tells a connection that there are too many, in the way that a browser can read. */
  #refuse(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    if (this.#refusing >= MOST_REFUSALS_AT_ONCE) {
      socket.destroy();
      return;
    }
    this.#refusing++;
    socket.once('close', () => this.#refusing--);
    this.#server.handleUpgrade(request, socket, head, (client) => {
      client.on('error', () => {});
      client.close(LIMIT_EXCEEDED, 'Too many connections');
      const timer = setTimeout(() => client.terminate(), CLOSE_TIMEOUT_MS);
      client.once('close', () => clearTimeout(timer));
    });
  }

  #failed(client: WebSocket, { id }: ClientAccess, error: unknown): void {
    if (client.readyState !== client.OPEN) return;
    // The protocol's own objections, such as a message of an unknown type, are the client's fault.
    this.#gateway.log.debug({ connectionId: id, error }, 'a client connection failed');
    client.close(CloseCode.BadRequest, 'Invalid message received');
  }

  #ping(): void {
    const deadSinceMs = performance.now() - PING_INTERVAL_MS - this.#gateway.slowReaders.stallMs;
    for (const [client, { heardOfAtMs }] of this.#clients) {
      if (heardOfAtMs < deadSinceMs) client.terminate();
      else client.ping();
    }
  }
}

/** A function of its own, so that the closure holds nothing but the quota. */
function leaveWith(socket: Duplex, quota: ConnectionQuota): void {
  socket.once('close', () => quota.leave());
}

function sendText(client: WebSocket, text: string): Promise<void> {
  if (client.readyState !== client.OPEN) return Promise.resolve();
  return new Promise((resolve, reject) => {
    client.send(text, (error) => (error ? reject(error) : resolve()));
  });
}
