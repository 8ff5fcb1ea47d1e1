import type { ContractKey } from '../../contract/key.ts';
import type { Credential } from '../credentials/credentials.ts';
import { type AskerRecords, byAsker, inTurns } from '../pool/askers.ts';
import type { JudgedPool } from '../pool/refusal-judge.ts';

/** A batch of contracts that IME refused. */
export interface RefusedBatch {
  readonly pool: JudgedPool;
  readonly keys: readonly ContractKey[];
  /** What was refused with them: with another one they are to be dialed anew. */
  readonly credential: Credential | undefined;
}

/** One contract of one pool, to dial alone. */
export interface Single {
  readonly pool: JudgedPool;
  readonly key: ContractKey;
}

/**
 * The contracts that tell most about the token, each to be dialed alone: those that IME has accepted before,
 * and of the others those of many askers, who cannot all have asked for what does not exist.
 *
 * @param most how many, where fewer than two are known to exist
 * @returns them, and whether their being refused can only mean that the token is
 */
export function chooseCanaries(
  batch: RefusedBatch,
  pools: readonly JudgedPool[],
  records: AskerRecords,
  most: number,
): { readonly canaries: readonly Single[]; readonly sure: boolean } {
  const inBatch = new Set(batch.keys);
  const own = [batch.pool, ...pools.filter((pool) => pool !== batch.pool)];
  const proven = own.flatMap((pool) => singles(pool, pool.feeds.provenKeys()));
  const unproven = own.flatMap((pool) => unprovenSingles(pool, records));
  const isInBatch = ({ pool, key }: Single) => pool === batch.pool && inBatch.has(key);
  // A contract that was refused alone is no canary of itself.
  const usable = (single: Single) => batch.keys.length > 1 || !isInBatch(single);
  const known = proven.filter(usable).sort((a, b) => Number(isInBatch(a)) - Number(isInBatch(b)));
  const sure = known.length >= 2;
  const canaries = sure ? known.slice(0, 2) : [...known, ...unproven.filter(usable)].slice(0, most);
  return { canaries, sure };
}

/** Contracts of a pool of which nothing is known; those who ask for them take turns. */
export function unprovenSingles(pool: JudgedPool, records: AskerRecords): Single[] {
  const { feeds } = pool;
  return singles(pool, inTurns(byAsker(feeds.unprovenKeys(), feeds, records)));
}

/** Contracts of one pool. */
export function singles(pool: JudgedPool, keys: readonly ContractKey[]): Single[] {
  return keys.map((key) => ({ pool, key }));
}
