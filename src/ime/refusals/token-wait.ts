import { sleep } from '../../lib/clock.ts';
import { RecentMap } from '../../lib/recent-map.ts';
import type { AskedContracts, AskerRecords } from '../pool/askers.ts';
import type { JudgedPool, Verdict } from '../pool/refusal-judge.ts';
import type { Upstream } from '../sockets/upstream.ts';
import { type RefusedBatch, type Single, singles, unprovenSingles } from './canaries.ts';
import type { TakeTurn } from './dial-budget.ts';

const TOKEN_PROBE_FIRST_MS = 30_000;
const TOKEN_PROBE_CAP_MS = 5 * 60_000;
/** The least time between probes that new wishes cause while everything is refused. */
const ASKED_SPACING_MS = 2_000;
/** So many who ask meanwhile are remembered, and so many contracts of each. */
const MOST_ASKERS = 1_000;
const MOST_OF_ONE = 4;

/** Probes that are so few wait for no turn, and count for nobody. */
const UNCOUNTED: TakeTurn = () => Promise.resolve(() => {});

/** Who dials one contract, past everything that waits, and knows what askers have cost. */
interface Prober extends AskerRecords {
  answered(single: Single, takeTurn: TakeTurn): Promise<Verdict>;
}

/** Waits until IME accepts the token, or any contract, with a probe now and then. */
export class TokenWait {
  readonly #upstream: Upstream;
  readonly #pools: () => readonly JudgedPool[];
  readonly #prober: Prober;
  readonly #signal: AbortSignal;
  #wake = new AbortController();
  /** What has been asked for meanwhile, by who asked. */
  readonly #asked = new RecentMap<string, Single[]>(MOST_ASKERS);
  /** How many probes each of them has been given. */
  readonly #probesOf = new RecentMap<string, number>(MOST_ASKERS);
  #lastProbeAtMs = Number.NEGATIVE_INFINITY;
  #turn = 0;

  constructor(
    upstream: Upstream,
    pools: () => readonly JudgedPool[],
    prober: Prober,
    signal: AbortSignal,
  ) {
    this.#upstream = upstream;
    this.#pools = pools;
    this.#prober = prober;
    this.#signal = signal;
  }

  /** Contracts have been asked for of which nothing is known: one that IME accepts ends the wait. */
  asked(pool: JudgedPool, groups: readonly AskedContracts[]): void {
    for (const { asker, keys } of groups) {
      const last = singles(pool, keys.slice(-MOST_OF_ONE));
      this.#asked.set(asker, last);
    }
    this.wake();
  }

  /** Probes at once. */
  wake(): void {
    this.#wake.abort();
  }

  /**
   * Probes now and then until one is accepted, or nothing is wanted any more.
   *
   * @param tokenRefused told when it turns out that surely the token is refused
   */
  async forToken(batch: RefusedBatch, tokenRefused: () => void): Promise<void> {
    const { authorization, clock, credentials } = this.#upstream;
    this.#asked.clear();
    this.#probesOf.clear();
    for (let turn = 0; ; turn++) {
      const cap = Math.min(TOKEN_PROBE_CAP_MS, TOKEN_PROBE_FIRST_MS * 2 ** turn);
      const asked = await this.#sleepUnlessAsked(cap * (0.8 + 0.4 * Math.random()));
      credentials.reread();
      const candidate = asked ?? this.#candidate(batch);
      if (candidate === undefined) return;
      // The contract that was asked for in the other form may have been unknown: the forms take turns, and
      // what somebody waits for is tried in both.
      const isOpen = authorization.isOpen && credentials.current !== undefined;
      for (let left = asked !== undefined && isOpen ? 2 : 1; left > 0; left--) {
        authorization.flip();
        this.#lastProbeAtMs = clock.monotonicMs();
        const { current } = credentials;
        const answer = await this.#prober.answered(candidate, UNCOUNTED);
        if (answer === 'accepted') return;
        credentials.refused(current);
        if (answer === 'tokenRefused') tokenRefused();
        if (left > 1) await this.#rest();
      }
    }
  }

  async #rest(): Promise<void> {
    const { clock } = this.#upstream;
    const waitMs = this.#lastProbeAtMs + ASKED_SPACING_MS - clock.monotonicMs();
    if (waitMs > 0) await sleep(clock, waitMs, this.#signal);
  }

  /** The contracts that tell most about the token take turns: any one of them may be delisted. */
  #candidate(batch: RefusedBatch): Single | undefined {
    const pools = this.#pools();
    const proven = pools.flatMap((pool) => singles(pool, pool.feeds.provenKeys()));
    const unproven = pools.flatMap((pool) => unprovenSingles(pool, this.#prober));
    const { pool, keys } = batch;
    const wanted = singles(
      pool,
      keys.filter((key) => pool.feeds.usable(key)),
    );
    const candidates = [proven, unproven, wanted].find((list) => list.length > 0);
    return candidates?.[this.#turn++ % candidates.length];
  }

  /** @returns a contract that was asked for meanwhile, where that is what ended the sleep */
  async #sleepUnlessAsked(ms: number): Promise<Single | undefined> {
    const { clock } = this.#upstream;
    if (this.#asked.size === 0) {
      const signal = AbortSignal.any([this.#signal, this.#wake.signal]);
      await sleep(clock, ms, signal).catch(() => {});
      this.#signal.throwIfAborted();
    }
    // What wakes during the probe that follows is not lost: the next sleep ends at once.
    this.#wake = new AbortController();
    if (this.#asked.size === 0) return undefined;
    await this.#rest();
    return this.#nextAsked();
  }

  /** Whoever has been given the fewest probes comes first. */
  #nextAsked(): Single | undefined {
    let next: string | undefined;
    let fewest = Number.POSITIVE_INFINITY;
    for (const asker of this.#asked.keys()) {
      const probes = this.#probesOf.get(asker) ?? 0;
      if (probes >= fewest) continue;
      next = asker;
      fewest = probes;
    }
    if (next === undefined) return undefined;
    this.#probesOf.set(next, fewest + 1);
    const own = this.#asked.get(next) ?? [];
    const single = own.pop();
    if (own.length === 0) this.#asked.delete(next);
    return single;
  }
}
