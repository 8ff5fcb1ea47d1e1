import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { CloseCode, GRAPHQL_TRANSPORT_WS_PROTOCOL } from 'graphql-ws';
import { tokenOfHeaders } from '../access/shown-token.ts';
import { type ConnectionGateway, ConnectionServer } from '../connections/connection-server.ts';
import { ExpiryQueue } from '../lib/expiry-queue.ts';
import type { Admission } from '../operation/admission.ts';
import { ClientSocket } from './client-socket.ts';
import { type Introductions, TransportProtocol } from './protocol.ts';

/** How long a client may take for its `connection_init`, and then for its token, in milliseconds. */
const INTRODUCTION_MS = 3_000;

/** The WebSocket connections of clients, speaking `graphql-transport-ws`. */
export class WebSocketEndpoint extends ConnectionServer<ClientSocket, undefined> {
  /** The subprotocol that clients must offer. */
  readonly subprotocol = GRAPHQL_TRANSPORT_WS_PROTOCOL;
  readonly #protocol: TransportProtocol;
  readonly #introductions: Introductions = new ExpiryQueue(INTRODUCTION_MS, closeUnknown);

  constructor(gateway: ConnectionGateway, admission: Admission) {
    super(gateway, {
      WebSocket: ClientSocket,
      subprotocol: GRAPHQL_TRANSPORT_WS_PROTOCOL,
      refusedCode: CloseCode.Forbidden,
      token: tokenOfHeaders,
    });
    this.#protocol = new TransportProtocol(gateway, admission, this.#introductions);
  }

  /**
   * Takes over a connection that asks for an upgrade.
   *
   * @param address where it comes from, as limits are counted
   */
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer, address: string): void {
    this.take(request, socket, head, address, undefined);
  }

  override async close(drainMs: number): Promise<void> {
    await super.close(drainMs);
    this.#introductions.clear();
  }

  protected opened(client: ClientSocket): void {
    this.#introductions.add(client);
  }

  protected message(client: ClientSocket, text: string): void {
    this.#protocol.receive(client, text);
  }

  protected left(client: ClientSocket): void {
    this.#introductions.delete(client);
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
