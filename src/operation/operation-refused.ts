import type { GraphQLError } from 'graphql';

/** An operation is not executed; its client is told every one of the errors. */
export class OperationRefused extends Error {
  override readonly name = 'OperationRefused';

  /** @param errors at least one */
  constructor(readonly errors: readonly GraphQLError[]) {
    super(errors[0]?.message);
  }
}
