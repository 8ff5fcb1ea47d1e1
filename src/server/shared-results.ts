import {
  createSourceEventStream,
  type ExecutionArgs,
  type ExecutionResult,
  GraphQLError,
} from 'graphql';
import type { ContractState } from '../hub/contract-state.ts';
import { EndingIterator } from '../hub/ending-iterator.ts';
import type { ContractHub } from '../hub/hub.ts';
import type { Mailbox } from '../hub/mailbox.ts';
import { subscribeToContracts } from '../hub/subscription.ts';
import type { GatewayContext } from '../schema/context.ts';
import { ContractUpdates } from '../schema/subscription.ts';
import type { Projection, Projections } from './projection.ts';

/**
 * GraphQL's subscribe for transports that pull: each reads at its own pace from a mailbox, and all that
 * selected the same share what was rendered, as text.
 *
 * @returns the stream of results, or the errors of the request
 */
export async function subscribeShared(
  args: ExecutionArgs,
  hub: ContractHub,
  projections: Projections,
): Promise<AsyncIterableIterator<ExecutionResult> | ExecutionResult> {
  const source = await createSourceEventStream(args);
  if (!(source instanceof ContractUpdates)) return source as ExecutionResult;
  const projection = projections.of({
    document: args.document,
    operationName: args.operationName ?? undefined,
    variables: args.variableValues ?? undefined,
    context: args.contextValue as GatewayContext,
  });
  const read = (state: ContractState) => projection.payload(state).toString('latin1');
  return new SharedResults(subscribeToContracts(hub, source.wish, read), projection);
}

/** Turns the states of a mailbox into results. */
class SharedResults extends EndingIterator<ExecutionResult> {
  readonly #mailbox: Mailbox<ContractState>;
  readonly #projection: Projection;

  constructor(mailbox: Mailbox<ContractState>, projection: Projection) {
    super();
    this.#mailbox = mailbox;
    this.#projection = projection;
  }

  async next(): Promise<IteratorResult<ExecutionResult, undefined>> {
    const { value, done } = await this.#mailbox.next();
    if (done) return { value: undefined, done: true };
    return { value: sharedResult(this.#projection.payload(value)), done: false };
  }

  end(): void {
    this.#mailbox.end();
  }
}

/** A result that graphql-yoga sends as the text it is, and that others can read as an object. */
function sharedResult(payload: Buffer): ExecutionResult {
  const text = payload.toString('utf8');
  const hasErrors = !text.startsWith('{"data":{') || text.includes('"errors":[');
  if (hasErrors) {
    const { data, errors } = JSON.parse(text);
    if (errors === undefined) return { data };
    return { data, errors: errors.map(readError) };
  }
  let data: NonNullable<ExecutionResult['data']> | undefined;
  const result: ExecutionResult = {
    get data() {
      data ??= JSON.parse(text).data as NonNullable<ExecutionResult['data']>;
      return data;
    },
  };
  Object.defineProperty(result, 'stringify', { value: () => text, enumerable: false });
  return result;
}

function readError({ message, path, extensions }: GraphQLError): GraphQLError {
  return new GraphQLError(message, { path: path ?? null, extensions });
}
