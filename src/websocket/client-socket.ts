import type { Context } from 'graphql-ws';
import { type RawData, WebSocket } from 'ws';
import type { ConnectionQuota } from '../access/quota.ts';
import type { ConnectionWriter } from '../fanout/connection-writer.ts';
import type { Span } from '../observability/tracing.ts';
import { forbiddenContract } from '../schema/coded-error.ts';
import type { AccessedClient, ConnectionIdentity } from './connection-identity.ts';
import { SocketSubscription, type SubscriptionHolder } from './socket-subscription.ts';

/** What graphql-ws knows of a connection. */
export type ProtocolContext = Context<Record<string, unknown>, ClientSocket>;

/** Who is told what becomes of connections. */
export interface ClientSocketOwner {
  /** A message could not be handled. */
  failed(client: ClientSocket, error: unknown): void;
  /** The client broke the WebSocket protocol, or its connection broke. */
  broken(client: ClientSocket, error: Error): void;
  /** The connection is gone. */
  gone(client: ClientSocket, code: number, reason: string): void;
}

/**
 * A client's WebSocket with what belongs to it. It is graphql-ws's socket and graphql-ws's `extra` at
 * once, and its listeners are everybody's, so that thousands of idle connections hold few objects each.
 */
export class ClientSocket extends WebSocket implements SubscriptionHolder, AccessedClient {
  access!: ConnectionIdentity;
  connection!: ConnectionWriter;
  /** What graphql-ws knows of the connection, from its `connection_init` on. */
  context: ProtocolContext | undefined = undefined;
  #owner!: ClientSocketOwner;
  #handle: ((text: string) => Promise<void>) | undefined = undefined;
  /** Spans of operations that run, by their ids; made with the first one that somebody collects. */
  #spans: Map<string, Span> | undefined = undefined;
  #bytesRead = 0;
  // A whole number: one with a fraction is an object of its own.
  #heardOfAtMs = Math.trunc(performance.now());

  /** Takes what belongs to the connection, before anything else is asked of it. */
  take(owner: ClientSocketOwner, access: ConnectionIdentity, connection: ConnectionWriter): void {
    this.#owner = owner;
    this.access = access;
    this.connection = connection;
    this.on('message', receive);
    this.on('error', breakDown);
    this.on('close', leave);
  }

  get quota(): ConnectionQuota {
    return this.access.quota;
  }

  /** graphql-ws takes the client's messages with `handle`. */
  onMessage(handle: (text: string) => Promise<void>): void {
    this.#handle = handle;
  }

  /** When the client was last noticed to have sent anything, by `performance.now()`; looks once more. */
  heardOfAtMs(): number {
    const { bytesRead } = this.connection;
    if (bytesRead !== this.#bytesRead) {
      this.#bytesRead = bytesRead;
      this.#heardOfAtMs = Math.trunc(performance.now());
    }
    return this.#heardOfAtMs;
  }

  /** An operation has begun that somebody traces. */
  traced(id: string, span: Span): void {
    this.#spans ??= new Map();
    this.#spans.set(id, span);
  }

  ended(id: string): void {
    this.#spans?.get(id)?.end();
    this.#spans?.delete(id);
  }

  free(id: string): void {
    if (this.context !== undefined) delete this.context.subscriptions[id];
  }

  narrowed(): void {
    const allowed = this.access.principal?.contracts;
    for (const subscription of Object.values(this.context?.subscriptions ?? {})) {
      if (!(subscription instanceof SocketSubscription)) continue;
      const key = subscription.wish.keys.find((key) => !allowed?.allow(key));
      if (key !== undefined) subscription.fail(forbiddenContract(key));
    }
  }

  /** A message of the client. */
  receive(text: string): void {
    // Whatever escapes the protocol's own handling is this connection's fault alone.
    this.#handle?.(text).catch((error: unknown) => this.#owner.failed(this, error));
  }

  /** @see ClientSocketOwner.broken */
  breakDown(error: Error): void {
    this.#owner.broken(this, error);
  }

  /** @see ClientSocketOwner.gone */
  leave(code: number, reason: string): void {
    this.connection.close();
    this.#owner.gone(this, code, reason);
  }
}

function receive(this: WebSocket, data: RawData): void {
  if (this instanceof ClientSocket) this.receive(String(data));
}

function breakDown(this: WebSocket, error: Error): void {
  if (this instanceof ClientSocket) this.breakDown(error);
}

function leave(this: WebSocket, code: number, reason: Buffer): void {
  if (this instanceof ClientSocket) this.leave(code, reason.toString('utf8'));
}
