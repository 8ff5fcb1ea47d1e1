import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { createSourceEventStream, type ExecutionArgs, type GraphQLSchema } from 'graphql';
import {
  CloseCode,
  type Context,
  handleProtocols,
  makeServer,
  type ServerOptions,
} from 'graphql-ws';
import { type RawData, type WebSocket, WebSocketServer } from 'ws';
import { ContractSubscription } from '../hub/subscription.ts';
import type { GatewayContext } from '../schema/context.ts';
import { ContractUpdates } from '../schema/subscription.ts';
import { ClientConnection } from './client-connection.ts';
import { operationContext, type ServerGateway } from './context.ts';
import type { Documents } from './documents.ts';
import { clientError } from './errors.ts';
import { FanOut } from './fanout.ts';
import { HeldStream } from './held-stream.ts';
import { NextFrames } from './next-frames.ts';
import type { Projection, Projections } from './projection.ts';
import { operationHeaders } from './request-headers.ts';

/** How often clients are pinged. One that is silent for as long as a slow one may stall besides is gone. */
const PING_INTERVAL_MS = 12_000;
/** The close code of a drain: every client comes back on it. */
const SERVICE_RESTART = 1012;
/** How long clients are given to answer a close before they are cut. */
const CLOSE_TIMEOUT_MS = 1_000;

type Extra = { readonly request: IncomingMessage; readonly connection: ClientConnection };
type GraphqlWs = {
  opened(socket: GraphqlSocket, extra: Extra): (code: number, reason: string) => Promise<void>;
};
type GraphqlSocket = Parameters<
  ReturnType<typeof makeServer<Record<string, unknown>, Extra>>['opened']
>[0];

/** The WebSocket connections of clients, speaking `graphql-transport-ws`. */
export class ClientSockets {
  readonly #gateway: ServerGateway;
  readonly #server: WebSocketServer;
  readonly #graphql: GraphqlWs;
  /** When each client was last heard of, by `performance.now()`. */
  readonly #heardOfAtMs = new WeakMap<WebSocket, number>();
  readonly #pinging: NodeJS.Timeout;
  readonly #fanOut = new FanOut();

