import type { ContractKey } from '../../contract/key.ts';
import type { Credential } from '../credentials/credentials.ts';
import type { Shard } from '../sockets/shard.ts';
import type { ContractFeeds } from './feeds.ts';
import type { PlannedShard } from './shard-plan.ts';

/** What planning sees of the shards of a pool. */
interface ShardLoads {
  /** Accepted ones that no other change is about. */
  readonly idle: readonly PlannedShard<Shard>[];
  /** How many there are besides, less those that are being replaced and those of a search. */
  readonly busy: number;
}

/**
 * How the contracts that are to be carried lie on shards now.
 *
 * @param shards oldest first
 * @param replacements shards by which others are being replaced
 */
export function shardLoads(
  shards: readonly Shard[],
  replacements: ReadonlyMap<Shard, readonly Shard[]>,
  feeds: ContractFeeds,
): ShardLoads {
  const replaced = new Set([...replacements.values()].flat());
  const idle: PlannedShard<Shard>[] = [];
  const counted = new Set<ContractKey>();
  let busy = 0;
  // Newest first: a contract that two shards carry counts for the one that stays.
  for (const shard of [...shards].reverse()) {
    if (replaced.has(shard)) continue;
    const keys = [...shard.keys].filter((key) => feeds.usable(key));
    const searched = keys.some((key) => feeds.get(key)?.underSearch);
    if (searched) continue;
    if (shard.isAccepted && !replacements.has(shard)) {
      idle.push({ id: shard, keys: keys.filter((key) => !counted.has(key)) });
      for (const key of keys) counted.add(key);
    } else busy++;
  }
  return { idle, busy };
}

/**
 * Since when newer shards have carried every contract of a shard that is to be carried, by the monotonic
 * clock: the latest of them. 0 where there is none to carry; `undefined` while some are not carried.
 */
export function replacedSinceMs(shard: Shard, feeds: ContractFeeds): number | undefined {
  const isNewer = (other: Shard) => other.id > shard.id && other.settledAtMs !== undefined;
  if (!feeds.carriedByOthers(shard, isNewer)) return undefined;
  let sinceMs = 0;
  for (const key of shard.keys) {
    for (const other of feeds.get(key)?.shards ?? []) {
      if (isNewer(other)) sinceMs = Math.max(sinceMs, other.settledAtMs ?? 0);
    }
  }
  return sinceMs;
}

/**
 * The shards that were dialed with a credential that ends, where another one is in force, and what each of them
 * carries that is still wanted.
 */
export function outdated(
  shards: readonly Shard[],
  replacements: ReadonlyMap<Shard, readonly Shard[]>,
  current: Credential | undefined,
  feeds: ContractFeeds,
): [Shard, ContractKey[]][] {
  const replaced = new Set([...replacements.values()].flat());
  return shards
    .filter(({ credential }) => credential !== current && credential?.expiresAtMs !== undefined)
    .filter((shard) => shard.isAccepted && !replaced.has(shard))
    .map((shard): [Shard, ContractKey[]] => [
      shard,
      [...shard.keys].filter((key) => feeds.usable(key)),
    ])
    .filter(([, keys]) => keys.length > 0);
}
