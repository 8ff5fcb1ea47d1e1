import { createSourceEventStream, type ExecutionArgs, type GraphQLSchema } from 'graphql';
import type { Context, ServerOptions } from 'graphql-ws';
import type { ContractState } from '../hub/contract-state.ts';
import type { UpdateWish } from '../hub/contract-updates.ts';
import type { ContractHub } from '../hub/hub.ts';
import { ContractSubscription, type UpdateSink } from '../hub/subscription.ts';
import type { Span } from '../observability/tracing.ts';
import type { GatewayContext } from '../schema/context.ts';
import { codedError, forbiddenContract } from '../schema/errors.ts';
import { ContractUpdates } from '../schema/subscription.ts';
import type { ClientAccess } from './client-access.ts';
import type { ClientConnection } from './client-connection.ts';
import { operationContext, type ServerGateway } from './context.ts';
import { operationCost } from './cost.ts';
import type { Documents } from './documents.ts';
import { clientError } from './errors.ts';
import { HeldStream } from './held-stream.ts';
import { NextFrames } from './next-frames.ts';
import type { Projections } from './projection.ts';
import { tokenOfInit, tokenOfOperation } from './token.ts';

/** What the gateway keeps of a WebSocket connection, beside what graphql-ws does. */
export interface ConnectionExtra {
  readonly access: ClientAccess;
  readonly connection: ClientConnection;
  /** The token of the handshake, as native clients send it. */
  readonly handshakeToken: string | undefined;
  /** Spans of operations that run, by their ids; made with the first one that somebody collects. */
  spans?: Map<string, Span>;
}

type Connection = Context<Record<string, unknown>, ConnectionExtra>;
type Options = ServerOptions<Record<string, unknown>, ConnectionExtra>;

/** A subscription whose updates go straight to the connection, as graphql-ws holds it. */
class HeldUpdates extends HeldStream implements UpdateSink {
  readonly #connection: ClientConnection;
  readonly #frames: NextFrames;
  readonly #release: () => void;
  readonly #subscription: ContractSubscription;

  /** @param release gives back what the subscription uses of the connection's quota */
  constructor(
    hub: ContractHub,
    readonly wish: UpdateWish,
    connection: ClientConnection,
    frames: NextFrames,
    release: () => void,
  ) {
    super();
    this.#connection = connection;
    this.#frames = frames;
    this.#release = release;
    this.#subscription = new ContractSubscription(hub, wish, this, (state) =>
      frames.payload(state).toString('latin1'),
    );
  }

  /** Begins with what may not be seen. */
  open(): void {
    for (const key of this.wish.refusedKeys ?? []) {
      this.#connection.send(this.#frames, this.#frames.refusal(forbiddenContract(key)));
    }
    this.#subscription.open();
    if (this.wish.keys.length === 0) this.end();
  }

  update(state: ContractState): void {
    this.#connection.push(this.#frames, state);
  }

  finish(): void {
    // What graphql-ws sends when the stream ends must come after the last update.
    this.#connection.finish(this.#frames);
    this.end();
  }

  protected override onEnd(): void {
    this.#frames.ended = true;
    this.#release();
    this.#subscription.close();
  }
}

