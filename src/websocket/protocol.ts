import { CloseCode, MessageType, type SubscribeMessage, validateMessage } from 'graphql-ws';
import type { SharedSubscription } from '../access/shared-places.ts';
import { tokenOfInit, tokenOfOperation } from '../access/shown-token.ts';
import { MOST_REASON_BYTES } from '../connections/client-connection.ts';
import { LIMIT_EXCEEDED } from '../connections/connection-identity.ts';
import { MOST_NAME_CHARACTERS } from '../documents/document-limits.ts';
import { readOperationRequest } from '../documents/operation-request.ts';
import { parseExactJson } from '../lib/exact-json.ts';
import type { ExpiryQueue } from '../lib/expiry-queue.ts';
import type { Admission } from '../operation/admission.ts';
import type {
  AdmittedSubscription,
  SubscriptionPlace,
} from '../operation/admitted-subscription.ts';
import { clientErrors } from '../operation/client-error.ts';
import type { OperationGateway } from '../operation/operation-context.ts';
import type { AdmittedStatusUpdates, StatusPlace } from '../operation/status-subscription.ts';
import type { ClientSocket } from './client-socket.ts';
import { SocketAsker, SocketOperation } from './socket-operation.ts';
import { SocketStatus } from './socket-status.ts';
import { SocketSubscription } from './socket-subscription.ts';

/** Connections whose clients have yet to say who they are. */
export type Introductions = ExpiryQueue<ClientSocket>;

/**
 * The server's side of graphql-transport-ws. Its words are graphql-ws's; what becomes of an operation is
 * decided here, because each belongs to its connection as an object: an id may be used again within one
 * segment, and nothing waits for a subscription that yields nothing.
 *
 * Source: PROTOCOL.md of graphql-ws.
 */
export class TransportProtocol {
  readonly #gateway: OperationGateway;
  readonly #admission: Admission;
  readonly #introductions: Introductions;

  /** @param introductions who is closed unless they say in time who they are */
  constructor(gateway: OperationGateway, admission: Admission, introductions: Introductions) {
    this.#gateway = gateway;
    this.#admission = admission;
    this.#introductions = introductions;
  }

  /** A message of a client. */
  receive(client: ClientSocket, text: string): void {
    if (client.readyState !== client.OPEN) return;
    let message: ReturnType<typeof validateMessage>;
    try {
      message = validateMessage(parseExactJson(text));
    } catch {
      client.close(CloseCode.BadRequest, 'Invalid message received');
      return;
    }
    switch (message.type) {
      case MessageType.ConnectionInit:
        this.#guard(client, this.#initialise(client, message.payload));
        break;
      case MessageType.Subscribe:
        this.#subscribe(client, message);
        break;
      case MessageType.Complete:
        client.operation(message.id)?.stop();
        break;
      case MessageType.Ping:
        this.#pong(client, message.payload);
        break;
      case MessageType.Pong:
        break;
      default:
        client.close(CloseCode.BadRequest, `Unexpected message of type ${message.type} received`);
    }
  }

