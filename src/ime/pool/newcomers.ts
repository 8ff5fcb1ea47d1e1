import type { ContractKey } from '../../contract/key.ts';
import { type AskedContracts, type AskerRecords, apartOrTogether, byAsker } from './askers.ts';
import type { ContractFeeds } from './feeds.ts';
import { packShards, type ShardBounds } from './shard-plan.ts';

/** What nothing carries, and what is to be done about it. */
interface Newcomers {
  /** To be dialed as usual, each set on a socket. */
  readonly dialed: readonly (readonly ContractKey[])[];
  /** Of askers in doubt, each set for a socket: to be dialed when it is their turn. */
  readonly tried: readonly AskedContracts[];
  /** Refused some time ago: each to be tried again, alone. */
  readonly retested: readonly ContractKey[];
  /** Everything of which nothing is known yet. */
  readonly unproven: readonly ContractKey[];
  /** How long until another refused one may be tried again, in milliseconds. */
  readonly nextRetestInMs: number | undefined;
}

/**
 * Shares out what nothing carries: contracts not proven apart from those that are, and those of different
 * askers apart from each other.
 *
 * @param nowMs by the monotonic clock
 */
export function newcomers(
  feeds: ContractFeeds,
  records: AskerRecords,
  bounds: ShardBounds,
  nowMs: number,
): Newcomers {
  const proven: ContractKey[] = [];
  const unproven: ContractKey[] = [];
  const retested: ContractKey[] = [];
  let nextRetestAtMs = Number.POSITIVE_INFINITY;
  for (const feed of feeds.wanted()) {
    if (feed.shards.size > 0 || feed.underSearch) continue;
    const retestAtMs = feeds.invalid.retestAtMs(feed.key);
    if (retestAtMs === undefined) (feed.proven ? proven : unproven).push(feed.key);
    else if (retestAtMs <= nowMs) retested.push(feed.key);
    else nextRetestAtMs = Math.min(nextRetestAtMs, retestAtMs);
  }
  const groups = byAsker(unproven, feeds, records);
  const trusted = groups.filter(({ asker }) => !records.inDoubt(asker));
  const doubted = groups.filter(({ asker }) => records.inDoubt(asker));
  return {
    dialed: [proven, ...apartOrTogether(trusted).map(({ keys }) => keys)].flatMap((keys) =>
      packShards(keys, bounds),
    ),
    tried: doubted.flatMap(({ asker, keys }) =>
      packShards(keys, bounds).map((packed) => ({ asker, keys: packed })),
    ),
    retested,
    unproven,
    nextRetestInMs: Number.isFinite(nextRetestAtMs) ? nextRetestAtMs - nowMs : undefined,
  };
}

/** Whether nothing is known of any of the contracts, and everybody who asks for them is in doubt. */
export function areDoubted(
  keys: ReadonlySet<ContractKey>,
  feeds: ContractFeeds,
  records: AskerRecords,
): boolean {
  for (const key of keys) if (feeds.get(key)?.proven !== false) return false;
  return byAsker(keys, feeds, records).every(({ asker }) => records.inDoubt(asker));
}
