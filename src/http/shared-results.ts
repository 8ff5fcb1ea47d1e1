import {
  createSourceEventStream,
  type ExecutionArgs,
  type ExecutionResult,
  GraphQLError,
} from 'graphql';
import type { ConnectionQuota } from '../access/quota.ts';
import type { Session } from '../access/session.ts';
import { subscribeToContracts } from '../hub/contract-subscription.ts';
import type { ContractUpdate } from '../hub/contract-updates.ts';
import type { ContractHub } from '../hub/hub.ts';
import type { Mailbox } from '../hub/mailbox.ts';
import { EndingIterator } from '../lib/ending-iterator.ts';
import type { Projection, Projections } from '../render/projection.ts';
import { codedError, forbiddenContract } from '../schema/coded-error.ts';
import { ContractUpdates } from '../schema/subscription-root.ts';

/**
 * GraphQL's subscribe for transports that pull: each reads at its own pace from a mailbox, and all that
 * selected the same share what was rendered.
 *
 * @param released called once, when the subscription has ended
 * @returns the JSON texts of the results, or the errors of the request
 * @throws LimitExceeded where it would be one too many
 */
export async function subscribeShared(
  args: ExecutionArgs,
  hub: ContractHub,
  projections: Projections,
  quota: ConnectionQuota,
  released: () => void = () => {},
): Promise<SharedPayloads | ExecutionResult> {
  const source = await createSourceEventStream(args);
  if (!(source instanceof ContractUpdates)) return source as ExecutionResult;
  const projection = projections.of({
    document: args.document,
    operationName: args.operationName ?? undefined,
    variables: args.variableValues ?? undefined,
  });
  const { wish } = source;
  quota.subscribe(wish.keys, projection);
  projection.acquire();
  const mailbox = subscribeToContracts(hub, wish, (state) => projection.reads(state));
  return new SharedPayloads(mailbox, projection, () => {
    projection.release();
    quota.unsubscribe(wish.keys, projection);
    released();
  });
}

/** Turns the updates of a mailbox into the texts that their projection shares. */
export class SharedPayloads extends EndingIterator<Buffer> {
  readonly #mailbox: Mailbox<ContractUpdate>;
  readonly #projection: Projection;
  #ended: (() => void) | undefined;

  /** @param ended called once, when the iteration has ended */
  constructor(mailbox: Mailbox<ContractUpdate>, projection: Projection, ended: () => void) {
    super();
    this.#mailbox = mailbox;
    this.#projection = projection;
    this.#ended = ended;
  }

  async next(): Promise<IteratorResult<Buffer, undefined>> {
    const { value, done } = await this.#mailbox.next();
    if (done) {
      this.#end();
      return { value: undefined, done: true };
    }
    const payload =
      'refused' in value
        ? this.#projection.refusal(forbiddenContract(value.key))
        : this.#projection.payload(value);
    return { value: payload, done: false };
  }

  end(): void {
    this.#mailbox.end();
    this.#end();
  }

  #end(): void {
    const ended = this.#ended;
    this.#ended = undefined;
    ended?.();
  }
}

/** The texts as results, for transports that want objects; the session's end comes as an error. */
export class SharedResults extends EndingIterator<ExecutionResult> {
  readonly #payloads: SharedPayloads;
  readonly #forget: (() => void) | undefined;
  #ended: string | undefined;

  constructor(payloads: SharedPayloads, session: Session) {
    super();
    this.#payloads = payloads;
    this.#forget = session.onEnd((why) => {
      this.#ended = why;
      payloads.end();
    });
  }

  async next(): Promise<IteratorResult<ExecutionResult, undefined>> {
    const { value, done } = await this.#payloads.next();
    if (!done) return { value: sharedResult(value), done: false };
    this.#forget?.();
    if (this.#ended === undefined) return { value: undefined, done: true };
    const errors = [codedError('UNAUTHENTICATED', this.#ended)];
    this.#ended = undefined;
    return { value: { errors }, done: false };
  }

  end(): void {
    this.#forget?.();
    this.#payloads.end();
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
