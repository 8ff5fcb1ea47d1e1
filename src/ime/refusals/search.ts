import type { ContractKey } from '../../contract/key.ts';
import { sleep } from '../../lib/clock.ts';
import type { JudgedPool, RefusalKind, Verdict } from '../pool/refusal-judge.ts';
import { redialAfterMs } from '../sockets/failure.ts';
import type { ShardFailure } from '../sockets/shard.ts';
import type { Upstream } from '../sockets/upstream.ts';
import type { RefusedBatch, Single } from './canaries.ts';
import type { DialBudget, DialPurpose, TakeTurn } from './dial-budget.ts';
import { afterProbe, type Isolation, isolate, nextProbe, tryOut, withGood } from './isolation.ts';

/** So many contracts at most, found to be refused, wait for a proof that the token is good. */
const MOST_UNSURE = 4;
/** A token that was good so short a time ago is worth a search, though nobody is convicted for that. */
const GOOD_ENOUGH_MS = 5_000;

/** Contracts of one asker that IME refuses, or that it may well refuse. */
export interface SearchedBatch extends RefusedBatch {
  readonly asker: string;
  readonly purpose: Exclude<DialPurpose, 'first'>;
  /** When they were refused all together, by the monotonic clock; `undefined` where they were not dialed yet. */
  readonly refusedAtMs: number | undefined;
  /** Those that are known to be accepted. */
  readonly good: ReadonlySet<ContractKey>;
}

/** What a search asks about the token, and what it tells of askers. */
export interface TokenWitness {
  /** When the latest dial that IME accepted was started, by the monotonic clock. */
  readonly tokenProvenAtMs: number;
  /** @returns a contract that IME accepted just now, or what its refusing several means */
  askCanaries(
    batch: RefusedBatch,
    takeTurn: TakeTurn,
  ): Promise<Single | 'tokenRefused' | 'allRefused'>;
  /** The token may be at fault after all. */
  suspect(batch: RefusedBatch, kind: RefusalKind): void;
  /** IME refuses contracts of those who ask for these. */
  doubt(pool: JudgedPool, keys: readonly ContractKey[]): void;
}

/** The search for the refused contracts of one batch. */
export class Search {
  readonly #batch: SearchedBatch;
  readonly #upstream: Upstream;
  readonly #budget: DialBudget;
  readonly #token: TokenWitness;
  readonly #signal: AbortSignal;
  #isolation: Isolation;
  #lastRefusedAtMs: number;
  /** Nothing of the batch has been dialed yet. */
  #isFirst: boolean;
  /** It was refused as a whole, and the token may be why. */
  #isUnsure = false;
  #convicted = 0;
  #attempt = 0;
  #failure: ShardFailure | undefined;

  /** @param signal ends it without a result */
  constructor(
    batch: SearchedBatch,
    upstream: Upstream,
    budget: DialBudget,
    token: TokenWitness,
    signal: AbortSignal,
  ) {
    this.#batch = batch;
    this.#upstream = upstream;
    this.#budget = budget;
    this.#token = token;
    this.#signal = signal;
    this.#isFirst = batch.refusedAtMs === undefined;
    this.#lastRefusedAtMs = batch.refusedAtMs ?? Number.NEGATIVE_INFINITY;
    const isolation = this.#isFirst ? tryOut(batch.keys) : isolate(batch.keys);
    this.#isolation = withGood(isolation, batch.good);
  }

  /** Why IME cannot be asked; `undefined` while it can. */
  get failure(): ShardFailure | undefined {
    return this.#failure;
  }

