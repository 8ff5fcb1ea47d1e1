import { useGraphQLSSE } from '@graphql-yoga/plugin-graphql-sse';
import type { ExecutionArgs, GraphQLSchema } from 'graphql';
import { createYoga, type Plugin, type YogaServerInstance } from 'graphql-yoga';
import type { GatewayContext } from '../schema/context.ts';
import { operationContext, type ServerGateway } from './context.ts';
import { clientError } from './errors.ts';
import { graphiqlOptions, graphiqlPage } from './graphiql.ts';
import type { Projections } from './projection.ts';
import { subscribeShared } from './shared-results.ts';

/** Where GraphQL is served. */
export const GRAPHQL_PATH = '/graphql';
/** Where graphql-sse's single-connection mode is served. */
export const STREAM_PATH = '/graphql/stream';

/** GraphQL over HTTP: POST, GET, server-sent events, and GraphiQL. */
export function createHttpGraphql(
  gateway: ServerGateway,
  schema: GraphQLSchema,
  projections: Projections,
): YogaServerInstance<object, GatewayContext> {
  const { log, simulated, exampleNames } = gateway;
  return createYoga<object, GatewayContext>({
    schema,
    graphqlEndpoint: GRAPHQL_PATH,
    context: ({ request }) => operationContext(gateway, request.headers, 'http', request.signal),
    renderGraphiQL: graphiqlPage(simulated),
    graphiql: graphiqlOptions(simulated, exampleNames),
    landingPage: false,
    cors: false,
    multipart: false,
    batching: false,
    maskedErrors: { maskError: (error) => clientError(error, log), isDev: false },
    logging: {
      debug: (...said: unknown[]) => log.debug({ said: said.map(String) }, 'graphql-yoga'),
      info: (...said: unknown[]) => log.debug({ said: said.map(String) }, 'graphql-yoga'),
      warn: (...said: unknown[]) => log.warn({ said: said.map(String) }, 'graphql-yoga'),
      error: (...said: unknown[]) => log.error({ said: said.map(String) }, 'graphql-yoga'),
    },
    plugins: [
      useGraphQLSSE({ endpoint: STREAM_PATH }),
      {
        onSubscribe({ setSubscribeFn }) {
          setSubscribeFn((args: ExecutionArgs) => subscribeShared(args, gateway.hub, projections));
        },
      } satisfies Plugin<GatewayContext>,
    ],
  });
}
