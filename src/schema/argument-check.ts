import type { GraphQLField } from 'graphql';

const CHECK = 'checkArguments';

/**
 * The extensions of a field whose arguments are checked before anything is resolved: whether a client is
 * told of a fault must not depend on what is known of a contract.
 *
 * @param check throws a GraphQLError where an argument cannot be used
 */
export function checkedBefore<Args>(
  check: (args: Args) => unknown,
): Readonly<Record<string, unknown>> {
  return { [CHECK]: check };
}

/** Checks the arguments of a field that wants that. @throws GraphQLError */
export function checkArguments(
  { extensions }: GraphQLField<unknown, unknown>,
  args: Readonly<Record<string, unknown>>,
): void {
  const check = extensions[CHECK];
  if (typeof check === 'function') check(args);
}
