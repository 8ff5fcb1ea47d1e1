import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { type Server, type WebSocket, WebSocketServer } from 'ws';
import { LimitExceeded } from '../access/limit.ts';
import { ConnectionQuota } from '../access/quota.ts';
import { ConnectionWriter } from '../fanout/connection-writer.ts';
import type { FanOut } from '../fanout/fanout.ts';
import { spreadOver } from '../lib/spread-over.ts';
import type { OperationGateway } from '../operation/operation-context.ts';
import { RefusalLog } from '../operation/refusal-log.ts';
import type { ClientConnection, ConnectionOwner } from './client-connection.ts';
import { ConnectionIdentity, LIMIT_EXCEEDED } from './connection-identity.ts';

/** What the WebSocket connections of clients need of the gateway. */
export interface ConnectionGateway extends OperationGateway {
  /** The longest message of a client, in bytes. */
  readonly maxMessageBytes: number;
  /** Whether clients may have permessage-deflate. */
  readonly compression: boolean;
  /** What is written to clients; whoever made it closes it. */
  readonly fanOut: FanOut;
}

/** What differs from protocol to protocol. */
export interface ConnectionForm<Client extends ClientConnection> {
  /** The class of its connections. */
  readonly WebSocket: typeof WebSocket & { readonly prototype: Client };
  /** The subprotocol that is answered, whatever is offered; `undefined` for none. */
  readonly subprotocol: string | undefined;
  /** The close code of a token that is refused or has expired. */
  readonly refusedCode: number;
  /** The token in the headers of a handshake. */
  token(headers: IncomingHttpHeaders): string | undefined;
}

/** How often clients are pinged. One that is silent for as long as a slow one may stall besides is gone. */
const PING_INTERVAL_MS = 12_000;
/** The close code of a drain: every client comes back on it. */
export const SERVICE_RESTART = 1012;
/** How long clients are given to answer a close before they are cut. */
const CLOSE_TIMEOUT_MS = 1_000;
/** How many connections beyond the limit are told so at once; more are cut without a word. */
const MOST_REFUSALS_AT_ONCE = 100;
/** The frames of one message are at least so long on average, in bytes: each costs as much as a short message. */
const FRAGMENT_BYTES = 512;

/**
 * The WebSocket connections of clients of one protocol: each has a place, a writer and somebody who is on it,
 * is pinged, and is closed so that its client comes back.
 *
 * `Request` is what a protocol reads of a handshake.
 */
export abstract class ConnectionServer<Client extends ClientConnection, Request>
  implements ConnectionOwner
{
  protected readonly gateway: ConnectionGateway;
  readonly #form: ConnectionForm<Client>;
  readonly #server: Server;
  readonly #clients = new Set<Client>();
  readonly #pinging: NodeJS.Timeout;
  readonly #refusals: RefusalLog;
  #opened = 0;
  #refusing = 0;

  constructor(gateway: ConnectionGateway, form: ConnectionForm<Client>) {
    const { maxMessageBytes } = gateway;
    const { WebSocket: type, subprotocol } = form;
    this.gateway = gateway;
    this.#form = form;
    this.#refusals = new RefusalLog(gateway.log);
    this.#server = new WebSocketServer({
      WebSocket: type,
      noServer: true,
      clientTracking: false,
      maxPayload: maxMessageBytes,
      maxFragments: Math.ceil(maxMessageBytes / FRAGMENT_BYTES),
      perMessageDeflate: gateway.compression,
      // The writer counts what is written, pongs too.
      autoPong: false,
      handleProtocols: () => subprotocol ?? false,
    });
    this.#pinging = setInterval(() => this.#ping(), PING_INTERVAL_MS);
  }

  /** How many clients are connected. */
  get size(): number {
    return this.#clients.size;
  }

  /** A connection is there, and nothing is known of its client yet. */
  protected abstract opened(client: Client, request: Request): void;

  /** A message has come. */
  protected abstract message(client: Client, text: string): void;

  /** The connection is gone, and what it had open is over. */
  protected abstract left(client: Client): void;

  /**
   * Takes over a connection that asks for an upgrade.
   *
   * @param address where it comes from, as limits are counted
   * @param asked what its handshake asks for
   */
  protected take(
    request: IncomingMessage,
    socket: Duplex,
    head: Buffer,
    address: string,
    asked: Request,
  ): void {
    try {
      const coming = this.gateway.access.come(address);
      if (coming instanceof ConnectionQuota) this.#admit(request, socket, head, coming, asked);
      else this.#await(coming, request, socket, head, asked);
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
    asked: Request,
  ): void {
    const end = () => socket.destroy();
    socket.on('error', end);
    coming
      .then(
        (quota) => {
          socket.off('error', end);
          this.#admit(request, socket, head, quota, asked);
        },
        (error: unknown) => {
          if (!(error instanceof LimitExceeded)) throw error;
          socket.off('error', end);
          this.#refuse(request, socket, head);
        },
      )
      .catch((error: unknown) => {
        this.gateway.log.error({ error }, 'a connection could not be taken');
        end();
      });
  }

  #admit(
    request: IncomingMessage,
    socket: Duplex,
    head: Buffer,
    quota: ConnectionQuota,
    asked: Request,
  ): void {
    const token = this.#form.token(request.headers);
    let taken = false;
    this.#server.handleUpgrade(request, socket, head, (client) => {
      taken = true;
      this.#open(client as Client, quota, token, request.socket, asked);
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
    this.#server.close();
  }

  received(client: ClientConnection, text: string): void {
    this.guard(client, () => this.message(client as Client, text));
  }

  broken(client: ClientConnection, { message: reason }: Error): void {
    const { id: connectionId } = client.identity;
    this.gateway.log.debug({ connectionId, reason }, 'a client broke the protocol');
  }

  gone(client: ClientConnection, code: number): void {
    this.#clients.delete(client as Client);
    this.left(client as Client);
    client.identity.close();
    this.gateway.log.debug({ connectionId: client.identity.id, code }, 'a client has gone');
  }

  /** A fault of ours ends the client that it was met with, and nobody else. */
  protected guard(client: ClientConnection, run: () => void): void {
    try {
      run();
    } catch (error) {
      this.gateway.fanOut.failed(client.writer, error);
    }
  }

  // What the closures of a function use lives as long as they do: nothing here may hold the request.
  #open(
    client: Client,
    quota: ConnectionQuota,
    handshakeToken: string | undefined,
    socket: Socket,
    asked: Request,
  ): void {
    const { log, access, fanOut } = this.gateway;
    const number = ++this.#opened;
    const identity = new ConnectionIdentity(
      access,
      quota,
      client,
      handshakeToken,
      number,
      log,
      this.#refusals,
      this.#form.refusedCode,
    );
    client.take(this, identity, new ConnectionWriter(client, socket, fanOut, client));
    log.debug({ connectionId: identity.id, address: quota.address }, 'a client has connected');
    this.#clients.add(client);
    this.opened(client, asked);
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
    const { stallMs } = this.gateway.fanOut.bounds;
    const deadSinceMs = performance.now() - PING_INTERVAL_MS - stallMs;
    for (const client of this.#clients) {
      // Who is not read from cannot be heard of; whether they take anything is looked at elsewhere.
      if (client.writer.isClogged) continue;
      this.guard(client, () => {
        if (client.heardOfAtMs() < deadSinceMs) client.terminate();
        else client.ping();
        client.writer.check();
      });
    }
  }
}
