import type { GraphQLError } from 'graphql';
import type { ContractHub } from '../hub/hub.ts';
import type { Span } from '../observability/tracing.ts';
import { type StatusPlace, StatusSubscription } from '../operation/status-subscription.ts';
import type { ClientOperation, ClientSocket } from './client-socket.ts';
import { nextMessage, ownTextOf } from './next-frames.ts';

/** A subscription to the gateway's own state over a WebSocket. */
export class SocketStatus extends StatusSubscription implements ClientOperation {
  readonly id: string;
  readonly #client: ClientSocket;
  readonly #span: Span | undefined;
  #state: 'open' | 'over' = 'open';

  /**
   * @param place what it has taken of its connection, which it gives back
   * @param span ends with it
   */
  constructor(
    hub: ContractHub,
    id: string,
    client: ClientSocket,
    place: StatusPlace,
    span: Span | undefined,
  ) {
    super(hub, place);
    this.id = id;
    this.#client = client;
    this.#span = span;
  }

  tell(json: Buffer): boolean {
    const { writer } = this.#client;
    // A slow reader is told what is true when it reads.
    if (writer.isClogged) return false;
    writer.send(nextMessage(ownTextOf(this.id), json));
    return true;
  }

  /** Ends it; its client is told that it is complete. */
  end(): void {
    if (this.#over()) this.#client.writer.sendMessage({ id: this.id, type: 'complete' });
  }

  /** Ends it with errors that its client is told. */
  fail(errors: readonly GraphQLError[]): void {
    if (!this.#over()) return;
    const payload = errors.map((error) => error.toJSON());
    this.#client.writer.sendMessage({ id: this.id, type: 'error', payload });
  }

  stop(): void {
    this.#over();
  }

  // What may be seen is asked each time that something is told.
  narrowed(): void {}

  /** Gives back what it has. @returns whether it had not been over */
  #over(): boolean {
    if (this.#state === 'over') return false;
    this.#state = 'over';
    this.close();
    this.#client.disown(this);
    this.#span?.end();
    return true;
  }
}