/** How graphql-ws serves operations: who may, what they cost, and who sends their updates. */
export function protocolOptions(
  gateway: ServerGateway,
  schema: GraphQLSchema,
  documents: Documents,
  projections: Projections,
): Options {
  const { access, hub, log, maxCost } = gateway;
  return {
    async onConnect(connection: Connection) {
      const { extra, connectionParams } = connection;
      const token = tokenOfInit(connectionParams) ?? extra.handshakeToken;
      extra.access.watch(() => endForbidden(connection));
      if (token !== undefined || access.open) return extra.access.show(token);
      // GraphiQL sends its token with each operation.
      extra.access.awaitToken();
      return true;
    },
    async onSubscribe({ extra }: Connection, id, payload) {
      try {
        extra.access.quota.operation();
        const token = tokenOfOperation(payload.extensions);
        if (token !== undefined || extra.access.principal === undefined) {
          if (!(await extra.access.show(token))) return [codedError('UNAUTHENTICATED', 'refused')];
        }
        const { document, errors } = documents.prepare(documents.textOf(payload));
        // Returned and not thrown: a fault of one operation must not close the connection.
        if (errors !== undefined) return errors;
        const { principal } = extra.access;
        if (principal === undefined) return [codedError('UNAUTHENTICATED', 'refused')];
        const operationName = payload.operationName ?? undefined;
        const variables = payload.variables ?? undefined;
        const cost = operationCost(schema, document, operationName, variables, hub.size);
        if (cost > maxCost) throw access.tooCostly(cost, maxCost);
        const contextValue = operationContext(gateway, {
          principal,
          transport: 'websocket',
          requestId: `${extra.access.id}/${id.slice(0, 100)}`,
          renewer: extra.access,
        });
        const span = gateway.tracing.start('graphql.operation', {
          'network.protocol.name': 'websocket',
          'ime_gateway.request_id': `${extra.access.id}/${id.slice(0, 100)}`,
          'graphql.operation.name': operationName ?? '',
        });
        if (span !== undefined) {
          extra.spans ??= new Map();
          extra.spans.set(id, span);
        }
        return {
          schema,
          document,
          contextValue,
          ...(variables ? { variableValues: variables } : {}),
          ...(operationName ? { operationName } : {}),
        } satisfies ExecutionArgs & { contextValue: GatewayContext };
      } catch (error) {
        return [clientError(error, log)];
      }
    },
    // The field's own resolver checks the arguments; its wish is then served without graphql-js.
    async subscribe(args) {
      const source = await createSourceEventStream(args);
      return source as
        | Exclude<typeof source, AsyncIterable<unknown>>
        | AsyncIterableIterator<never>;
    },
    onOperation({ extra }: Connection, id, payload, args, source) {
      if (!(source instanceof ContractUpdates)) return undefined;
      const projection = projections.of({
        document: args.document,
        operationName: args.operationName ?? undefined,
        variables: args.variableValues ?? undefined,
      });
      // graphql-ws keeps these for as long as the subscription lives, and nothing reads them any more.
      Object.assign(args, { variableValues: undefined, contextValue: undefined });
      Object.assign(payload, { query: '', variables: undefined, extensions: undefined });
      try {
        const { quota } = extra.access;
        const release = quota.subscribe(source.wish.keys, projection);
        const frames = new NextFrames(id, projection);
        const held = new HeldUpdates(hub, source.wish, extra.connection, frames, release);
        held.open();
        return held;
      } catch (error) {
        return { errors: [clientError(error, log)] };
      }
    },
    onNext(_connection, _id, _payload, _args, result) {
      if (result.errors === undefined) return undefined;
      const errors = result.errors.map((error) => clientError(error, log).toJSON());
      return result.data === undefined ? { errors } : { data: result.data, errors };
    },
    onComplete({ extra }: Connection, id) {
      endSpan(extra, id);
    },
    onError({ extra }: Connection, id, _payload, errors) {
      endSpan(extra, id);
      return errors.map((error) => clientError(error, log).toJSON());
    },
  };
}

function endSpan({ spans }: ConnectionExtra, id: string): void {
  spans?.get(id)?.end();
  spans?.delete(id);
}

/** Ends the subscriptions that hold a contract which may not be seen any more. */
function endForbidden({ subscriptions, extra }: Connection): void {
  const allowed = extra.access.principal?.contracts;
  for (const stream of Object.values(subscriptions)) {
    if (!(stream instanceof HeldUpdates)) continue;
    const key = stream.wish.keys.find((key) => !allowed?.allow(key));
    if (key !== undefined) stream.fail(forbiddenContract(key));
  }
}
