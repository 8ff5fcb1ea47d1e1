import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { CloseCode, GRAPHQL_TRANSPORT_WS_PROTOCOL } from 'graphql-ws';
import { type Server, WebSocketServer } from 'ws';
import { LimitExceeded } from '../access/limit.ts';
import { ConnectionQuota } from '../access/quota.ts';
import { tokenOfHeaders } from '../access/shown-token.ts';
import { ConnectionWriter } from '../fanout/connection-writer.ts';
import { FanOut, type FanOutCounts, type SlowReaderBounds } from '../fanout/fanout.ts';
import { ExpiryQueue } from '../lib/expiry-queue.ts';
import { spreadOver } from '../lib/spread-over.ts';
import type { Admission } from '../operation/admission.ts';
import type { OperationGateway } from '../operation/operation-context.ts';
import { RefusalLog } from '../operation/refusal-log.ts';
import { ClientSocket, type ClientSocketOwner } from './client-socket.ts';
import { ConnectionIdentity, LIMIT_EXCEEDED } from './connection-identity.ts';
import { type Introductions, TransportProtocol } from './protocol.ts';

/** What the WebSocket connections of clients need of the gateway. */
export interface WebSocketGateway extends OperationGateway {
  readonly maxMessageBytes: number;
  /** Whether clients may have permessage-deflate. */
  readonly compression: boolean;
  readonly slowReaders: SlowReaderBounds;
  /** The updates of one tick were written to their clients. */
  readonly flushed: (seconds: number) => void;
}

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
/** The frames of one message are at least so long on average, in bytes: each costs as much as a short message. */
const FRAGMENT_BYTES = 512;

/** The WebSocket connections of clients, speaking `graphql-transport-ws`. */
export class WebSocketEndpoint implements ClientSocketOwner {
  /** The subprotocol that clients must offer. */
  readonly subprotocol = GRAPHQL_TRANSPORT_WS_PROTOCOL;
  readonly #gateway: WebSocketGateway;
  readonly #server: Server<typeof ClientSocket>;
  readonly #protocol: TransportProtocol;
  readonly #clients = new Set<ClientSocket>();
  readonly #introductions: Introductions = new ExpiryQueue(INTRODUCTION_MS, closeUnknown);
  readonly #pinging: NodeJS.Timeout;
  readonly #fanOut: FanOut;
  readonly #refusals: RefusalLog;
  #opened = 0;
  #refusing = 0;

  constructor(gateway: WebSocketGateway, admission: Admission) {
    this.#gateway = gateway;
    this.#refusals = new RefusalLog(gateway.log);
    this.#fanOut = new FanOut(gateway.slowReaders, gateway.flushed, gateway.log);
    this.#server = new WebSocketServer({
      WebSocket: ClientSocket,
      noServer: true,
      clientTracking: false,
      maxPayload: gateway.maxMessageBytes,
      maxFragments: Math.ceil(gateway.maxMessageBytes / FRAGMENT_BYTES),
      perMessageDeflate: gateway.compression,
      // The writer counts what is written, pongs too.
      autoPong: false,
      handleProtocols: () => this.subprotocol,
    });
    this.#protocol = new TransportProtocol(gateway, admission, this.#introductions);
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

  /**
   * Takes over a connection that asks for an upgrade.
   *
   * @param address where it comes from, as limits are counted
   */
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer, address: string): void {
    try {
      const coming = this.#gateway.access.come(address);
      if (coming instanceof ConnectionQuota) this.#admit(request, socket, head, coming);
      else this.#await(coming, request, socket, head);
    } catch (error) {
      if (!(error instanceof LimitExceeded)) throw error;
      this.#refuse(request, socket, head);
    }
  }

  /** Other processes have connections too: whether there is a place is asked of them. */
  #await(
    coming: Promise<ConnectionQuota>,
    request: IncomingMessage,
    socket: Duplex,
    head: Buffer,
  ): void {
    const end = () => socket.destroy();
    socket.on('error', end);
    coming
      .then(
        (quota) => {
          socket.off('error', end);
          this.#admit(request, socket, head, quota);
        },
        (error: unknown) => {
          if (!(error instanceof LimitExceeded)) throw error;
          socket.off('error', end);
          this.#refuse(request, socket, head);
        },
      )
      .catch((error: unknown) => {
        this.#gateway.log.error({ error }, 'a connection could not be taken');
        end();
      });
  }

  #admit(request: IncomingMessage, socket: Duplex, head: Buffer, quota: ConnectionQuota): void {
    const token = tokenOfHeaders(request.headers);
    let taken = false;
    this.#server.handleUpgrade(request, socket, head, (client) => {
      taken = true;
      this.#take(client, quota, token, request.socket);
    });
    // A handshake that ws has refused.
    if (!taken) quota.leave();
  }

  /**
   * Closes every connection with a code that clients come back on.
   *
   * @param drainMs over how long, in milliseconds
   */
  async close(drainMs: number): Promise<void> {
    clearInterval(this.#pinging);
    const clients = [...this.#clients];
    const closed = clients.map(
      (client) => new Promise<void>((resolve) => client.once('close', () => resolve())),
    );
    await spreadOver(drainMs, clients, (client) => {
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

  received(client: ClientSocket, text: string): void {
    this.#guard(client, () => this.#protocol.receive(client, text));
  }

  broken(client: ClientSocket, { message: reason }: Error): void {
    const { id: connectionId } = client.identity;
    this.#gateway.log.debug({ connectionId, reason }, 'a client broke the protocol');
  }

  gone(client: ClientSocket, code: number): void {
    this.#clients.delete(client);
    this.#introductions.delete(client);
    client.identity.close();
    this.#gateway.log.debug({ connectionId: client.identity.id, code }, 'a client has gone');
  }

  // What the closures of a function use lives as long as they do: nothing here may hold the request.
  #take(
    client: ClientSocket,
    quota: ConnectionQuota,
    handshakeToken: string | undefined,
    socket: Socket,
  ): void {
    const { log, access } = this.#gateway;
    const number = ++this.#opened;
    const identity = new ConnectionIdentity(
      access,
      quota,
      client,
      handshakeToken,
      number,
      log,
      this.#refusals,
    );
    client.take(this, identity, new ConnectionWriter(client, socket, this.#fanOut, client));
    log.debug({ connectionId: identity.id, address: quota.address }, 'a client has connected');
    this.#clients.add(client);
    this.#introductions.add(client);
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
    for (const client of this.#clients) {
      // Who is not read from cannot be heard of; whether they take anything is looked at elsewhere.
      if (client.writer.isClogged) continue;
      this.#guard(client, () => {
        if (client.heardOfAtMs() < deadSinceMs) client.terminate();
        else client.ping();
        client.writer.check();
      });
    }
  }

  /** A fault of ours ends the client that it was met with, and nobody else. */
  #guard(client: ClientSocket, run: () => void): void {
    try {
      run();
    } catch (error) {
      this.#fanOut.failed(client.writer, error);
    }
  }
}

/** Closes a connection whose client has not said in time who it is. */
function closeUnknown(client: ClientSocket): void {
  if (client.phase === 'opened') {
    client.close(CloseCode.ConnectionInitialisationTimeout, 'Connection initialisation timeout');
  } else {
    client.close(CloseCode.Forbidden, 'An access token is needed');
  }
}
