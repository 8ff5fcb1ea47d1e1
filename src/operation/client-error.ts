import { GraphQLError } from 'graphql';
import { LimitExceeded } from '../access/limit.ts';
import { AccessRefused, AccessUnavailable } from '../access/refused.ts';
import type { Logger } from '../observability/log.ts';
import { codedError } from '../schema/coded-error.ts';

const MESSAGE = 'The gateway failed to answer this; its log says why.';

/**
 * What a client is told of an error: what was meant for clients goes through, anything else is logged
 * and told without a detail.
 */
export function clientError(error: unknown, log: Logger): GraphQLError {
  const cause = error instanceof GraphQLError ? error.originalError : error;
  if (error instanceof GraphQLError && (cause === undefined || cause instanceof GraphQLError)) {
    return error;
  }
  const told = knownError(cause);
  if (told === undefined) log.error({ error: cause }, 'an operation failed');
  const { message, extensions } = told ?? codedError('INTERNAL_SERVER_ERROR', MESSAGE);
  if (!(error instanceof GraphQLError)) return new GraphQLError(message, { extensions });
  return new GraphQLError(message, {
    nodes: error.nodes ?? null,
    path: error.path ?? null,
    extensions,
  });
}

/** The error that answers one of the gateway's own refusals; `undefined` for anything else. */
function knownError(error: unknown): GraphQLError | undefined {
  if (error instanceof LimitExceeded) {
    const { code, message, most } = error;
    return codedError(code, message, most === undefined ? {} : { limit: most });
  }
  if (error instanceof AccessRefused) return codedError('UNAUTHENTICATED', error.message);
  if (error instanceof AccessUnavailable) {
    return codedError('UNAUTHENTICATED', 'Tokens cannot be checked now; try again.');
  }
  return undefined;
}

/** The HTTP status of an answer that refuses a whole request. */
export function refusalStatus(error: unknown): number {
  if (error instanceof LimitExceeded) return 429;
  if (error instanceof AccessRefused) return 401;
  if (error instanceof AccessUnavailable) return 503;
  return 500;
}
