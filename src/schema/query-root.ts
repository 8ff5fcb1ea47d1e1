import type { ContractKey } from '../contract/key.ts';
import type { ContractState } from '../hub/contract-state.ts';
import type { ContractHub } from '../hub/hub.ts';
import { isKnown } from '../hub/read.ts';
import { builder } from './builder.ts';
import { forbiddenContract } from './coded-error.ts';
import { checkedWaitMs, contractKeys, oneContractKey } from './contract-arguments.ts';
import { ContractType } from './contract-type.ts';
import { GatewayStatusType } from './status-type.ts';

const DEFAULT_WAIT_MS = 1_000;
const WAIT_DESCRIPTION =
  'Milliseconds from when a contract was first asked of IME until its first state is no longer waited for; 0 to 30000.';

/** The state of a contract for which nothing has to be waited, nor asked. */
function knownState(hub: ContractHub, key: ContractKey): ContractState | undefined {
  const state = hub.read(key);
  return state !== undefined && isKnown(state) ? state : undefined;
}

builder.queryType({
  description: 'What is known now.',
  fields: (t) => ({
    contract: t.field({
      type: ContractType,
      nullable: true,
      description:
        'One contract, by name or by ID (give exactly one). Where no state is cached, waits for the first one until `waitMs` after the contract was first asked of IME: a quiet contract delays the first query only.',
      args: {
        name: t.arg.string({ description: 'The contract name, exactly as IME writes it.' }),
        id: t.arg.id({ description: 'The contract ID.' }),
        waitMs: t.arg.int({ defaultValue: DEFAULT_WAIT_MS, description: WAIT_DESCRIPTION }),
      },
      resolve: (_root, { name, id, waitMs: givenWaitMs }, context) => {
        const key = oneContractKey(name, id);
        const waitMs = checkedWaitMs(givenWaitMs);
        if (!context.principal.contracts.allow(key)) throw forbiddenContract(key);
        return knownState(context.hub, key) ?? context.contracts.load({ key, waitMs });
      },
    }),
    contracts: t.field({
      type: [ContractType],
      nullable: { list: false, items: true },
      description:
        'Several contracts in the order asked, names first; an error with one of them leaves null in its place. Without arguments, every contract that the gateway now holds.',
      args: {
        names: t.arg.stringList({ description: 'Contract names, exactly as IME writes them.' }),
        ids: t.arg.idList({ description: 'Contract IDs.' }),
        waitMs: t.arg.int({ defaultValue: DEFAULT_WAIT_MS, description: WAIT_DESCRIPTION }),
      },
      resolve: (_root, { names, ids, waitMs: givenWaitMs }, context) => {
        const { hub, access, principal, contracts } = context;
        const waitMs = checkedWaitMs(givenWaitMs);
        if (!names && !ids) {
          return hub.states().filter(({ key }) => principal.contracts.allow(key));
        }
        return contractKeys({ names, ids }, access).map((key) => {
          if (typeof key !== 'string') return Promise.reject(key);
          if (!principal.contracts.allow(key)) return Promise.reject(forbiddenContract(key));
          return knownState(hub, key) ?? contracts.load({ key, waitMs });
        });
      },
    }),
    status: t.field({
      type: GatewayStatusType,
      nullable: false,
      description: 'The gateway itself.',
      resolve: (_root, _args, { report }) => report(),
    }),
  }),
});
