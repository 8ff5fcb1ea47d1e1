import type { GraphQLError } from 'graphql';
import type { ConnectionIdentity } from '../connections/connection-identity.ts';
import type { Logger } from '../observability/log.ts';
import type { Span } from '../observability/tracing.ts';
import { type AdmittedExecution, clientResult } from '../operation/admitted-execution.ts';
import type { Asker } from '../operation/operation-context.ts';
import type { ClientOperation, ClientSocket } from './client-socket.ts';

/**
 * An operation while it is being admitted, and a query or a mutation until it is answered. It belongs to its
 * connection, which ends its waits.
 */
export class SocketOperation implements ClientOperation {
  readonly id: string;
  readonly #client: ClientSocket;
  readonly #log: Logger;
  readonly #giveBack: () => void;
  /** Ends with it; a subscription takes it over. */
  span: Span | undefined;
  #abort: AbortController | undefined;
  #state: 'running' | 'over' = 'running';

  /** @param giveBack its place among those that run or wait */
  constructor(id: string, client: ClientSocket, log: Logger, giveBack: () => void) {
    this.id = id;
    this.#client = client;
    this.#log = log;
    this.#giveBack = giveBack;
  }

  /** Whether nothing may be sent for it any more. */
  get isOver(): boolean {
    return this.#state === 'over';
  }

  /** Ends what the operation waits for. Made when it is asked for: few operations wait. */
  get signal(): AbortSignal {
    this.#abort ??= new AbortController();
    if (this.isOver) this.#abort.abort();
    return this.#abort.signal;
  }

  /** Executes what is admitted and sends its one result. */
  async execute(admitted: AdmittedExecution): Promise<void> {
    const text =
      (await admitted.answer(this.#log)) ??
      JSON.stringify(clientResult(await admitted.execute(), this.#log));
    if (!this.#close()) return;
    const { id } = this;
    const { writer } = this.#client;
    writer.send(`{"id":${JSON.stringify(id)},"type":"next","payload":${text}}`);
    writer.sendMessage({ id, type: 'complete' });
  }

  /** Tells why it is not done. */
  refuse(errors: readonly GraphQLError[]): void {
    if (!this.#close()) return;
    const payload = errors.map((error) => error.toJSON());
    this.#client.writer.sendMessage({ id: this.id, type: 'error', payload });
  }

  /** Something else carries it on, under the same id. */
  handOver(): Span | undefined {
    this.#state = 'over';
    this.#giveBack();
    const { span } = this;
    this.span = undefined;
    return span;
  }

  stop(): void {
    this.#close();
  }

  // What it reads asks anew who may see it.
  narrowed(): void {}

  #close(): boolean {
    if (this.isOver) return false;
    this.#state = 'over';
    this.#giveBack();
    this.#client.disown(this);
    this.#abort?.abort();
    this.span?.end();
    return true;
  }
}

/** Who asks by an operation of a connection; a class for the reason that `OperationContext` gives. */
export class SocketAsker implements Asker {
  readonly transport = 'websocket';
  readonly who: Asker['who'];
  readonly renewer: ConnectionIdentity;
  readonly #operation: SocketOperation;

  constructor(
    identity: ConnectionIdentity,
    readonly requestId: string,
    operation: SocketOperation,
  ) {
    this.who = () => identity.current();
    this.renewer = identity;
    this.#operation = operation;
  }

  get signal(): AbortSignal {
    return this.#operation.signal;
  }
}
