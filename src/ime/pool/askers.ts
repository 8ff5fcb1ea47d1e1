import type { ContractKey } from '../../contract/key.ts';
import type { ContractFeeds } from './feeds.ts';

/** The gateway itself, for whom pinned contracts are asked of IME, and those that were accepted before. */
export const OWN = '';

/** So many askers are told apart at once; where there are more, their contracts go together. */
const MOST_APART = 4;

/** What is known of those for whom contracts are asked of IME. */
export interface AskerRecords {
  /** Whether IME has refused contracts of theirs lately. */
  inDoubt(asker: string): boolean;
  /** How many dials their refused contracts have cost within the last minute. */
  dialsFor(asker: string): number;
}

/** Contracts that are asked for by one asker; by several, where they are not told apart. */
export interface AskedContracts {
  readonly asker: string;
  readonly keys: readonly ContractKey[];
}

/**
 * Contracts by who asks for them. One that several ask for counts for the one of them that has cost the
 * least: nobody makes another's contract wait by asking for it too. One that IME has accepted is the
 * gateway's own.
 *
 * @returns those who ask for few first
 */
export function byAsker(
  keys: Iterable<ContractKey>,
  feeds: ContractFeeds,
  records: AskerRecords,
): AskedContracts[] {
  const groups = new Map<string, ContractKey[]>();
  for (const key of keys) {
    const feed = feeds.get(key);
    const askers = feed === undefined || feed.proven ? [] : feed.askers;
    const asker = leastCostly(askers, records);
    const group = groups.get(asker);
    if (group === undefined) groups.set(asker, [key]);
    else group.push(key);
  }
  return Array.from(groups, ([asker, own]) => ({ asker, keys: own })).sort(
    (a, b) => a.keys.length - b.keys.length,
  );
}

/**
 * The same groups where they are few. Many go together, those who ask for few first, and count for whoever
 * asks for most: a dial for each of them would take too long.
 */
export function apartOrTogether(groups: readonly AskedContracts[]): readonly AskedContracts[] {
  const last = groups.at(-1);
  if (last === undefined || groups.length <= MOST_APART) return groups;
  return [{ asker: last.asker, keys: groups.flatMap(({ keys }) => keys) }];
}

/** Contracts in such an order that those who ask for them take turns. */
export function inTurns(groups: readonly AskedContracts[]): ContractKey[] {
  const most = groups.at(-1)?.keys.length ?? 0;
  const keys: ContractKey[] = [];
  for (let turn = 0; turn < most; turn++) {
    for (const group of groups) {
      const key = group.keys[turn];
      if (key !== undefined) keys.push(key);
    }
  }
  return keys;
}

function leastCostly(askers: readonly string[], records: AskerRecords): string {
  let [least = OWN] = askers;
  for (const asker of askers) {
    const better = Number(records.inDoubt(asker)) - Number(records.inDoubt(least));
    if (better < 0 || (better === 0 && records.dialsFor(asker) < records.dialsFor(least))) {
      least = asker;
    }
  }
  return least;
}
