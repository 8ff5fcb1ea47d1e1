import type { ContractKey } from '../../contract/key.ts';

/** What one socket may carry. */
export interface ShardBounds {
  readonly maxContracts: number;
  /** Bound of the request target (path and query), in bytes. */
  readonly maxTargetBytes: number;
  /** Bytes of a request target before its first contract. */
  readonly emptyTargetBytes: number;
  /** Bytes that a contract adds to a request target. */
  readonly contractBytes: (key: ContractKey) => number;
}

/** A socket as planning sees it. */
export interface PlannedShard<Id> {
  readonly id: Id;
  /** Those of its contracts that are still wanted. */
  readonly keys: readonly ContractKey[];
}

/** Sockets to open, and those that are no longer needed once these carry their contracts. */
export interface Compaction<Id> {
  readonly open: readonly (readonly ContractKey[])[];
  readonly replaced: readonly Id[];
}

/**
 * Shares contracts out to sockets within the bounds, in the order given: first fit. A contract too
 * long for the byte bound comes alone.
 */
export function packShards(keys: Iterable<ContractKey>, bounds: ShardBounds): ContractKey[][] {
  const shards: { keys: ContractKey[]; bytes: number }[] = [];
  // Full shards at the front are not looked at again, so that thousands of contracts pack quickly.
  let firstOpen = 0;
  for (const key of keys) {
    const bytes = bounds.contractBytes(key);
    let at = firstOpen;
    while (at < shards.length && !fits(shards[at], bytes, bounds)) at++;
    const shard = shards[at] ?? { keys: [], bytes: bounds.emptyTargetBytes };
    if (at === shards.length) shards.push(shard);
    shard.keys.push(key);
    shard.bytes += bytes;
    while (shards[firstOpen] && (shards[firstOpen]?.keys.length ?? 0) >= bounds.maxContracts)
      firstOpen++;
  }
  return shards.map((shard) => shard.keys);
}

/**
 * What brings the number of sockets back to at most one more than the contracts need, at the least
 * cost: the emptiest sockets are brought together.
 *
 * @param idle accepted sockets that no other change is about
 * @param busy how many sockets there are besides these
 * @returns `undefined` where there are few enough, or where the idle ones cannot be brought together
 */
export function planCompaction<Id>(
  idle: readonly PlannedShard<Id>[],
  busy: number,
  needed: number,
  bounds: ShardBounds,
): Compaction<Id> | undefined {
  const allowed = needed + 1;
  if (idle.length + busy <= allowed) return undefined;
  const emptiestFirst = [...idle].sort((a, b) => a.keys.length - b.keys.length);
  let best: Compaction<Id> | undefined;
  let saved = 0;
  for (let count = 2; count <= emptiestFirst.length; count++) {
    const replaced = emptiestFirst.slice(0, count);
    const open = packShards(
      replaced.flatMap((shard) => shard.keys),
      bounds,
    );
    if (count - open.length > saved) {
      saved = count - open.length;
      best = { open, replaced: replaced.map((shard) => shard.id) };
    }
    if (idle.length + busy - saved <= allowed) break;
  }
  return best;
}

function fits(
  shard: { keys: ContractKey[]; bytes: number } | undefined,
  bytes: number,
  bounds: ShardBounds,
): boolean {
  return (
    shard !== undefined &&
    shard.keys.length < bounds.maxContracts &&
    shard.bytes + bytes <= bounds.maxTargetBytes
  );
}
