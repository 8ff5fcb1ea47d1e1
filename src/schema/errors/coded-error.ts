import { GraphQLError } from 'graphql';
import type { LimitCode } from '../../access/limit.ts';

/** `extensions.code` of errors: every error that a client is told has one. */
export type ErrorCode =
  | LimitCode
  /** A request that cannot be read. */
  | 'BAD_REQUEST'
  | 'GRAPHQL_PARSE_FAILED'
  | 'GRAPHQL_VALIDATION_FAILED'
  /** No operation has the name, or one of several is not named. */
  | 'OPERATION_RESOLUTION_FAILURE'
  /** Arguments, and variables that cannot be coerced. */
  | 'BAD_USER_INPUT'
  | 'UNAUTHENTICATED'
  | 'FORBIDDEN'
  | 'UNKNOWN_DOCUMENT'
  | 'PERSISTED_QUERY_NOT_SUPPORTED'
  /** A drain. */
  | 'SERVICE_RESTARTING'
  /** A fault of ours, which is logged. */
  | 'INTERNAL_SERVER_ERROR';

/**
 * An error with a stable code that programs can tell it by. It has no stack: it is no fault of ours, and one message
 * may cause thousands.
 */
export function codedError(
  code: ErrorCode,
  message: string,
  extensions: Record<string, unknown> = {},
): GraphQLError {
  return withoutStack(() => new GraphQLError(message, { extensions: { code, ...extensions } }));
}

/**
 * An error with its code in the place of another one, of which nothing else is kept: its nodes would keep
 * the whole document, and so would its stack, which holds what the functions on it were called on.
 */
export function placedError(
  message: string,
  extensions: GraphQLError['extensions'],
  place: Pick<GraphQLError, 'path' | 'locations'> | undefined,
): GraphQLError {
  const error = withoutStack(
    () => new GraphQLError(message, { path: place?.path ?? null, extensions }),
  );
  if (place?.locations !== undefined) {
    Object.defineProperty(error, 'locations', { value: place.locations, enumerable: true });
  }
  return error;
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

function withoutStack<T>(make: () => T): T {
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = 0;
  try {
    return make();
  } finally {
    Error.stackTraceLimit = stackTraceLimit;
  }
}