  async #initialise(
    client: ClientSocket,
    payload: Record<string, unknown> | undefined,
  ): Promise<void> {
    if (client.phase !== 'opened') {
      client.close(CloseCode.TooManyInitialisationRequests, 'Too many initialisation requests');
      return;
    }
    client.setPhase('initialising');
    this.#introductions.delete(client);
    const token = tokenOfInit(payload) ?? client.identity.handshakeToken;
    if (token !== undefined || this.#gateway.access.open) {
      if (!(await client.identity.show(token)) || client.readyState !== client.OPEN) return;
    } else {
      // GraphiQL sends its token with each operation.
      this.#introductions.add(client);
    }
    client.setPhase('acknowledged');
    client.writer.sendMessage({ type: 'connection_ack' });
  }

  #pong(client: ClientSocket, payload: Record<string, unknown> | undefined): void {
    try {
      client.quota.operation();
    } catch {
      client.close(LIMIT_EXCEEDED, 'Too many pings');
      return;
    }
    client.writer.sendMessage({ type: 'pong', ...(payload && { payload }) });
  }

  #subscribe(client: ClientSocket, message: SubscribeMessage): void {
    const { id } = message;
    if (client.phase !== 'acknowledged') {
      client.close(CloseCode.Unauthorized, 'Unauthorized');
    } else if (id.length > MOST_NAME_CHARACTERS) {
      const most = `an operation's id has at most ${MOST_NAME_CHARACTERS} characters`;
      client.close(CloseCode.BadRequest, most);
    } else if (client.operation(id) !== undefined) {
      const reason = `Subscriber for ${id} already exists`;
      client.close(
        CloseCode.SubscriberAlreadyExists,
        Buffer.byteLength(reason) <= MOST_REASON_BYTES ? reason : 'Subscriber already exists',
      );
    } else {
      this.#take(client, message);
    }
  }

  #take(client: ClientSocket, message: SubscribeMessage): void {
    const { log } = this.#gateway;
    let operation: SocketOperation | undefined;
    try {
      client.quota.operation();
      operation = new SocketOperation(message.id, client, log, client.quota.begin());
      client.own(operation);
      const token = tokenOfOperation(message.payload.extensions);
      if (token === undefined && client.identity.principal !== undefined) {
        this.#begin(client, operation, message);
      } else {
        this.#guard(client, this.#beginWith(token, client, operation, message));
      }
    } catch (error) {
      // One that was not begun has no place to give back.
      operation ??= new SocketOperation(message.id, client, log, () => {});
      operation.refuse(clientErrors(error, log));
    }
  }

  /** Begins an operation that shows a token, or has to. */
  async #beginWith(
    token: string | undefined,
    client: ClientSocket,
    operation: SocketOperation,
    message: SubscribeMessage,
  ): Promise<void> {
    if (!(await client.identity.show(token)) || operation.isOver) return;
    this.#introductions.delete(client);
    try {
      this.#begin(client, operation, message);
    } catch (error) {
      operation.refuse(clientErrors(error, this.#gateway.log));
    }
  }

  /** @throws what `clientErrors` tells a client */
  #begin(client: ClientSocket, operation: SocketOperation, { payload }: SubscribeMessage): void {
    const { tracing } = this.#gateway;
    const { identity } = client;
    const { id } = operation;
    const requestId = `${identity.id}/${id.slice(0, 100)}`;
    operation.span = tracing.start('graphql.operation', {
      'network.protocol.name': 'websocket',
      'ime_gateway.request_id': requestId,
      'graphql.operation.name': payload.operationName?.slice(0, MOST_NAME_CHARACTERS) ?? '',
    });
    const asker = new SocketAsker(identity, requestId, operation);
    const admitted = this.#admission.admit(asker, readOperationRequest(payload));
    if (admitted.kind === 'execution') {
      const reader = { principal: identity.current(), address: client.quota.address };
      const giveBack = this.#admission.answers.take(reader, admitted.mostBytes);
      const executed = operation.execute(admitted);
      this.#guard(
        client,
        executed.finally(() => client.whenRead(giveBack)),
      );
      return;
    }
    const reserving = admitted.reserve(client.quota);
    if (reserving === undefined) this.#open(client, operation, admitted.take(client.quota));
    else this.#guard(client, this.#openReserved(reserving, client, operation, admitted));
  }

  /** Opens a subscription for which what all processes may together was asked. */
  async #openReserved(
    reserving: Promise<SharedSubscription>,
    client: ClientSocket,
    operation: SocketOperation,
    admitted: AdmittedSubscription | AdmittedStatusUpdates,
  ): Promise<void> {
    try {
      const reserved = await reserving;
      if (operation.isOver) reserved.giveBack();
      else this.#open(client, operation, admitted.take(client.quota, undefined, reserved));
    } catch (error) {
      operation.refuse(clientErrors(error, this.#gateway.log));
    }
  }

  /** A subscription takes the place of the operation that asks for it. */
  #open(
    client: ClientSocket,
    operation: SocketOperation,
    place: SubscriptionPlace | StatusPlace,
  ): void {
    const { hub } = this.#gateway;
    const { id } = operation;
    const span = operation.handOver();
    if (place.kind === 'status') {
      const status = new SocketStatus(hub, id, client, place, span);
      client.own(status);
      try {
        status.open();
      } catch (error) {
        status.fail(clientErrors(error, this.#gateway.log));
      }
      return;
    }
    const subscription = new SocketSubscription(hub, id, client, place, span);
    client.own(subscription);
    try {
      subscription.open();
    } catch (error) {
      for (const told of clientErrors(error, this.#gateway.log)) subscription.fail(told);
    }
  }

  /** What escapes is this connection's fault alone. */
  #guard(client: ClientSocket, work: Promise<void>): void {
    work.catch((error: unknown) => {
      const { id: connectionId } = client.identity;
      this.#gateway.log.error({ connectionId, error }, 'a client connection failed');
      client.close(CloseCode.InternalServerError, 'The gateway failed; its log says why');
    });
  }
}
