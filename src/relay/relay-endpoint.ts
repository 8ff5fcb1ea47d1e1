import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { FAULT } from '../connections/client-connection.ts';
import { LIMIT_EXCEEDED, TRY_AGAIN_LATER } from '../connections/connection-identity.ts';
import { type ConnectionGateway, ConnectionServer } from '../connections/connection-server.ts';
import type { FrameEncoder } from '../fanout/frame-encoder.ts';
import { REFUSED_CLOSE_CODE, tokenIn } from '../ime/protocol/endpoints.ts';
import { ExpiryQueue } from '../lib/expiry-queue.ts';
import type { Admission } from '../operation/admission.ts';
import { clientErrors, codeOf } from '../operation/client-error.ts';
import { MessageFrames } from './message-frames.ts';
import { RelayClient, RelaySubscription } from './relay-client.ts';
import { isRelayPath, type RelayRequest, readRelayRequest } from './relay-request.ts';

/** How long a client waits for IME to say whether it has a contract, in milliseconds. */
const ANSWER_MS = 10_000;

/**
 * IME's two endpoints, as `ime-live-data-api.md` has them, fed by the hub: a message is IME's own bytes, and
 * everybody who follows a contract shares its upstream socket with all other clients of the gateway.
 */
export class RelayEndpoint extends ConnectionServer<RelayClient, RelayRequest> {
  readonly #admission: Admission;
  readonly #frames: FrameEncoder;
  readonly #unanswered: ExpiryQueue<RelayClient> = new ExpiryQueue(ANSWER_MS, (client) =>
    client.subscription?.giveUp(TRY_AGAIN_LATER),
  );

  constructor(gateway: ConnectionGateway, admission: Admission) {
    super(gateway, {
      WebSocket: RelayClient,
      subprotocol: undefined,
      refusedCode: REFUSED_CLOSE_CODE,
      // As IME takes it: bare, too.
      token: ({ authorization }) => tokenIn(authorization)?.token,
    });
    this.#admission = admission;
    this.#frames = new MessageFrames(admission.messages);
  }

  /** Whether one of the endpoints is at a path. */
  serves(path: string): boolean {
    return isRelayPath(path);
  }

  /**
   * Takes over a connection that asks for an upgrade.
   *
   * @param path the path that it asks at, which {@link serves}
   * @param address where it comes from, as limits are counted
   */
  upgrade(
    request: IncomingMessage,
    socket: Duplex,
    head: Buffer,
    address: string,
    path: string,
  ): void {
    this.take(request, socket, head, address, readRelayRequest(path, request.url ?? ''));
  }

  override async close(drainMs: number): Promise<void> {
    await super.close(drainMs);
    this.#unanswered.clear();
  }

  protected opened(client: RelayClient, asked: RelayRequest): void {
    this.#begin(client, asked).catch((error: unknown) => {
      const { id: connectionId } = client.identity;
      this.gateway.log.error({ connectionId, error }, 'a client connection failed');
      client.close(FAULT, 'The gateway failed; its log says why');
    });
  }

  protected message(client: RelayClient): void {
    client.ignore();
  }

  protected left(client: RelayClient): void {
    this.#unanswered.delete(client);
  }

  async #begin(client: RelayClient, { keys, initial, isStrict }: RelayRequest): Promise<void> {
    const { identity, quota } = client;
    if (!(await identity.show(identity.handshakeToken)) || client.readyState !== client.OPEN) {
      return;
    }
    try {
      quota.operation();
      const asker = {
        who: () => identity.current(),
        transport: 'websocket',
        requestId: identity.id,
      } as const;
      const place = this.#admission.admitMessages(asker, keys, initial).take(quota);
      const { hub } = this.gateway;
      client.follow(new RelaySubscription(hub, client, place, this.#frames, isStrict));
    } catch (error) {
      this.#refuse(client, error);
      return;
    }
    if (client.subscription?.unanswered !== undefined) this.#unanswered.add(client);
  }

  #refuse(client: RelayClient, error: unknown): void {
    client.subscription?.stop();
    const [told] = clientErrors(error, this.gateway.log);
    if (told === undefined) return;
    client.refuse(closeCodes[codeOf(told)] ?? REFUSED_CLOSE_CODE, told.message);
  }
}

const closeCodes: Readonly<Record<string, number>> = {
  RATE_LIMITED: LIMIT_EXCEEDED,
  TOO_MANY_CONTRACTS: LIMIT_EXCEEDED,
  TOO_MANY_SUBSCRIPTIONS: LIMIT_EXCEEDED,
  QUERY_TOO_COMPLEX: LIMIT_EXCEEDED,
  INTERNAL_SERVER_ERROR: FAULT,
};