  /** @returns how it ended: `suspect` where the token may be at fault, and the batch is not done with */
  async run(): Promise<'over' | 'suspect'> {
    const { pool, asker, credential, purpose } = this.#batch;
    for (;;) {
      // What was refused with another token says nothing: they are dialed anew.
      if (this.#upstream.isOutdated(credential)) return 'over';
      const probe = this.#isOpen() ? nextProbe(this.#isolation) : undefined;
      if (this.#needsProof(probe === undefined)) {
        if (!(await this.#prove())) return 'suspect';
        continue;
      }
      if (this.#isProven) this.#convict();
      if (probe === undefined) return 'over';
      const now = this.#isFirst && purpose === 'search' ? 'first' : purpose;
      const granted = await this.#budget.turn(asker, now, () => this.#isOpen());
      this.#signal.throwIfAborted();
      if (!granted) continue;
      const answer = await pool.probe(probe, 'search');
      this.#signal.throwIfAborted();
      if (answer === 'closed') throw new Error('the pool was closed during a search');
      if (answer === 'tokenRefused') {
        this.#token.suspect(this.#batch, 'token');
        return 'suspect';
      }
      if (typeof answer === 'string') this.#answered(answer);
      else if (!(await this.#failed(answer))) return 'over';
    }
  }

  /** A failure is no answer. It is waited for as everywhere. @returns whether the search goes on */
  async #failed(failure: ShardFailure): Promise<boolean> {
    const { pool, asker, keys, purpose } = this.#batch;
    const { clock } = this.#upstream;
    // It has reached nobody.
    if (failure.class === 'unreachable') this.#budget.giveBack(asker);
    if (purpose === 'retest') {
      const nowMs = clock.monotonicMs();
      for (const key of keys) pool.feeds.invalid.postpone(key, nowMs);
      return false;
    }
    this.#failure = failure;
    await sleep(clock, redialAfterMs(failure.class, failure.end, this.#attempt++), this.#signal);
    return true;
  }

  /** Whether anybody still wants to know. */
  #isOpen(): boolean {
    const { pool, purpose } = this.#batch;
    const { suspects, untested } = this.#isolation;
    const isWanted = (key: ContractKey) =>
      purpose === 'retest' ? pool.feeds.get(key)?.wanted : pool.feeds.usable(key);
    return suspects.some(isWanted) || untested.some(isWanted);
  }

  /** The token may die in the middle: nobody is convicted by a refusal after its last proof. */
  get #isProven(): boolean {
    // What was refused before stays so for a while more.
    if (this.#batch.purpose === 'retest') return true;
    return this.#token.tokenProvenAtMs >= this.#lastRefusedAtMs;
  }

  #needsProof(isOver: boolean): boolean {
    if (this.#isProven) return false;
    const { feeds } = this.#batch.pool;
    const found = this.#isolation.refused.slice(this.#convicted);
    const unsure = found.filter((key) => feeds.usable(key)).length;
    return this.#isUnsure || unsure >= (isOver ? 1 : MOST_UNSURE);
  }

  /** @returns whether the token is good */
  async #prove(): Promise<boolean> {
    const { asker, purpose } = this.#batch;
    const canary = await this.#token.askCanaries(this.#batch, async () => {
      await this.#budget.turn(asker, purpose, () => true);
      this.#signal.throwIfAborted();
      return () => this.#budget.giveBack(asker);
    });
    this.#signal.throwIfAborted();
    if (typeof canary === 'string') {
      this.#token.suspect(this.#batch, canary === 'tokenRefused' ? 'token' : 'batch');
      return false;
    }
    this.#isUnsure = false;
    if (canary.pool === this.#batch.pool) {
      this.#isolation = withGood(this.#isolation, new Set([canary.key]));
    }
    return true;
  }

  #convict(): void {
    const { pool } = this.#batch;
    const convicted = this.#isolation.refused.slice(this.#convicted);
    this.#convicted = this.#isolation.refused.length;
    this.#isUnsure = false;
    if (convicted.length > 0) this.#token.doubt(pool, convicted);
    for (const key of convicted) pool.feeds.convict(key, this.#isolation.inferred.has(key));
  }

  #answered(answer: Exclude<Verdict, 'tokenRefused'>): void {
    const { pool, asker, keys } = this.#batch;
    const isAccepted = answer === 'accepted';
    if (!isAccepted) this.#lastRefusedAtMs = this.#upstream.clock.monotonicMs();
    if (this.#isFirst && isAccepted) this.#budget.giveBack(asker);
    if (this.#isFirst && !isAccepted) {
      const sinceMs = this.#lastRefusedAtMs - GOOD_ENOUGH_MS;
      this.#isUnsure = this.#token.tokenProvenAtMs < sinceMs;
      this.#token.doubt(pool, keys);
    }
    this.#isFirst = false;
    this.#attempt = 0;
    this.#failure = undefined;
    this.#isolation = afterProbe(this.#isolation, isAccepted);
  }
}
