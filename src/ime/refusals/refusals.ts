import type { StatusCause } from '../../contract/contract-status.ts';
import type { ContractKey } from '../../contract/key.ts';
import { sleep } from '../../lib/clock.ts';
import type { JudgedPool, RefusalJudge, RefusalKind, Verdict } from '../pool/refusal-judge.ts';
import type { AuthorizationForm } from '../protocol/endpoints.ts';
import { redialAfterMs } from '../sockets/failure.ts';
import type { ShardFailure } from '../sockets/shard.ts';
import type { Upstream } from '../sockets/upstream.ts';
import { chooseCanaries, type RefusedBatch, type Single, singles } from './canaries.ts';
import { afterProbe, type Isolation, isolate, nextProbe, withGood } from './isolation.ts';
import { IN_WORDS, type RefusalState, TOKEN_ENDED, TROUBLE } from './refusal-state.ts';

/** Dials of one search before it rests. */
const MOST_DIALS_IN_A_ROW = 64;
const SEARCH_REST_MS = 60_000;
const TOKEN_PROBE_FIRST_MS = 30_000;
const TOKEN_PROBE_CAP_MS = 5 * 60_000;
/** The least time between probes that new wishes cause while everything is refused. */
const ASKED_SPACING_MS = 2_000;

/**
 * Finds out what a refusal means, one batch after the other. IME answers a bad token and an unknown
 * contract alike, so first contracts that it accepted before are dialed alone (canaries). If they are
 * accepted, the batch is searched; if not, nothing is dialed but a probe now and then.
 */
export class Refusals implements RefusalJudge {
  readonly #upstream: Upstream;
  readonly #pools: () => readonly JudgedPool[];
  readonly #batches: RefusedBatch[] = [];
  readonly #abort = new AbortController();
  #state: RefusalState = 'clear';
  #running = false;
  #failure: ShardFailure | undefined;
  /** When the latest dial that IME accepted was started. */
  #tokenProvenAtMs = Number.NEGATIVE_INFINITY;
  #wake = new AbortController();
  #askedSince: Single[] = [];
  #lastProbeAtMs = Number.NEGATIVE_INFINITY;
  #probesTurn = 0;

  /** @param pools both pools: a contract of either can be the canary */
  constructor(upstream: Upstream, pools: () => readonly JudgedPool[]) {
    this.#upstream = upstream;
    this.#pools = pools;
  }

  get state(): RefusalState {
    return this.#state;
  }

