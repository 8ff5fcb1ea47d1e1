import DataLoader from 'dataloader';
import type { Access } from '../access/access.ts';
import type { Principal } from '../access/principal.ts';
import type { ContractKey } from '../contract/key.ts';
import type { ContractState } from '../hub/contract-state.ts';
import type { ContractHub } from '../hub/hub.ts';
import { readContracts } from '../hub/read.ts';
import { forbiddenContract } from '../schema/errors/coded-error.ts';
import type { ContractRead } from '../schema/resolver-context.ts';

/**
 * Reads contracts for one operation: all that its aliases and lists ask for becomes one read of the hub for
 * each waiting time, and each contract is read once.
 *
 * @param who the principal as of now, who may see what is asked for; asked again after the wait
 */
export function contractLoader(
  hub: ContractHub,
  access: Access,
  who: () => Principal,
  signal?: AbortSignal,
): DataLoader<ContractRead, ContractState, string> {
  return new DataLoader<ContractRead, ContractState, string>(
    async (reads) => {
      const results = new Map<string, ContractState | Error>();
      const keysByWait = new Map<number, Set<ContractKey>>();
      const added = new Set(reads.map(({ key }) => key).filter((key) => !hub.holds(key)));
      // All of them, so that no room is made for some by letting go of others.
      const refusing = refusalOf([...new Set(reads.map(({ key }) => key))]);
      // What is asked for is held in the same step, where nobody else need be asked.
      const refusal = refusing instanceof Promise ? await refusing : refusing;
      for (const read of reads) {
        const { key, waitMs } = read;
        if (refusal !== undefined && added.has(key)) results.set(cacheKey(read), refusal);
        else keysByWait.set(waitMs, (keysByWait.get(waitMs) ?? new Set()).add(key));
      }
      await Promise.all(
        Array.from(keysByWait, async ([waitMs, keys]) => {
          const states = await readContracts(hub, [...keys], waitMs, signal);
          // What may be seen may have become less during the wait.
          const { contracts } = who();
          for (const state of states) {
            const { key } = state;
            const seen = contracts.allow(key) ? state : forbiddenContract(key);
            results.set(cacheKey({ key, waitMs }), seen);
          }
        }),
      );
      return reads.map(
        (read) => results.get(cacheKey(read)) ?? new Error(`${read.key} was not read`),
      );
    },
    { cacheKeyFn: cacheKey },
  );

  /** Why contracts that are not held yet are not asked of IME for this principal. */
  function refusalOf(keys: readonly ContractKey[]): Error | undefined | Promise<Error | undefined> {
    const refused = (error: unknown) => error as Error;
    try {
      return access.asking(keys, who())?.then(() => undefined, refused);
    } catch (error) {
      return refused(error);
    }
  }
}

function cacheKey({ key, waitMs }: ContractRead): string {
  return `${waitMs} ${key}`;
}
