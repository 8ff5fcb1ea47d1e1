import type { ContractKey } from '../contract/key.ts';
import type { ContractState } from './contract-state.ts';
import type { ContractHub } from './hub.ts';
import type { ContractSubscriber } from './topic.ts';

/**
 * The state of each of `keys` as soon as something is known of it: a snapshot, or that IME refuses it.
 * What is not known `waitMs` after the contract was first asked of IME comes as it is then, PENDING.
 *
 * @param signal ends the wait early; the states are then those of that moment
 */
export async function readContracts(
  hub: ContractHub,
  keys: readonly ContractKey[],
  waitMs: number,
  signal?: AbortSignal,
): Promise<ContractState[]> {
  const latest = new Map<ContractKey, ContractState>();
  const unknown = new Set<ContractKey>();
  let stopWaiting: () => void = () => {};
  const subscriber: ContractSubscriber = {
    contractChanged(state) {
      latest.set(state.key, state);
      if (isKnown(state) && unknown.delete(state.key) && unknown.size === 0) stopWaiting();
    },
    broken: () => stopWaiting(),
  };
  for (const state of hub.subscribe(keys, subscriber)) {
    latest.set(state.key, state);
    if (!isKnown(state)) unknown.add(state.key);
  }
  try {
    const remainingMs = Math.max(
      0,
      ...Array.from(unknown, (key) => deadlineMs(key) - hub.clock.monotonicMs()),
    );
    if (remainingMs > 0 && !signal?.aborted) {
      await new Promise<void>((resolve) => {
        const cancel = hub.clock.setTimeout(() => stopWaiting(), remainingMs);
        stopWaiting = () => {
          cancel();
          signal?.removeEventListener('abort', stopWaiting);
          resolve();
        };
        signal?.addEventListener('abort', stopWaiting);
      });
    }
  } finally {
    hub.unsubscribe(keys, subscriber);
  }
  return keys.map((key) => latest.get(key) as ContractState);

  function deadlineMs(key: ContractKey): number {
    return (hub.askedAtMs(key) ?? 0) + waitMs;
  }
}

/** Whether a reader need not wait: there is a snapshot, or it is said that there will be none. */
export function isKnown(state: ContractState): boolean {
  return state.snapshot !== null || state.status === 'INVALID';
}
