import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { GraphQLSchema } from 'graphql';
import { CloseCode, handleProtocols, makeServer } from 'graphql-ws';
import { type Server, WebSocketServer } from 'ws';
import { LimitExceeded } from '../access/limit.ts';
import type { ConnectionQuota } from '../access/quota.ts';
import { tokenOfHeaders } from '../access/shown-token.ts';
import { ConnectionWriter } from '../fanout/connection-writer.ts';
import { FanOut, type FanOutCounts } from '../fanout/fanout.ts';
import type { ClientAddresses } from '../http/client-address.ts';
import { ExpiryQueue } from '../lib/expiry-queue.ts';
import { spreadOver } from '../lib/spread-over.ts';
import type { Documents } from '../operation/documents.ts';
import type { ServerGateway } from '../operation/operation-context.ts';
import type { Projections } from '../render/projection.ts';
import { ClientSocket, type ClientSocketOwner } from './client-socket.ts';
import { ConnectionIdentity, LIMIT_EXCEEDED } from './connection-identity.ts';
import { type Introductions, protocolOptions } from './protocol.ts';

/** How often clients are pinged. One that is silent for as long as a slow one may stall besides is gone. */
const PING_INTERVAL_MS = 12_000;
/** The close code of a drain: every client comes back on it. */
const SERVICE_RESTART = 1012;
/** How long a client may take for its `connection_init`, and then for its token, in milliseconds. */
const INTRODUCTION_MS = 3_000;
/** How long clients are given to answer a close before they are cut. */
const CLOSE_TIMEOUT_MS = 1_000;
/** How many connections beyond the limit are told so at once; more are cut without a word. */
const MOST_REFUSALS_AT_ONCE = 100;

type GraphqlWs = ReturnType<typeof makeServer<Record<string, unknown>, ClientSocket>>;

/** The WebSocket connections of clients, speaking `graphql-transport-ws`. */
export class WebSocketEndpoint implements ClientSocketOwner {
  readonly #gateway: ServerGateway;
  readonly #addresses: ClientAddresses;
  readonly #server: Server<typeof ClientSocket>;
  readonly #graphql: GraphqlWs;
  /** Every client, with how graphql-ws is told that it is gone. */
  readonly #clients = new Map<ClientSocket, ReturnType<GraphqlWs['opened']>>();
  readonly #introductions: Introductions = new ExpiryQueue(INTRODUCTION_MS, closeUnknown);
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
    this.#fanOut = new FanOut(gateway.slowReaders, gateway.flushed, gateway.log);
    this.#server = new WebSocketServer({
      WebSocket: ClientSocket,
      noServer: true,
      clientTracking: false,
      maxPayload: gateway.maxMessageBytes,
      perMessageDeflate: gateway.compression,
      handleProtocols,
    });
    this.#graphql = makeServer(
      protocolOptions(gateway, schema, documents, projections, this.#introductions),
    );
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
    const token = tokenOfHeaders(request.headers);
    let taken = false;
    this.#server.handleUpgrade(request, socket, head, (client) => {
      taken = true;
      this.#take(client, quota, token, request.socket);
    });
    // A handshake that ws has refused.
    if (!taken) quota.leave();
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
    this.#introductions.clear();
    this.#fanOut.close();
    this.#server.close();
  }

  failed(client: ClientSocket, error: unknown): void {
    if (client.readyState !== client.OPEN) return;
    // The protocol's own objections, such as a message of an unknown type, are the client's fault.
    const { id: connectionId } = client.access;
    this.#gateway.log.debug({ connectionId, error }, 'a client connection failed');
    client.close(CloseCode.BadRequest, 'Invalid message received');
  }

  broken(client: ClientSocket, { message: reason }: Error): void {
    const { id: connectionId } = client.access;
    this.#gateway.log.debug({ connectionId, reason }, 'a client broke the protocol');
  }

  gone(client: ClientSocket, code: number, reason: string): void {
    const closed = this.#clients.get(client);
    this.#clients.delete(client);
    this.#introductions.delete(client);
    client.access.close();
    this.#gateway.log.debug({ connectionId: client.access.id, code }, 'a client has gone');
    closed?.(code, reason).catch((error: unknown) => this.failed(client, error));
  }

  // What the closures of a function use lives as long as they do: nothing here may hold the request.
  #take(
    client: ClientSocket,
    quota: ConnectionQuota,
    handshakeToken: string | undefined,
    socket: Socket,
  ): void {
    const { log, access: known } = this.#gateway;
    const access = new ConnectionIdentity(
      known,
      quota,
      client,
      handshakeToken,
      ++this.#opened,
      log,
    );
    client.take(this, access, new ConnectionWriter(client, socket, this.#fanOut));
    log.debug({ connectionId: access.id, address: quota.address }, 'a client has connected');
    this.#introductions.add(client);
    this.#clients.set(client, this.#graphql.opened(client, client));
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

  #ping(): void {
    const deadSinceMs = performance.now() - PING_INTERVAL_MS - this.#gateway.slowReaders.stallMs;
    for (const client of this.#clients.keys()) {
      if (client.heardOfAtMs() < deadSinceMs) client.terminate();
      else client.ping();
    }
  }
}

/** Closes a connection whose client has not said in time who it is. */
function closeUnknown(client: ClientSocket): void {
  if (client.context === undefined) {
    client.close(CloseCode.ConnectionInitialisationTimeout, 'Connection initialisation timeout');
  } else {
    client.close(CloseCode.Forbidden, 'An access token is needed');
  }
}
