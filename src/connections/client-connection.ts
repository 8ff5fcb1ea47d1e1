import { type RawData, WebSocket } from 'ws';
import type { ConnectionQuota } from '../access/quota.ts';
import type { ConnectionWriter, ReadingOwner } from '../fanout/connection-writer.ts';
import type { AccessedClient, ConnectionIdentity } from './connection-identity.ts';

/** The close code of a fault of ours. Source: RFC 6455, section 7.4.1. */
export const FAULT = 1011;
/** The most bytes of a close reason. Source: RFC 6455, section 5.5. */
export const MOST_REASON_BYTES = 123;

/** Who is told what becomes of connections. */
export interface ConnectionOwner {
  /** A message has come. */
  received(client: ClientConnection, text: string): void;
  /** The client broke the WebSocket protocol, or its connection broke. */
  broken(client: ClientConnection, error: Error): void;
  /** The connection is gone. */
  gone(client: ClientConnection, code: number): void;
}

/**
 * A client's WebSocket with what belongs to it. Its listeners are everybody's, so that thousands of idle
 * connections hold few objects each.
 */
export abstract class ClientConnection extends WebSocket implements AccessedClient, ReadingOwner {
  identity!: ConnectionIdentity;
  writer!: ConnectionWriter;
  #owner!: ConnectionOwner;
  /** Who is told when the client has read what was written. */
  #unread: (() => void)[] | undefined = undefined;
  #isGone = false;
  #bytesRead = 0;
  // A whole number: one with a fraction is an object of its own.
  #heardOfAtMs = Math.trunc(performance.now());

  /** Takes what belongs to the connection, before anything else is asked of it. */
  take(owner: ConnectionOwner, identity: ConnectionIdentity, writer: ConnectionWriter): void {
    this.#owner = owner;
    this.identity = identity;
    this.writer = writer;
    this.on('message', receive);
    this.on('ping', answerPing);
    this.on('error', breakDown);
    this.on('close', leave);
  }

  get quota(): ConnectionQuota {
    return this.identity.quota;
  }

  // A client that takes nothing is not read from: what it asks for would only wait behind the rest.
  clogged(): void {
    this.pause();
  }

  flowing(): void {
    this.resume();
    this.#tellRead();
  }

  /** Calls `run` once the client has read what was written so far, but for what may be unsent, or is gone. */
  whenRead(run: () => void): void {
    if (!this.writer.isClogged || this.#isGone) run();
    else this.#unread = [...(this.#unread ?? []), run];
  }

  override close(code?: number, reason?: string | Buffer): void {
    // The answer to a close frame has to be read.
    this.resume();
    super.close(code, reason);
  }

  /** A ping of the WebSocket protocol: its answer counts as anything else that is written. */
  answerPing(data: Buffer): void {
    if (this.readyState !== this.OPEN) return;
    this.pong(data);
    this.writer.check();
  }

  /** When the client was last noticed to have sent anything, by `performance.now()`; looks once more. */
  heardOfAtMs(): number {
    const { bytesRead } = this.writer;
    if (bytesRead !== this.#bytesRead) {
      this.#bytesRead = bytesRead;
      this.#heardOfAtMs = Math.trunc(performance.now());
    }
    return this.#heardOfAtMs;
  }

  abstract narrowed(): void;

  /** Ends what the client has open: it is gone. */
  protected abstract stopAll(): void;

  /** A message of the client. */
  receive(text: string): void {
    this.#owner.received(this, text);
  }

  /** @see ConnectionOwner.broken */
  breakDown(error: Error): void {
    this.#owner.broken(this, error);
  }

  /** The connection is gone: everything that it owns ends. */
  leave(code: number): void {
    this.writer.close();
    this.#isGone = true;
    this.#tellRead();
    this.stopAll();
    this.#owner.gone(this, code);
  }

  #tellRead(): void {
    const unread = this.#unread ?? [];
    this.#unread = undefined;
    for (const run of unread) run();
  }
}

function receive(this: WebSocket, data: RawData): void {
  if (this instanceof ClientConnection) this.receive(String(data));
}

function answerPing(this: WebSocket, data: Buffer): void {
  if (this instanceof ClientConnection) this.answerPing(data);
}

function breakDown(this: WebSocket, error: Error): void {
  if (this instanceof ClientConnection) this.breakDown(error);
}

function leave(this: WebSocket, code: number): void {
  if (this instanceof ClientConnection) this.leave(code);
}
