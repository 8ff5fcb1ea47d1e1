import type { ContractState } from '../hub/contract-state.ts';
import { subscribeToContracts } from '../hub/subscription.ts';
import { builder } from './builder.ts';
import { ContractType } from './contract.ts';
import { contractKeys } from './contract-arguments.ts';

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
      },
      subscribe: (_root, { names, ids, initial }, { hub, maxContracts }) => {
        const keys = contractKeys({ names, ids }, maxContracts).map((key) => {
          if (typeof key !== 'string') throw key;
          return key;
        });
        return subscribeToContracts(hub, keys, initial);
      },
      resolve: (state: ContractState) => state,
    }),
  }),
});
