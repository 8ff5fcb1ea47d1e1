import { useGraphQLSSE } from '@graphql-yoga/plugin-graphql-sse';
import type { DocumentNode, ExecutionArgs, GraphQLSchema } from 'graphql';
import { createYoga, type Plugin, type YogaServerInstance } from 'graphql-yoga';
import type { ConnectionQuota } from '../access/quota.ts';
import type { Session } from '../access/session.ts';
import { clientError } from '../operation/client-error.ts';
import { operationCost } from '../operation/cost.ts';
import type { Documents } from '../operation/documents.ts';
import { operationContext, type ServerGateway } from '../operation/operation-context.ts';
import type { Projections } from '../render/projection.ts';
import { codedError } from '../schema/coded-error.ts';
import type { GatewayContext } from '../schema/resolver-context.ts';
import { SharedPayloads, SharedResults, subscribeShared } from './shared-results.ts';
import type { StreamQuotas } from './stream-quotas.ts';

/** Where GraphQL is served. */
export const GRAPHQL_PATH = '/graphql';
/** Where graphql-sse's single-connection mode is served. */
export const STREAM_PATH = '/graphql/stream';

/** Who makes a request, as the endpoint has found out. */
export interface HttpAsker {
  readonly session: Session;
  readonly requestId: string;
  readonly address: string;
  readonly quota: ConnectionQuota | undefined;
}

/** GraphQL over HTTP as the specification has it, and graphql-sse's single-connection mode. */
export function createHttpGraphql(
  gateway: ServerGateway,
  schema: GraphQLSchema,
  documents: Documents,
  projections: Projections,
  streamQuotas: StreamQuotas,
): YogaServerInstance<HttpAsker, GatewayContext> {
  const { access, hub, log, maxCost } = gateway;
  return createYoga<HttpAsker, GatewayContext>({
    schema,
    graphqlEndpoint: GRAPHQL_PATH,
    context: ({ request, session, requestId }) =>
      operationContext(gateway, {
        principal: session.principal,
        transport: 'http',
        requestId,
        signal: request.signal,
      }),
    graphiql: false,
    landingPage: false,
    cors: false,
    multipart: false,
    batching: false,
    parserAndValidationCache: false,
    maskedErrors: { maskError: (error) => clientError(error, log), isDev: false },
    logging: {
      debug: (...said: unknown[]) => log.debug({ said: said.map(String) }, 'graphql-yoga'),
      info: (...said: unknown[]) => log.debug({ said: said.map(String) }, 'graphql-yoga'),
      warn: (...said: unknown[]) => log.warn({ said: said.map(String) }, 'graphql-yoga'),
      error: (...said: unknown[]) => log.error({ said: said.map(String) }, 'graphql-yoga'),
    },
    plugins: [useGraphQLSSE({ endpoint: STREAM_PATH }), gatewayPlugin()],
  });

  function gatewayPlugin(): Plugin<GatewayContext & HttpAsker & { request: Request }> {
    return {
      onParse({ setParseFn }) {
        setParseFn((source: unknown) => documents.parse(String(source)));
      },
      onValidate({ setValidationFn }) {
        setValidationFn((_schema: unknown, document: DocumentNode) => documents.faultsOf(document));
      },
      onExecute({ args }) {
        const { document, operationName, variableValues } = args;
        const cost = operationCost(
          schema,
          document,
          operationName ?? undefined,
          variableValues ?? undefined,
          hub.size,
        );
        if (cost > maxCost) throw access.tooCostly(cost, maxCost);
      },
      onSubscribe({ setSubscribeFn }) {
        setSubscribeFn(async (args: ExecutionArgs) => {
          const context = args.contextValue as GatewayContext & HttpAsker & { request: Request };
          const { payloads, session } = await subscribe(args, context);
          return payloads instanceof SharedPayloads
            ? new SharedResults(payloads, session)
            : payloads;
        });
      },
    };
  }

  /** Opens a subscription in the quota of its stream. */
  async function subscribe(args: ExecutionArgs, context: HttpAsker & { request: Request }) {
    const { session, address, request } = context;
    const open = context.quota ?? streamQuotas.of(request.headers, request.url);
    if (open !== undefined) {
      if (open.session?.principal.id !== session.principal.id) {
        throw codedError('FORBIDDEN', 'expected a token of the principal that opened the stream');
      }
      return { payloads: await subscribeShared(args, hub, projections, open), session };
    }
    // The stream is reserved but not open yet: the subscription counts as a connection of its own.
    const own = access.enter(address);
    own.identify(session);
    const leave = () => own.leave();
    try {
      const payloads = await subscribeShared(args, hub, projections, own, leave);
      if (!(payloads instanceof SharedPayloads)) leave();
      return { payloads, session };
    } catch (error) {
      leave();
      throw error;
    }
  }
}
