import { GraphQLError } from 'graphql';

/** `extensions.code` of the errors that the gateway itself answers with. */
type ErrorCode = 'BAD_USER_INPUT' | 'TOO_MANY_CONTRACTS';

/**
 * An argument that cannot be used.
 *
 * @param argument its name, with a place in a list where that helps: `names[3]`
 * @param fault what was expected and what was given
 */
export function badUserInput(argument: string, fault: string): GraphQLError {
  return coded('BAD_USER_INPUT', `${argument}: ${fault}`, { argument });
}

/** More contracts than one subscription or field may name. */
export function tooManyContracts(given: number, most: number): GraphQLError {
  return coded('TOO_MANY_CONTRACTS', `expected at most ${most} contracts, got ${given}`, {
    limit: most,
  });
}

function coded(
  code: ErrorCode,
  message: string,
  extensions: Record<string, unknown>,
): GraphQLError {
  return new GraphQLError(message, { extensions: { code, ...extensions } });
}
