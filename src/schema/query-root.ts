import type { GraphQLError } from 'graphql';
import { type ContractKey, contractTextFault, contractTextOf, globalKey } from '../contract/key.ts';
import type { ContractState } from '../hub/contract-state.ts';
import type { ContractHub } from '../hub/hub.ts';
import { isKnown } from '../hub/read.ts';
import { checkedBefore } from './argument-check.ts';
import { builder } from './builder.ts';
import {
  checkedSearch,
  checkedWaitMs,
  contractKeys,
  oneContractKey,
} from './contract-arguments.ts';
import { ContractType, NodeType } from './contract-type.ts';
import { forbiddenContract } from './errors/coded-error.ts';
import type { GatewayContext } from './resolver-context.ts';
import { GatewayStatusType } from './status-type.ts';

const DEFAULT_WAIT_MS = 1_000;
const WAIT_DESCRIPTION =
  'Milliseconds from when a contract was first asked of IME until its first state is no longer waited for; 0 to 30000.';

/** What stands in a contract's place in a list. */
type StateOrError = ContractState | Error;

/** The state of a contract for which nothing has to be waited, nor asked. */
function knownState(hub: ContractHub, key: ContractKey): ContractState | undefined {
  const state = hub.read(key);
  return state !== undefined && isKnown(state) ? state : undefined;
}

/**
 * The states of a list of contracts, and the error of each that has none in its place, which graphql-js takes
 * for thrown. A contract that is listed many times is looked up once, and what waits is one promise for the
 * whole list: one for each place costs more than all the rest.
 */
function listedStates(
  keys: readonly (ContractKey | GraphQLError)[],
  waitMs: number,
  { hub, principal, contracts }: GatewayContext,
): readonly ContractState[] | Promise<readonly ContractState[]> {
  const found = new Map<ContractKey, StateOrError>();
  const missing = new Set<ContractKey>();
  for (const key of keys) {
    if (typeof key !== 'string' || found.has(key) || missing.has(key)) continue;
    const known = principal.contracts.allow(key) ? knownState(hub, key) : forbiddenContract(key);
    if (known === undefined) missing.add(key);
    else found.set(key, known);
  }
  // The builder's types know of errors that are thrown only.
  const listed = () =>
    keys.map((key) => (typeof key === 'string' ? found.get(key) : key)) as ContractState[];
  if (missing.size === 0) return listed();
  const reads = Array.from(missing, (key) => ({ key, waitMs }));
  return contracts.loadMany(reads).then((loaded) => {
    for (const [at, { key }] of reads.entries()) found.set(key, loaded[at] as StateOrError);
    return listed();
  });
}

builder.queryType({
  description: 'What is known now.',
  fields: (t) => ({
    node: t.field({
      type: NodeType,
      nullable: true,
      description:
        "Relay's way to an object: a contract by its `id`; null where it is none of ours.",
      args: {
        id: t.arg.id({ required: true, description: 'The `id` of a contract.' }),
      },
      resolve: (_root, { id }, context) => {
        const key = globalKey(String(id));
        if (key === undefined || contractTextFault(contractTextOf(key)) !== undefined) return null;
        if (!context.principal.contracts.allow(key)) throw forbiddenContract(key);
        // Executed by graphql-js, field by field, so it is read with what is waited for.
        return context.contracts.load({ key, waitMs: DEFAULT_WAIT_MS });
      },
    }),
    contract: t.field({
      type: ContractType,
      nullable: true,
      description:
        'One contract, by name or by ID (give exactly one). Where no state is cached, waits for the first one until `waitMs` after the contract was first asked of IME: a quiet contract delays the first query only.',
      args: {
        name: t.arg.string({ description: 'The contract name, exactly as IME writes it.' }),
        id: t.arg.id({ description: 'The contract ID, or the `id` of a contract.' }),
        waitMs: t.arg.int({ defaultValue: DEFAULT_WAIT_MS, description: WAIT_DESCRIPTION }),
      },
      resolve: (_root, { name, id, waitMs: givenWaitMs }, context) => {
        const { hub, principal, contracts } = context;
        const key = oneContractKey(name, id);
        const waitMs = checkedWaitMs(givenWaitMs);
        if (!principal.contracts.allow(key)) throw forbiddenContract(key);
        return knownState(hub, key) ?? contracts.load({ key, waitMs });
      },
    }),
    contracts: t.field({
      type: [ContractType],
      nullable: { list: false, items: true },
      description:
        'Several contracts in the order asked, names first; an error with one of them leaves null in its place. Without names and ids, every contract that the gateway now holds, but INVALID ones.',
      args: {
        names: t.arg.stringList({ description: 'Contract names, exactly as IME writes them.' }),
        ids: t.arg.idList({ description: 'Contract IDs, or the `id` of contracts.' }),
        search: t.arg.string({
          description:
            'Of all contracts those whose name or ID has all of these words, whatever the case of letters, the digits, the forms of ی and ک, and half-spaces. Instead of names and ids.',
        }),
        waitMs: t.arg.int({ defaultValue: DEFAULT_WAIT_MS, description: WAIT_DESCRIPTION }),
      },
      extensions: checkedBefore(checkedSearch),
      resolve: (_root, { names, ids, search, waitMs: givenWaitMs }, context) => {
        const { hub, access, principal } = context;
        const waitMs = checkedWaitMs(givenWaitMs);
        if (!names && !ids) {
          const found = checkedSearch({ search });
          return hub.states(found).filter(({ key }) => principal.contracts.allow(key));
        }
        return listedStates(contractKeys({ names, ids }, access), waitMs, context);
      },
    }),
    status: t.field({
      type: GatewayStatusType,
      nullable: false,
      description: 'The gateway itself.',
      resolve: (_root, _args, { report, hear }) =>
        hear === undefined ? report() : hear().then(report),
    }),
  }),
});
