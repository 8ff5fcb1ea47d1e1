import type { GraphQLError } from 'graphql';
import { codedError } from '../schema/errors/coded-error.ts';

/** A request that HTTP itself has an answer for. */
export class HttpFault extends Error {
  override readonly name = 'HttpFault';
  readonly error: GraphQLError;

  /** @param fault what the client is told: `BAD_REQUEST` where it is only a text */
  constructor(
    readonly status: number,
    fault: string | GraphQLError,
    readonly headers: Readonly<Record<string, string>> = {},
  ) {
    super(typeof fault === 'string' ? fault : fault.message);
    this.error = typeof fault === 'string' ? codedError('BAD_REQUEST', fault) : fault;
  }
}