  constructor(
    gateway: ServerGateway,
    schema: GraphQLSchema,
    documents: Documents,
    projections: Projections,
  ) {
    this.#gateway = gateway;
    this.#server = new WebSocketServer({
      noServer: true,
      maxPayload: gateway.maxMessageBytes,
      perMessageDeflate: gateway.compression,
      handleProtocols,
    });
    this.#graphql = makeServer(protocolOptions(gateway, schema, documents, projections));
    this.#pinging = setInterval(() => this.#ping(), PING_INTERVAL_MS);
  }

  /** How many clients are connected. */
  get size(): number {
    return this.#server.clients.size;
  }

  /** Takes over a connection that asks for an upgrade. */
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    this.#server.handleUpgrade(request, socket, head, (client) =>
      this.#opened(client, request, socket),
    );
  }

  /** Closes every connection with a code that clients come back on. */
  async close(): Promise<void> {
    clearInterval(this.#pinging);
    const { clients } = this.#server;
    const closed = Array.from(
      clients,
      (client) => new Promise<void>((resolve) => client.once('close', () => resolve())),
    );
    for (const client of clients) client.close(SERVICE_RESTART, 'The gateway restarts');
    const timer = setTimeout(() => {
      for (const client of clients) client.terminate();
    }, CLOSE_TIMEOUT_MS);
    await Promise.all(closed);
    clearTimeout(timer);
    this.#fanOut.close();
    this.#server.close();
  }

  #opened(client: WebSocket, request: IncomingMessage, socket: Duplex): void {
    const { hub, slowReaders } = this.#gateway;
    const connection = new ClientConnection(client, socket, hub, this.#fanOut, slowReaders);
    const alive = () => this.#heardOfAtMs.set(client, performance.now());
    alive();
    const closed = this.#graphql.opened(
      {
        protocol: client.protocol,
        send: (text) =>
          new Promise((resolve, reject) => {
            if (client.readyState !== client.OPEN) resolve();
            else client.send(text, (error) => (error ? reject(error) : resolve()));
          }),
        close: (code, reason) => client.close(code, reason),
        onMessage: (handle) => {
          client.on('message', (data: RawData) => {
            alive();
            // Whatever escapes the protocol's own handling is this connection's fault alone.
            handle(String(data)).catch((error: unknown) => this.#failed(client, error));
          });
        },
      },
      { request, connection },
    );
    client.on('pong', alive);
    client.on('error', (error) => {
      this.#gateway.log.debug({ reason: error.message }, 'a client broke the WebSocket protocol');
    });
    client.once('close', (code, reason) => {
      closed(code, reason.toString('utf8')).catch((error: unknown) => this.#failed(client, error));
    });
  }

  #failed(client: WebSocket, error: unknown): void {
    if (client.readyState !== client.OPEN) return;
    this.#gateway.log.warn({ error }, 'a client connection failed');
    client.close(CloseCode.BadRequest, 'Invalid message received');
  }

  #ping(): void {
    const deadSinceMs = performance.now() - PING_INTERVAL_MS - this.#gateway.slowReaders.stallMs;
    for (const client of this.#server.clients) {
      if ((this.#heardOfAtMs.get(client) ?? 0) < deadSinceMs) client.terminate();
      else client.ping();
    }
  }
}

function protocolOptions(
  gateway: ServerGateway,
  schema: GraphQLSchema,
  documents: Documents,
  projections: Projections,
): ServerOptions<Record<string, unknown>, Extra> {
  return {
    onSubscribe(connection: Context<Record<string, unknown>, Extra>, _id, payload) {
      const { document, errors } = documents.prepare(payload.query);
      // Returned and not thrown: a fault of one operation must not close the connection.
      if (errors !== undefined) return errors;
      const { request } = connection.extra;
      const headers = operationHeaders(
        request.headers,
        connection.connectionParams,
        payload.extensions,
      );
      const contextValue = operationContext(gateway, headers, 'websocket');
      return {
        schema,
        document,
        contextValue,
        ...(payload.variables ? { variableValues: payload.variables } : {}),
        ...(payload.operationName ? { operationName: payload.operationName } : {}),
      } satisfies ExecutionArgs & { contextValue: GatewayContext };
    },
    // The field's own resolver checks the arguments; its wish is then served without graphql-js.
    async subscribe(args) {
      const source = await createSourceEventStream(args);
      return source as
        | Exclude<typeof source, AsyncIterable<unknown>>
        | AsyncIterableIterator<never>;
    },
    onOperation({ extra }, id, _payload, args, source) {
      if (!(source instanceof ContractUpdates)) return;
      const projection = projections.of({
        document: args.document,
        operationName: args.operationName ?? undefined,
        variables: args.variableValues ?? undefined,
        context: args.contextValue as GatewayContext,
      });
      return openUpdates(gateway, extra.connection, id, source, projection);
    },
    onNext(_connection, _id, _payload, _args, result) {
      if (result.errors === undefined) return undefined;
      const errors = result.errors.map((error) => clientError(error, gateway.log).toJSON());
      return result.data === undefined ? { errors } : { data: result.data, errors };
    },
  };
}

/** Opens a subscription whose updates go straight to the connection. @returns what graphql-ws holds of it */
function openUpdates(
  gateway: ServerGateway,
  connection: ClientConnection,
  id: string,
  { wish }: ContractUpdates,
  projection: Projection,
): HeldStream {
  const frames = new NextFrames(id, projection);
  const stream = new HeldStream(() => {
    frames.ended = true;
    subscription.close();
  });
  const subscription = new ContractSubscription(
    gateway.hub,
    wish,
    {
      update: (state) => connection.push(frames, state),
      finish: () => {
        // What graphql-ws sends when the stream ends must come after the last update.
        connection.finish(frames);
        stream.end();
      },
    },
    (state) => projection.payload(state).toString('latin1'),
    () => stream.end(),
  );
  subscription.open();
  return stream;
}
