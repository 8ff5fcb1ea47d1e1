import type { ContractKey } from '../contract/key.ts';
import type { ContractState } from '../hub/contract-state.ts';
import { subscribeToContracts } from '../hub/contract-subscription.ts';
import type { ContractUpdate, UpdateWish } from '../hub/contract-updates.ts';
import { builder } from './builder.ts';
import { forbiddenContract } from './coded-error.ts';
import { checkedIntervalMs, contractKeys } from './contract-arguments.ts';
import { ContractType } from './contract-type.ts';
import type { GatewayContext } from './resolver-context.ts';

/**
 * What a `contractUpdates` field asks for, checked. A server that renders selections itself takes the
 * wish; any other executor iterates over the states.
 */
export class ContractUpdates implements AsyncIterable<ContractUpdate> {
  constructor(
    readonly wish: UpdateWish,
    private readonly context: GatewayContext,
  ) {}

  [Symbol.asyncIterator](): AsyncIterator<ContractUpdate> {
    return subscribeToContracts(this.context.hub, this.wish);
  }
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
          description: 'true: stay silent while none of the selected fields has changed.',
        }),
      },
      subscribe: (_root, args, context) => {
        const keys = contractKeys(args, context.access).map((key) => {
          if (typeof key !== 'string') throw key;
          return key;
        });
        const intervalMs = checkedIntervalMs(args.maxUpdatesPerSecond);
        const { initial, changesOnly } = args;
        const { contracts } = context.principal;
        const allowed = new Set<ContractKey>();
        const refused = new Set<ContractKey>();
        for (const key of keys) (contracts.allow(key) ? allowed : refused).add(key);
        const wish: UpdateWish = {
          keys: [...allowed],
          ...(refused.size > 0 && { refusedKeys: [...refused] }),
          initial,
          changesOnly,
          intervalMs,
        };
        return new ContractUpdates(wish, context);
      },
      resolve: (update: ContractUpdate): ContractState => {
        if ('refused' in update) throw forbiddenContract(update.key);
        return update;
      },
    }),
  }),
});
