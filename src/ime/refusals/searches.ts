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
  #size = 0;
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
    return this.#size;
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
    this.#size++;
    let end: 'over' | 'suspect' = 'over';
    try {
      const search = new Search(batch, this.#upstream, this.#budget, this.#token, signal);
      end = await search.run();
    } catch (error) {
      if (!signal.aborted) {
        this.#upstream.log.error({ error }, 'the search for refused contracts failed');
      }
    }
    this.#size--;
    if (this.#isClosed) return;
    if (end === 'over') batch.pool.searched(batch.keys);
    if (this.#size === 0) this.#rested();
  }
}
