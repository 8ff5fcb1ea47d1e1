import { type RawData, WebSocket } from 'ws';
import type { ContractPatterns } from '../access/patterns.ts';
import type { ConnectionQuota } from '../access/quota.ts';
import type { ConnectionWriter, ReadingOwner } from '../fanout/connection-writer.ts';
import type { AccessedClient, ConnectionIdentity } from './connection-identity.ts';

/** An operation of a connection, from its `subscribe` message to its end. */
export interface ClientOperation {
  /** Its id, which the client may use again as soon as it is over. */
  readonly id: string;
  /** The client has completed it, or is gone: nothing is sent for it any more. */
  stop(): void;
  /** Fewer contracts may be seen than before. */
  narrowed(contracts: ContractPatterns): void;
}

/** Who is told what becomes of connections. */
export interface ClientSocketOwner {
  /** A message has come. */
  received(client: ClientSocket, text: string): void;
  /** The client broke the WebSocket protocol, or its connection broke. */
  broken(client: ClientSocket, error: Error): void;
  /** The connection is gone. */
  gone(client: ClientSocket, code: number): void;
}

/**
 * Where a connection is in graphql-transport-ws: opened, its `connection_init` is being answered, or
 * acknowledged.
 */
export type ProtocolPhase = 'opened' | 'initialising' | 'acknowledged';

/**
 * A client's WebSocket with what belongs to it. Its listeners are everybody's, so that thousands of idle
 * connections hold few objects each.
 */
export class ClientSocket extends WebSocket implements AccessedClient, ReadingOwner {
  identity!: ConnectionIdentity;
  writer!: ConnectionWriter;
  #phase: ProtocolPhase = 'opened';
  #owner!: ClientSocketOwner;
  /** The operations that are not over; made with the first one. */
  #operations: Map<string, ClientOperation> | undefined = undefined;
  /** Who is told when the client has read what was written. */
  #unread: (() => void)[] | undefined = undefined;
  #isGone = false;
  #bytesRead = 0;
  // A whole number: one with a fraction is an object of its own.
  #heardOfAtMs = Math.trunc(performance.now());

  /** Takes what belongs to the connection, before anything else is asked of it. */
  take(owner: ClientSocketOwner, identity: ConnectionIdentity, writer: ConnectionWriter): void {
    this.#owner = owner;
    this.identity = identity;
    this.writer = writer;
    this.on('message', receive);
    this.on('ping', answerPing);
    this.on('error', breakDown);
    this.on('close', leave);
  }

  get phase(): ProtocolPhase {
    return this.#phase;
  }

  /** The protocol goes on. */
  setPhase(phase: ProtocolPhase): void {
    this.#phase = phase;
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

  /** The operation that has an id now; `undefined` where the id is free. */
  operation(id: string): ClientOperation | undefined {
    return this.#operations?.get(id);
  }

  /** Takes an operation, in the place of one that it carries on. */
  own(operation: ClientOperation): void {
    this.#operations ??= new Map();
    this.#operations.set(operation.id, operation);
  }

  /** An operation is over. Another one that has its id by now stays. */
  disown(operation: ClientOperation): void {
    if (this.#operations?.get(operation.id) === operation) this.#operations.delete(operation.id);
  }

  narrowed(): void {
    const allowed = this.identity.principal?.contracts;
    if (allowed === undefined) return;
    for (const operation of [...(this.#operations?.values() ?? [])]) operation.narrowed(allowed);
  }

  /** A message of the client. */
  receive(text: string): void {
    this.#owner.received(this, text);
  }

  /** @see ClientSocketOwner.broken */
  breakDown(error: Error): void {
    this.#owner.broken(this, error);
  }

  /** The connection is gone: everything that it owns ends. */
  leave(code: number): void {
    this.writer.close();
    this.#isGone = true;
    this.#tellRead();
    const operations = [...(this.#operations?.values() ?? [])];
    this.#operations = undefined;
    for (const operation of operations) operation.stop();
    this.#owner.gone(this, code);
  }

  #tellRead(): void {
    const unread = this.#unread ?? [];
    this.#unread = undefined;
    for (const run of unread) run();
  }
}

function receive(this: WebSocket, data: RawData): void {
  if (this instanceof ClientSocket) this.receive(String(data));
}

function answerPing(this: WebSocket, data: Buffer): void {
  if (this instanceof ClientSocket) this.answerPing(data);
}

function breakDown(this: WebSocket, error: Error): void {
  if (this instanceof ClientSocket) this.breakDown(error);
}

function leave(this: WebSocket, code: number): void {
  if (this instanceof ClientSocket) this.leave(code);
}
