import type { Access } from '../access/access.ts';
import type { ContractKey } from '../contract/key.ts';
import type { ContractState } from '../hub/contract-state.ts';
import type { Position } from '../hub/position.ts';
import { builder } from './builder.ts';
import { badUserInput, codedError } from './coded-error.ts';
import {
  type ContractLists,
  checkedIntervalMs,
  checkedSince,
  contractKeys,
} from './contract-arguments.ts';
import { ContractType } from './contract-type.ts';

/** What a `contractUpdates` field asks for, checked. */
export interface AskedUpdates {
  /** Distinct contracts; whether they may be seen is not looked at. */
  readonly keys: readonly ContractKey[];
  /** Every contract that is held, instead. */
  readonly all: boolean;
  /** Whether to begin with what is known now. */
  readonly initial: boolean;
  /** The least time between two updates of one contract, in milliseconds; 0: as they come. */
  readonly intervalMs: number;
  readonly changesOnly: boolean;
  /** Begin with what has changed since then, instead. */
  readonly since: Position | undefined;
}

/** The arguments of `contractUpdates`, coerced. */
interface UpdatesArguments extends ContractLists {
  readonly all?: boolean;
  readonly initial?: boolean;
  readonly changesOnly?: boolean;
  readonly maxUpdatesPerSecond?: number | null;
  readonly since?: string | null;
}

/**
 * Reads the arguments of a `contractUpdates` field.
 *
 * @throws GraphQLError where one of them cannot be used
 * @throws LimitExceeded where there are too many contracts
 */
export function askedUpdates(args: UpdatesArguments, access: Access): AskedUpdates {
  const all = args.all ?? false;
  return {
    keys: all ? noKeys(args) : distinctKeys(args, access),
    all,
    initial: args.initial ?? true,
    intervalMs: checkedIntervalMs(args.maxUpdatesPerSecond),
    changesOnly: args.changesOnly ?? false,
    since: checkedSince(args.since),
  };
}

function distinctKeys(args: UpdatesArguments, access: Access): ContractKey[] {
  const keys = contractKeys(args, access).map((key) => {
    if (typeof key !== 'string') throw key;
    return key;
  });
  return [...new Set(keys)];
}

/** @throws GraphQLError where contracts are named besides all of them */
function noKeys({ names, ids }: UpdatesArguments): [] {
  const given = [names ? 'names' : '', ids ? 'ids' : ''].filter((name) => name !== '');
  if (given.length === 0) return [];
  throw badUserInput('all', `expected neither names nor ids beside it, got ${given.join(' and ')}`);
}

builder.subscriptionType({
  description: 'What changes.',
  fields: (t) => ({
    contractUpdates: t.field({
      type: ContractType,
      nullable: false,
      description:
        'Every change of the given contracts, each once and in order, for as long as the client keeps up; behind a slow reader the newest state of each. Starts with what is known of each of them now.',
      args: {
        names: t.arg.stringList({ description: 'Contract names, exactly as IME writes them.' }),
        ids: t.arg.idList({ description: 'Contract IDs.' }),
        initial: t.arg.boolean({
          required: true,
          defaultValue: true,
          description: 'false: leave out what is known now and start with the next change.',
        }),
        maxUpdatesPerSecond: t.arg.float({
          description:
            'At most this many updates a second for each contract, 0.01 to 1000; between them the newest wins. Status changes are not held back.',
        }),
        changesOnly: t.arg.boolean({
          required: true,
          defaultValue: false,
          description:
            'true: stay silent while none of the selected fields has changed. `cursor`, `sequence`, `timestamp`, `publishedAt` and `receivedAt` alone are no change.',
        }),
        all: t.arg.boolean({
          required: true,
          defaultValue: false,
          description:
            'Every contract that the gateway holds and the caller may see, those that join later too; it keeps none of them alive. Instead of names and ids.',
        }),
        since: t.arg({
          type: 'Cursor',
          description:
            'Resumes: begins with only what has changed since this cursor, the newest state of each. A cursor of another epoch begins with everything.',
        }),
      },
      // A subscription is opened where it is admitted: it never comes to graphql-js as one.
      subscribe: () => {
        throw codedError(
          'BAD_REQUEST',
          'expected a subscription to come by a transport that streams',
        );
      },
      resolve: (state: ContractState) => state,
    }),
  }),
});
