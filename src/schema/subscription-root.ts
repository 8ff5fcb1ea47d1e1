import type { Access } from '../access/access.ts';
import { type ContractKey, contractTextFault, contractTextOf } from '../contract/key.ts';
import type { ContractState } from '../hub/contract-state.ts';
import type { Position } from '../hub/position.ts';
import { builder } from './builder.ts';
import {
  type ContractLists,
  checkedCount,
  checkedEveryMs,
  checkedIntervalMs,
  checkedSince,
  contractKeys,
} from './contract-arguments.ts';
import { ContractType } from './contract-type.ts';
import { badUserInput, codedError } from './errors/coded-error.ts';
import type { GatewayReport } from './report.ts';
import { GatewayStatusType } from './status-type.ts';

const DEFAULT_EVERY_MS = 250;

/** What a field that follows contracts asks for, checked. */
export interface AskedUpdates {
  /** Distinct contracts; whether they may be seen is not looked at. */
  readonly keys: readonly ContractKey[];
  /** Every contract that is held, instead. */
  readonly all: boolean;
  /** Whether to begin with what is known now. */
  readonly initial: boolean;
  /** The least time between two updates of one contract, in milliseconds; 0: as they come. */
  readonly intervalMs: number;
  /** In batches, with at least so many milliseconds between two; `undefined`: one by one. */
  readonly everyMs: number | undefined;
  readonly changesOnly: boolean;
  /** Begin with what has changed since then, instead. */
  readonly since: Position | undefined;
}

/** The arguments of a field that follows contracts, coerced. */
interface UpdatesArguments extends ContractLists {
  readonly all?: boolean;
  readonly initial?: boolean;
  readonly changesOnly?: boolean;
  readonly since?: string | null;
  readonly maxUpdatesPerSecond?: number | null;
  readonly everyMs?: number;
}

/**
 * Reads the arguments of a `contractUpdates` or `contractBatches` field.
 *
 * @throws GraphQLError where one of them cannot be used
 * @throws LimitExceeded where there are too many contracts
 */
export function askedUpdates(
  fieldName: string,
  args: UpdatesArguments,
  access: Access,
): AskedUpdates {
  const all = args.all ?? false;
  return {
    keys: all ? noKeys(args) : distinctKeys(args, access),
    all,
    initial: args.initial ?? true,
    intervalMs: checkedIntervalMs(args.maxUpdatesPerSecond),
    everyMs: fieldName === 'contractBatches' ? checkedEveryMs(args.everyMs) : undefined,
    changesOnly: args.changesOnly ?? false,
    since: checkedSince(args.since),
  };
}

/**
 * What asking for IME's own messages of contracts comes to.
 *
 * @param keys distinct contracts
 * @throws GraphQLError where there are none, or one cannot be asked for
 * @throws LimitExceeded where there are too many
 */
export function askedMessages(
  keys: readonly ContractKey[],
  initial: boolean,
  access: Access,
): AskedUpdates {
  checkedCount(keys.length, access);
  for (const key of keys) {
    const fault = contractTextFault(contractTextOf(key));
    if (fault !== undefined) throw badUserInput('contract', fault);
  }
  if (keys.length === 0) throw badUserInput('contract', 'expected at least one contract, got none');
  const asItComes = { intervalMs: 0, everyMs: undefined, changesOnly: false, since: undefined };
  return { keys, all: false, initial, ...asItComes };
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

// A subscription is opened where it is admitted: it never comes to graphql-js as one.
const subscribe = () => {
  throw codedError('BAD_REQUEST', 'expected a subscription to come by a transport that streams');
};

const NAMES = 'Contract names, exactly as IME writes them.';
const IDS = 'Contract IDs, or the `id` of contracts.';
const INITIAL = 'false: leave out what is known now and start with the next change.';
const CHANGES_ONLY =
  'true: stay silent while none of the selected fields has changed. `cursor`, `sequence`, `timestamp`, `publishedAt` and `receivedAt` alone are no change.';
const ALL =
  'Every contract that the gateway holds and the caller may see, those that join later too; it keeps none of them alive. Instead of names and ids.';
const SINCE =
  'Resumes: begins with only what has changed since this cursor, the newest state of each. A cursor of another epoch begins with everything.';

builder.subscriptionType({
  description: 'What changes.',
  fields: (t) => ({
    contractUpdates: t.field({
      type: ContractType,
      nullable: false,
      description:
        'Every change of the given contracts, each once and in order, for as long as the client keeps up; behind a slow reader the newest state of each. Starts with what is known of each of them now.',
      args: {
        names: t.arg.stringList({ description: NAMES }),
        ids: t.arg.idList({ description: IDS }),
        initial: t.arg.boolean({ required: true, defaultValue: true, description: INITIAL }),
        maxUpdatesPerSecond: t.arg.float({
          description:
            'At most this many updates a second for each contract, 0.01 to 1000; between them the newest wins. Status changes are not held back.',
        }),
        changesOnly: t.arg.boolean({
          required: true,
          defaultValue: false,
          description: CHANGES_ONLY,
        }),
        all: t.arg.boolean({ required: true, defaultValue: false, description: ALL }),
        since: t.arg({ type: 'Cursor', description: SINCE }),
      },
      subscribe,
      resolve: (state: ContractState) => state,
    }),
    contractBatches: t.field({
      type: [ContractType],
      nullable: false,
      description:
        'The same in bundles: at most one message in `everyMs`, with the newest state of each contract that changed, in the order of change. One message instead of hundreds, for boards and for one rendering a burst.',
      args: {
        names: t.arg.stringList({ description: NAMES }),
        ids: t.arg.idList({ description: IDS }),
        all: t.arg.boolean({ required: true, defaultValue: false, description: ALL }),
        everyMs: t.arg.int({
          required: true,
          defaultValue: DEFAULT_EVERY_MS,
          description:
            'The least time between two messages, 10 to 60000 milliseconds; 0: one for each tick. The first change after silence is sent at once.',
        }),
        initial: t.arg.boolean({ required: true, defaultValue: true, description: INITIAL }),
        changesOnly: t.arg.boolean({
          required: true,
          defaultValue: false,
          description: CHANGES_ONLY,
        }),
        since: t.arg({ type: 'Cursor', description: SINCE }),
      },
      subscribe,
      resolve: (states: ContractState[]) => states,
    }),
    statusUpdates: t.field({
      type: GatewayStatusType,
      nullable: false,
      description:
        "The gateway's own state: now, and at most once a second when it has changed. `uptimeSeconds` and counters of messages alone are no change.",
      subscribe,
      resolve: (report: GatewayReport) => report,
    }),
  }),
});
