import { createSourceEventStream, type ExecutionArgs, type GraphQLSchema } from 'graphql';
import type { Context, ServerOptions } from 'graphql-ws';
import type { ContractKey } from '../contract/key.ts';
import { ContractSubscription } from '../hub/subscription.ts';
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
import type { Projection, Projections } from './projection.ts';
import { tokenOfInit, tokenOfOperation } from './token.ts';

/** What the gateway keeps of a WebSocket connection, beside what graphql-ws does. */
export interface ConnectionExtra {
  readonly access: ClientAccess;
  readonly connection: ClientConnection;
  /** The token of the handshake, as native clients send it. */
  readonly handshakeToken: string | undefined;
}

type Connection = Context<Record<string, unknown>, ConnectionExtra>;
type Options = ServerOptions<Record<string, unknown>, ConnectionExtra>;

/** A subscription whose updates go straight to the connection, as graphql-ws holds it. */
class HeldUpdates extends HeldStream {
  constructor(
    readonly keys: readonly ContractKey[],
    onEnd: () => void,
  ) {
    super(onEnd);
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
          renew: access.open ? async () => principal : (shown) => extra.access.renew(shown),
        });
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
    onOperation({ extra }: Connection, id, _payload, args, source) {
      if (!(source instanceof ContractUpdates)) return undefined;
      const projection = projections.of({
        document: args.document,
        operationName: args.operationName ?? undefined,
        variables: args.variableValues ?? undefined,
        context: args.contextValue as GatewayContext,
      });
      try {
        return openUpdates(gateway, extra, id, source, projection);
      } catch (error) {
        return { errors: [clientError(error, log)] };
      }
    },
    onNext(_connection, _id, _payload, _args, result) {
      if (result.errors === undefined) return undefined;
      const errors = result.errors.map((error) => clientError(error, log).toJSON());
      return result.data === undefined ? { errors } : { data: result.data, errors };
    },
    onError(_connection, _id, _payload, errors) {
      return errors.map((error) => clientError(error, log).toJSON());
    },
  };
}

/**
 * Opens a subscription whose updates go straight to the connection.
 *
 * @returns what graphql-ws holds of it
 * @throws LimitExceeded where the connection has too many already
 */
function openUpdates(
  { hub }: ServerGateway,
  { access, connection }: ConnectionExtra,
  id: string,
  { wish }: ContractUpdates,
  projection: Projection,
): HeldStream {
  const release = access.quota.subscribe(wish.keys, projection);
  const frames = new NextFrames(id, projection);
  const stream = new HeldUpdates(wish.keys, () => {
    frames.ended = true;
    release();
    subscription.close();
  });
  const subscription = new ContractSubscription(
    hub,
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
  for (const key of wish.refusedKeys ?? []) {
    connection.send(frames, projection.refusal(forbiddenContract(key)));
  }
  subscription.open();
  if (wish.keys.length === 0) stream.end();
  return stream;
}

/** Ends the subscriptions that hold a contract which may not be seen any more. */
function endForbidden({ subscriptions, extra }: Connection): void {
  const allowed = extra.access.principal?.contracts;
  for (const stream of Object.values(subscriptions)) {
    if (!(stream instanceof HeldUpdates)) continue;
    const key = stream.keys.find((key) => !allowed?.allow(key));
    if (key !== undefined) stream.fail(forbiddenContract(key));
  }
}
