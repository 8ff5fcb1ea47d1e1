import { createYoga, type YogaServerInstance } from 'graphql-yoga';
import type { Logger } from '../observability/log.ts';
import { type AdmittedExecution, clientResult } from '../operation/admitted-execution.ts';
import { clientError } from '../operation/client-error.ts';

/** Where GraphQL is served. */
export const GRAPHQL_PATH = '/graphql';

/** What graphql-yoga is handed with a request. */
export interface YogaRequest {
  readonly admitted: AdmittedExecution;
}

/**
 * graphql-yoga answers queries and mutations as GraphQL over HTTP has it. The requests that it gets have
 * been read and admitted: it reads nothing of them but what their client accepts.
 */
export function createHttpGraphql(log: Logger): YogaServerInstance<YogaRequest, object> {
  const say = (...said: unknown[]) => log.debug({ said: said.map(String) }, 'graphql-yoga');
  return createYoga<YogaRequest, object>({
    graphqlEndpoint: GRAPHQL_PATH,
    graphiql: false,
    landingPage: false,
    cors: false,
    multipart: false,
    batching: false,
    parserAndValidationCache: false,
    maskedErrors: { maskError: (error) => clientError(error, log), isDev: false },
    logging: { debug: say, info: say, warn: say, error: say },
    plugins: [
      {
        onRequestParse({ setRequestParser }) {
          // A request without a document would be refused; what is admitted has been read.
          setRequestParser(() => ({ query: '{__typename}' }));
        },
        async onParams({ context, setResult }) {
          const { admitted } = context as unknown as YogaRequest;
          setResult(clientResult(await admitted.execute(), log));
        },
      },
    ],
  });
}
