import { createSourceEventStream, type ExecutionArgs, type GraphQLSchema } from 'graphql';
import type { ServerOptions } from 'graphql-ws';
import { tokenOfInit, tokenOfOperation } from '../access/shown-token.ts';
import type { ExpiryQueue } from '../lib/expiry-queue.ts';
import { clientError } from '../operation/client-error.ts';
import { operationCost } from '../operation/cost.ts';
import type { Documents } from '../operation/documents.ts';
import { operationContext, type ServerGateway } from '../operation/operation-context.ts';
import type { Projections } from '../render/projection.ts';
import { codedError } from '../schema/coded-error.ts';
import type { GatewayContext } from '../schema/resolver-context.ts';
import { ContractUpdates } from '../schema/subscription-root.ts';
import type { ClientSocket, ProtocolContext } from './client-socket.ts';
import { SocketSubscription } from './socket-subscription.ts';

/** Connections whose clients have yet to say who they are. */
export type Introductions = ExpiryQueue<ClientSocket>;

type Options = ServerOptions<Record<string, unknown>, ClientSocket>;

/** How graphql-ws serves operations: who may, what they cost, and who sends their updates. */
export function protocolOptions(
  gateway: ServerGateway,
  schema: GraphQLSchema,
  documents: Documents,
  projections: Projections,
  introductions: Introductions,
): Options {
  const { access, hub, log, maxCost } = gateway;
  return {
    // Who does not introduce themselves in time is closed by the gateway: one timer serves all.
    connectionInitWaitTimeout: 0,
    async onConnect(context: ProtocolContext) {
      const { extra: client, connectionParams } = context;
      client.context = context;
      // Nothing reads the token any more once it was shown.
      Object.assign(context, { connectionParams: undefined });
      introductions.delete(client);
      const token = tokenOfInit(connectionParams) ?? client.access.handshakeToken;
      if (token !== undefined || access.open) return client.access.show(token);
      // GraphiQL sends its token with each operation.
      introductions.add(client);
      return true;
    },
    async onSubscribe({ extra: client }: ProtocolContext, id, payload) {
      try {
        client.access.quota.operation();
        const token = tokenOfOperation(payload.extensions);
        if (token !== undefined || client.access.principal === undefined) {
          if (!(await client.access.show(token))) return [codedError('UNAUTHENTICATED', 'refused')];
          introductions.delete(client);
        }
        const { document, errors } = documents.prepare(documents.textOf(payload));
        // Returned and not thrown: a fault of one operation must not close the connection.
        if (errors !== undefined) return errors;
        const { principal } = client.access;
        if (principal === undefined) return [codedError('UNAUTHENTICATED', 'refused')];
        const operationName = payload.operationName ?? undefined;
        const variables = payload.variables ?? undefined;
        const cost = operationCost(schema, document, operationName, variables, hub.size);
        if (cost > maxCost) throw access.tooCostly(cost, maxCost);
        const requestId = `${client.access.id}/${id.slice(0, 100)}`;
        const contextValue = operationContext(gateway, {
          principal,
          transport: 'websocket',
          requestId,
          renewer: client.access,
        });
        const span = gateway.tracing.start('graphql.operation', {
          'network.protocol.name': 'websocket',
          'ime_gateway.request_id': requestId,
          'graphql.operation.name': operationName ?? '',
        });
        if (span !== undefined) client.traced(id, span);
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
    onOperation({ extra: client }: ProtocolContext, id, _payload, args, source) {
      if (!(source instanceof ContractUpdates)) return undefined;
      const projection = projections.of({
        document: args.document,
        operationName: args.operationName ?? undefined,
        variables: args.variableValues ?? undefined,
      });
      try {
        const subscription = new SocketSubscription(hub, source.wish, id, client, projection);
        subscription.open();
        return subscription;
      } catch (error) {
        return { errors: [clientError(error, log)] };
      }
    },
    onNext(_context, _id, _payload, _args, result) {
      if (result.errors === undefined) return undefined;
      const errors = result.errors.map((error) => clientError(error, log).toJSON());
      return result.data === undefined ? { errors } : { data: result.data, errors };
    },
    onComplete({ extra: client }: ProtocolContext, id) {
      client.ended(id);
    },
    onError({ extra: client }: ProtocolContext, id, _payload, errors) {
      client.ended(id);
      return errors.map((error) => clientError(error, log).toJSON());
    },
  };
}