  get trouble(): StatusCause | undefined {
    const { clock, credentials } = this.#upstream;
    const { current, isRequired, problem } = credentials;
    const known = TROUBLE[isRequired ? 'login' : 'token'][this.#state];
    if (problem !== undefined && (known !== undefined || (isRequired && current === undefined))) {
      return { code: 'TOKEN_REFUSED', reason: problem };
    }
    const hasEnded = (current?.expiresAtMs ?? Number.POSITIVE_INFINITY) <= clock.nowMs();
    return known !== undefined && hasEnded ? TOKEN_ENDED : known;
  }

  /** Why IME cannot be asked what a refusal means; `undefined` while it can, or nothing is asked. */
  get failure(): ShardFailure | undefined {
    return this.#failure;
  }

  refused(pool: JudgedPool, keys: readonly ContractKey[], kind: RefusalKind): void {
    const { clock, credentials } = this.#upstream;
    const { current: credential } = credentials;
    this.#batches.push({ pool, keys, kind, credential, refusedAtMs: clock.monotonicMs() });
    // Until it is known what is at fault, no other dial may run into the same wall.
    this.#upstream.gate.hold();
    if (!this.#running) void this.#run();
  }

  accepted(dialedAtMs: number, form: AuthorizationForm): void {
    this.#upstream.authorization.accepted(form);
    this.#tokenProvenAtMs = Math.max(this.#tokenProvenAtMs, dialedAtMs);
    this.#upstream.gate.setTrusting(true);
    if (this.#state === 'searching') this.#upstream.gate.resume();
  }

  asked(pool: JudgedPool, keys: readonly ContractKey[]): void {
    if (this.#state !== 'allRefused') return;
    this.#askedSince = keys.map((key) => ({ pool, key }));
    this.#wake.abort();
  }

  /** There is another token: it is tried at once. */
  tokenChanged(): void {
    if (this.trouble !== undefined) this.#wake.abort();
  }

  close(): void {
    this.#abort.abort();
  }

  #setState(state: RefusalState): void {
    if (state === this.#state) return;
    this.#state = state;
    const { trouble } = this;
    if (trouble === undefined) {
      this.#upstream.log.info({ state }, IN_WORDS[state]);
      return;
    }
    this.#upstream.gate.setTrusting(false);
    this.#upstream.log.error({ state }, trouble.reason);
    for (const pool of this.#pools()) pool.feeds.tellTrouble(trouble);
  }

  async #run(): Promise<void> {
    this.#running = true;
    try {
      for (let batch = this.#batches.shift(); batch !== undefined; batch = this.#batches.shift()) {
        await this.#judge(batch);
        // What was not convicted is dialed as usual.
        batch.pool.searched(batch.keys);
      }
      this.#setState('clear');
      this.#upstream.gate.resume();
    } catch (error) {
      if (!this.#abort.signal.aborted) {
        this.#upstream.log.error({ error }, 'the inquiry into a refusal failed');
      }
    } finally {
      this.#running = false;
    }
  }

  async #judge(batch: RefusedBatch): Promise<void> {
    let good: ReadonlySet<ContractKey> = new Set();
    // What another token was refused with says nothing: it is dialed once more, as a whole.
    if (this.#upstream.isOutdated(batch.credential)) return;
    if (batch.kind === 'token' || this.#tokenProvenAtMs < batch.refusedAtMs) {
      this.#setState('asking');
      const answer = await this.#whoIsAtFault(batch);
      // The batch was never at fault: it is dialed once more, as a whole.
      if (answer === 'otherForm') return;
      if (typeof answer === 'string') this.#upstream.credentials.refused(batch.credential);
      if (this.#upstream.isOutdated(batch.credential)) return;
      // With the token good again, too, the batch is dialed as a whole.
      if (typeof answer === 'string') return this.#waitForToken(batch, answer);
      if (answer.pool === batch.pool) good = new Set([answer.key]);
    }
    // IME accepted them all before: a search would find a culprit whether or not there is one.
    if (batch.kind === 'carried') return;
    this.#setState('searching');
    this.#upstream.gate.resume();
    await this.#search(batch, good);
  }

  /** What the refusal of a batch means, the form of the token's header among it. */
  async #whoIsAtFault(
    batch: RefusedBatch,
  ): Promise<Single | 'tokenRefused' | 'allRefused' | 'otherForm'> {
    const { authorization, credentials } = this.#upstream;
    // Nothing was ever accepted: before many contracts are asked one by one, one is asked in the other form.
    const isOpen = authorization.isOpen && credentials.current !== undefined;
    if (isOpen) {
      const [key] = batch.keys;
      authorization.flip();
      if (key !== undefined) {
        const answer = await this.#answered(batch.pool, [key]);
        if (answer === 'accepted') return 'otherForm';
      }
      authorization.flip();
    }
    // A bad token costs four dials in all.
    return batch.kind === 'token' ? 'tokenRefused' : this.#askCanaries(batch, isOpen ? 2 : 3);
  }

  /** @returns the canary that was accepted, or what the refusal of all of them means */
  async #askCanaries(
    batch: RefusedBatch,
    most: number,
  ): Promise<Single | 'tokenRefused' | 'allRefused'> {
    const { canaries, sure } = chooseCanaries(batch, this.#pools(), most);
    for (const canary of canaries) {
      const answer = await this.#answered(canary.pool, [canary.key]);
      if (answer === 'accepted') return canary;
      if (answer === 'tokenRefused') return 'tokenRefused';
    }
    return sure ? 'tokenRefused' : 'allRefused';
  }

  /** Probes now and then until one is accepted, or nothing is wanted any more. */
  async #waitForToken(batch: RefusedBatch, state: 'tokenRefused' | 'allRefused'): Promise<void> {
    this.#setState(state);
    this.#upstream.gate.hold();
    for (let turn = 0; ; turn++) {
      const cap = Math.min(TOKEN_PROBE_CAP_MS, TOKEN_PROBE_FIRST_MS * 2 ** turn);
      const asked = await this.#sleepUnlessWoken(cap * (0.8 + 0.4 * Math.random()));
      this.#upstream.credentials.reread();
      const candidate = asked ?? this.#tokenProbe(batch);
      if (candidate === undefined) return;
      this.#lastProbeAtMs = this.#upstream.clock.monotonicMs();
      // The contract that was asked for in the other form may have been unknown: the forms take turns.
      this.#upstream.authorization.flip();
      const { current } = this.#upstream.credentials;
      const answer = await this.#answered(candidate.pool, [candidate.key]);
      if (answer === 'accepted') return;
      this.#upstream.credentials.refused(current);
      if (answer === 'tokenRefused') this.#setState('tokenRefused');
    }
  }

  /** The contracts that tell most about the token take turns: any one of them may be delisted. */
  #tokenProbe(batch: RefusedBatch): Single | undefined {
    const pools = this.#pools();
    const proven = pools.flatMap((pool) => singles(pool, pool.feeds.provenKeys()));
    const unproven = pools.flatMap((pool) => singles(pool, pool.feeds.unprovenKeys()));
    const wanted = singles(
      batch.pool,
      batch.keys.filter((key) => batch.pool.feeds.usable(key)),
    );
    const candidates = [proven, unproven, wanted].find((list) => list.length > 0);
    return candidates?.[this.#probesTurn++ % candidates.length];
  }

  /** @returns a contract that was asked for meanwhile, where that is what ended the sleep */
  async #sleepUnlessWoken(ms: number): Promise<Single | undefined> {
    const signal = AbortSignal.any([this.#abort.signal, this.#wake.signal]);
    await sleep(this.#upstream.clock, ms, signal).catch(() => {});
    this.#abort.signal.throwIfAborted();
    // What wakes during the probe that follows is not lost: the next sleep ends at once.
    this.#wake = new AbortController();
    const asked = this.#askedSince.at(-1);
    this.#askedSince = [];
    if (asked !== undefined) {
      await this.#sleep(
        this.#lastProbeAtMs + ASKED_SPACING_MS - this.#upstream.clock.monotonicMs(),
      );
    }
    return asked;
  }

  async #search(batch: RefusedBatch, good: ReadonlySet<ContractKey>): Promise<void> {
    let isolation: Isolation = withGood(isolate(batch.keys), good);
    let convicted = 0;
    let lastRefusedAtMs = batch.refusedAtMs;
    for (let dials = 1; ; dials++) {
      const probe = nextProbe(isolation);
      const open = [...isolation.suspects, ...isolation.untested];
      const over = probe === undefined || !open.some((key) => batch.pool.feeds.usable(key));
      // The token may have died in the middle: nobody is convicted by a refusal after its last proof.
      if (over && convicted < isolation.refused.length && this.#tokenProvenAtMs < lastRefusedAtMs) {
        if (typeof (await this.#askCanaries(batch, 3)) === 'string') {
          this.refused(batch.pool, batch.keys, 'batch');
          return;
        }
      }
      // What was refused with another token says nothing of these contracts.
      if (this.#upstream.isOutdated(batch.credential)) return;
      if (this.#tokenProvenAtMs >= lastRefusedAtMs) {
        for (const key of isolation.refused.slice(convicted)) {
          batch.pool.feeds.convict(key, isolation.inferred.has(key));
        }
        convicted = isolation.refused.length;
      }
      if (over) return;
      if (dials % MOST_DIALS_IN_A_ROW === 0) await this.#sleep(SEARCH_REST_MS);
      const answer = await this.#answered(batch.pool, probe);
      if (answer === 'tokenRefused') {
        this.refused(batch.pool, batch.keys, 'token');
        return;
      }
      if (answer === 'refused') lastRefusedAtMs = this.#upstream.clock.monotonicMs();
      isolation = afterProbe(isolation, answer === 'accepted');
    }
  }

  /** Probes until IME answers: a failure is no answer. It is waited for as everywhere. */
  async #answered(pool: JudgedPool, keys: readonly ContractKey[]): Promise<Verdict> {
    for (let attempt = 0; ; attempt++) {
      const answer = await pool.probe(keys);
      this.#abort.signal.throwIfAborted();
      if (answer === 'closed') throw new Error('the pool was closed during an inquiry');
      this.#failure = typeof answer === 'string' ? undefined : answer;
      if (typeof answer === 'string') return answer;
      await this.#sleep(redialAfterMs(answer.class, answer.end, attempt));
    }
  }

  async #sleep(ms: number): Promise<void> {
    if (ms > 0) await sleep(this.#upstream.clock, ms, this.#abort.signal);
  }
}
