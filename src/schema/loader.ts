import DataLoader from 'dataloader';
import type { ContractKey } from '../contract/key.ts';
import type { ContractState } from '../hub/contract-state.ts';
import type { ContractHub } from '../hub/hub.ts';
import { readContracts } from '../hub/read.ts';

/** A wish for a contract's latest state. */
export interface ContractRead {
  readonly key: ContractKey;
  /** How long to wait for the first state after the contract was first asked of IME, in milliseconds. */
  readonly waitMs: number;
}

/**
 * Reads contracts for one operation: all that its aliases and lists ask for becomes one read of the hub
 * for each waiting time, and each contract is read once.
 */
export function contractLoader(
  hub: ContractHub,
  signal?: AbortSignal,
): DataLoader<ContractRead, ContractState, string> {
  return new DataLoader<ContractRead, ContractState, string>(
    async (reads) => {
      const keysByWait = new Map<number, Set<ContractKey>>();
      for (const { key, waitMs } of reads) {
        keysByWait.set(waitMs, (keysByWait.get(waitMs) ?? new Set()).add(key));
      }
      const states = new Map<string, ContractState>();
      await Promise.all(
        Array.from(keysByWait, async ([waitMs, keys]) => {
          for (const state of await readContracts(hub, [...keys], waitMs, signal)) {
            states.set(cacheKey({ key: state.key, waitMs }), state);
          }
        }),
      );
      return reads.map(
        (read) => states.get(cacheKey(read)) ?? new Error(`${read.key} was not read`),
      );
    },
    { cacheKeyFn: cacheKey },
  );
}

function cacheKey({ key, waitMs }: ContractRead): string {
  return `${waitMs} ${key}`;
}
