import type { ContractKey, KeySpace } from '../../contract/key.ts';
import { contractTargetBytes, emptyTargetBytes } from '../protocol/endpoints.ts';
import type { Upstream } from '../sockets/upstream.ts';
import type { ShardBounds } from './shard-plan.ts';

/** The byte bound is not halved below this. */
const LEAST_TARGET_BYTES = 256;

/** How much one socket of a key space may carry: as set, or less where IME refuses URLs of that length. */
export class ShardSizing {
  readonly #upstream: Upstream;
  readonly #space: KeySpace;
  #bounds: ShardBounds;

  constructor(upstream: Upstream, space: KeySpace) {
    const { base, maxContractsPerSocket, maxUrlBytes } = upstream.settings;
    this.#upstream = upstream;
    this.#space = space;
    this.#bounds = {
      maxContracts: maxContractsPerSocket,
      maxTargetBytes: maxUrlBytes,
      emptyTargetBytes: emptyTargetBytes(base, space),
      contractBytes: (key) => contractTargetBytes(space, key),
    };
  }

  get bounds(): ShardBounds {
    return this.#bounds;
  }

  /** IME refused the URL of these contracts as too long: from now on URLs are half as long at most. */
  refused(keys: Iterable<ContractKey>): void {
    let refusedBytes = this.#bounds.emptyTargetBytes;
    for (const key of keys) refusedBytes += this.#bounds.contractBytes(key);
    const half = Math.floor(Math.min(refusedBytes, this.#bounds.maxTargetBytes) / 2);
    const maxTargetBytes = Math.max(LEAST_TARGET_BYTES, half);
    this.#bounds = { ...this.#bounds, maxTargetBytes };
    this.#upstream.log.warn(
      { endpoint: this.#space, refusedBytes, maxTargetBytes },
      'IME refuses URLs of this length: the gateway uses shorter ones',
    );
  }
}
