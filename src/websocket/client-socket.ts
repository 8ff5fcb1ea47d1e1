import type { ContractPatterns } from '../access/patterns.ts';
import { ClientConnection } from '../connections/client-connection.ts';

/** An operation of a connection, from its `subscribe` message to its end. */
export interface ClientOperation {
  /** Its id, which the client may use again as soon as it is over. */
  readonly id: string;
  /** The client has completed it, or is gone: nothing is sent for it any more. */
  stop(): void;
  /** Fewer contracts may be seen than before. */
  narrowed(contracts: ContractPatterns): void;
}

/**
 * Where a connection is in graphql-transport-ws: opened, its `connection_init` is being answered, or
 * acknowledged.
 */
export type ProtocolPhase = 'opened' | 'initialising' | 'acknowledged';

/** A connection that speaks graphql-transport-ws, and the operations that it owns. */
export class ClientSocket extends ClientConnection {
  #phase: ProtocolPhase = 'opened';
  /** The operations that are not over; made with the first one. */
  #operations: Map<string, ClientOperation> | undefined = undefined;

  get phase(): ProtocolPhase {
    return this.#phase;
  }

  /** The protocol goes on. */
  setPhase(phase: ProtocolPhase): void {
    this.#phase = phase;
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

  protected stopAll(): void {
    const operations = [...(this.#operations?.values() ?? [])];
    this.#operations = undefined;
    for (const operation of operations) operation.stop();
  }
}
