import { GraphQLError } from 'graphql';
import type { LimitCode } from '../access/limit.ts';

/** `extensions.code` of the errors that the gateway itself answers with. */
type ErrorCode =
  | LimitCode
  | 'BAD_USER_INPUT'
  | 'UNAUTHENTICATED'
  | 'FORBIDDEN'
  | 'UNKNOWN_DOCUMENT'
  | 'PERSISTED_QUERY_NOT_SUPPORTED'
  | 'UPSTREAM_UNAVAILABLE'
  | 'INTERNAL_SERVER_ERROR';

/** An error with a stable code that programs can tell it by. */
export function codedError(
  code: ErrorCode,
  message: string,
  extensions: Record<string, unknown> = {},
): GraphQLError {
  return new GraphQLError(message, { extensions: { code, ...extensions } });
}

/**
 * An argument that cannot be used.
 *
 * @param argument its name, with a place in a list where that helps: `names[3]`
 * @param fault what was expected and what was given
 */
export function badUserInput(argument: string, fault: string): GraphQLError {
  return codedError('BAD_USER_INPUT', `${argument}: ${fault}`, { argument });
}

/** A contract that is not among those a principal may see, whether it exists or not. */
export function forbiddenContract(key: string): GraphQLError {
  return codedError('FORBIDDEN', `${key} is not among the contracts that you may see`, {
    contract: key,
  });
}
