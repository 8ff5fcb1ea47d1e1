import type { ShardFailure } from '../sockets/shard.ts';
import type { Upstream } from '../sockets/upstream.ts';
import type { DialBudget } from './dial-budget.ts';
import { Search, type SearchedBatch, type TokenWitness } from './search.ts';

/**
 * The searches that go on, each by itself: one that takes long, because it finds much or because IME
 * answers slowly, holds no other up. Who dials next says the budget.
 */
export class Searches {
  readonly #upstream: Upstream;
  readonly #budget: DialBudget;
  readonly #token: TokenWitness;
  readonly #rested: () => void;
  #round = new AbortController();
  readonly #going = new Set<Search>();
  #isClosed = false;

  /** @param rested called when none goes on any more */
  constructor(upstream: Upstream, budget: DialBudget, token: TokenWitness, rested: () => void) {
    this.#upstream = upstream;
    this.#budget = budget;
    this.#token = token;
    this.#rested = rested;
  }

  /** How many go on. */
  get size(): number {
    return this.#going.size;
  }

  /** Why one of them cannot ask IME; `undefined` while all can. */
  get failure(): ShardFailure | undefined {
    for (const { failure } of this.#going) if (failure !== undefined) return failure;
    return undefined;
  }

  /** Searches a batch, whose contracts are not dialed otherwise until that is over. */
  start(batch: SearchedBatch): void {
    if (this.#isClosed) return;
    batch.pool.feeds.search(batch.keys, true);
    void this.#run(batch, this.#round.signal);
  }

  /** Ends every search without a result: what it has found out counts no more, and all is dialed anew. */
  abort(): void {
    this.#round.abort();
    this.#round = new AbortController();
    this.#budget.dismiss();
  }

  /** Ends every search for good. */
  close(): void {
    this.#isClosed = true;
    this.abort();
  }

  async #run(batch: SearchedBatch, signal: AbortSignal): Promise<void> {
    const search = new Search(batch, this.#upstream, this.#budget, this.#token, signal);
    this.#going.add(search);
    let end: 'over' | 'suspect' = 'over';
    try {
      end = await search.run();
    } catch (error) {
      if (!signal.aborted) {
        this.#upstream.log.error({ error }, 'the search for refused contracts failed');
      }
    }
    this.#going.delete(search);
    if (this.#isClosed) return;
    if (end === 'over') batch.pool.searched(batch.keys);
    if (this.#going.size === 0) this.#rested();
  }
}
