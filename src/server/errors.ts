import { GraphQLError } from 'graphql';
import type { Logger } from '../observability/log.ts';

const MESSAGE = 'The gateway failed to answer this; its log says why.';

/**
 * What a client is told of an error: what was meant for clients goes through, anything else is logged
 * and told without a detail.
 */
export function clientError(error: unknown, log: Logger): GraphQLError {
  if (!(error instanceof GraphQLError)) {
    log.error({ error }, 'an operation failed');
    return new GraphQLError(MESSAGE, { extensions: { code: 'INTERNAL_SERVER_ERROR' } });
  }
  const { originalError } = error;
  if (originalError === undefined || originalError instanceof GraphQLError) return error;
  log.error({ error: originalError, path: error.path }, 'a resolver failed');
  return new GraphQLError(MESSAGE, {
    nodes: error.nodes ?? null,
    path: error.path ?? null,
    extensions: { code: 'INTERNAL_SERVER_ERROR' },
  });
}
