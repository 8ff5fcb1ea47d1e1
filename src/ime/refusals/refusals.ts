import type { StatusCause } from '../../contract/contract-status.ts';
import type { ContractKey } from '../../contract/key.ts';
import { backoffMs } from '../../lib/backoff.ts';
import { sleep } from '../../lib/clock.ts';
import { RecentMap } from '../../lib/recent-map.ts';
import { type AskedContracts, apartOrTogether, byAsker, OWN } from '../pool/askers.ts';
import type { JudgedPool, ProbeAnswer, RefusalJudge } from '../pool/refusal-judge.ts';
import type { AuthorizationForm } from '../protocol/endpoints.ts';
import type { Upstream } from '../sockets/upstream.ts';
import { chooseCanaries, type RefusedBatch, type Single } from './canaries.ts';
import { DialBudget } from './dial-budget.ts';
import { type RefusalState, TROUBLE } from './refusal-state.ts';
import type { TokenWitness } from './search.ts';
import { Searches } from './searches.ts';
import { TokenWait } from './token-wait.ts';

/** For how long it counts that IME has refused somebody's contracts, in milliseconds. */
const DOUBT_MS = 10 * 60_000;
/** Who was refused no more often than this is not in doubt: anybody may misspell a name. */
const MOST_MISTAKES = 3;
/** A token that was good so short a time ago is good as likely as not, in milliseconds. */
const LIKELY_GOOD_MS = 60_000;
/** How many of them are remembered: who was refused longest ago is forgotten first. */
const MOST_DOUBTED = 10_000;

/** A batch that was refused, before it is known what that means. */
interface Inquiry extends RefusedBatch {
  readonly tokenOnly: boolean;
  /** By the monotonic clock. */
  readonly refusedAtMs: number;
}

/**
 * Finds out what a refusal means. IME answers a bad token and an unknown contract alike, so first contracts
 * that it accepted before are dialed alone (canaries). If they are accepted, the batch is searched while
 * everything else is dialed as usual; if not, nothing is dialed but a probe now and then.
 */
export class Refusals implements RefusalJudge, TokenWitness {
  readonly #upstream: Upstream;
  readonly #pools: () => readonly JudgedPool[];
  readonly #budget: DialBudget;
  readonly #searches: Searches;
  readonly #wait: TokenWait;
  readonly #inquiries: Inquiry[] = [];
  /** How often IME has refused contracts of somebody lately, and when last, by the monotonic clock. */
  readonly #doubted = new RecentMap<string, { times: number; lastAtMs: number }>(MOST_DOUBTED);
  readonly #abort = new AbortController();
  #state: RefusalState = 'clear';
  #running = false;
  /** When the first of the batches that are inquired into now was refused, by the monotonic clock. */
  #runningSinceMs = 0;
  #tokenProvenAtMs = Number.NEGATIVE_INFINITY;

  /** @param pools both pools: a contract of either can be the canary */
  constructor(upstream: Upstream, pools: () => readonly JudgedPool[]) {
    this.#upstream = upstream;
    this.#pools = pools;
    this.#budget = new DialBudget(upstream.clock);
    this.#searches = new Searches(upstream, this.#budget, this, () => {
      if (this.#state === 'searching') this.#setState('clear');
    });
    this.#wait = new TokenWait(upstream, pools, this, this.#abort.signal);
  }

  get trouble(): StatusCause | undefined {
    const { current, isRequired, problem } = this.#upstream.credentials;
    const known = TROUBLE[this.#state];
    if (problem !== undefined && (known !== undefined || (isRequired && current === undefined))) {
      return { code: 'TOKEN_REFUSED', reason: problem };
    }
    return known;
  }

  get tokenProvenAtMs(): number {
    return this.#tokenProvenAtMs;
  }

  inDoubt(asker: string): boolean {
    return this.#refusalsOf(asker) > MOST_MISTAKES;
  }

  dialsFor(asker: string): number {
    return this.#budget.dialsFor(asker);
  }

  dialedInVain(askers: readonly AskedContracts[]): void {
    const most = askers.at(-1);
    if (most === undefined) return;
    this.#budget.count(most.asker);
    if (askers.length === 1) this.#doubt(most.asker);
  }

  doubt(pool: JudgedPool, keys: readonly ContractKey[]): void {
    for (const { asker } of byAsker(keys, pool.feeds, this)) this.#doubt(asker);
  }

  refused(pool: JudgedPool, keys: readonly ContractKey[], tokenOnly: boolean): void {
    this.suspect({ pool, keys }, tokenOnly);
  }

  suspect({ pool, keys }: RefusedBatch, tokenOnly: boolean): void {
    const refusedAtMs = this.#upstream.clock.monotonicMs();
    this.#inquiries.push({ pool, keys, tokenOnly, refusedAtMs });
    // Until it is known what is at fault, no other dial may run into the same wall; but where the token was
    // good a moment ago and only newcomers are refused, nobody else is kept waiting.
    const isNewcomer = keys.every((key) => pool.feeds.get(key)?.proven !== true);
    const isLikelyGood = refusedAtMs - this.#tokenProvenAtMs < LIKELY_GOOD_MS;
    if (tokenOnly || !isNewcomer || !isLikelyGood) this.#hold();
    if (this.#running) return;
    this.#runningSinceMs = refusedAtMs;
    void this.#run();
  }

  tryOut(pool: JudgedPool, { asker, keys }: AskedContracts): void {
    const nothing = { refusedAtMs: undefined, good: new Set<ContractKey>() };
    this.#searches.start({ pool, asker, keys, purpose: 'search', ...nothing });
  }

  retest(pool: JudgedPool, key: ContractKey): void {
    const nothing = { refusedAtMs: undefined, good: new Set<ContractKey>() };
    const asker = byAsker([key], pool.feeds, this)[0]?.asker ?? OWN;
    this.#searches.start({ pool, asker, keys: [key], purpose: 'retest', ...nothing });
  }

  accepted(dialedAtMs: number, form: AuthorizationForm): void {
    this.#upstream.authorization.accepted(form);
    this.#tokenProvenAtMs = Math.max(this.#tokenProvenAtMs, dialedAtMs);
    this.#upstream.gate.setTrusting(true);
  }

  asked(pool: JudgedPool, keys: readonly ContractKey[]): void {
    if (this.#state === 'allRefused') this.#wait.asked(pool, byAsker(keys, pool.feeds, this));
  }

  /** There is another token: it is tried at once, and what was refused with the last one counts no more. */
  tokenChanged(): void {
    this.#searches.abort();
    if (this.trouble !== undefined) this.#wait.wake();
  }

  /** @returns the canary that was accepted, or what the refusal of all of them means */
  async askCanaries(
    batch: RefusedBatch,
    turn: () => Promise<unknown>,
    most = 3,
  ): Promise<Single | 'tokenRefused' | 'allRefused'> {
    const { canaries, sure } = chooseCanaries(batch, this.#pools(), this, most);
    for (const canary of canaries) {
      const answer = await this.answered(canary, turn);
      if (answer === 'accepted') return canary;
      if (answer === 'tokenRefused') return 'tokenRefused';
    }
    return sure ? 'tokenRefused' : 'allRefused';
  }

  /** Dials one contract, past everything that waits, until IME answers: a transient failure is no answer. */
  async answered(
    { pool, key }: Single,
    turn: () => Promise<unknown>,
  ): Promise<Exclude<ProbeAnswer, 'unanswered' | 'unreachable'>> {
    for (let attempt = 0; ; attempt++) {
      await turn();
      const answer = await pool.probe([key], 'probe');
      this.#abort.signal.throwIfAborted();
      if (answer !== 'unanswered' && answer !== 'unreachable') return answer;
      const waitMs = backoffMs(attempt, answer === 'unreachable');
      await sleep(this.#upstream.clock, waitMs, this.#abort.signal);
    }
  }

  close(): void {
    this.#abort.abort();
    this.#searches.close();
    this.#budget.close();
  }

  #doubt(asker: string): void {
    if (asker === OWN) return;
    const times = this.#refusalsOf(asker) + 1;
    this.#doubted.set(asker, { times, lastAtMs: this.#upstream.clock.monotonicMs() });
  }

  #refusalsOf(asker: string): number {
    const record = this.#doubted.get(asker);
    if (record === undefined) return 0;
    return record.lastAtMs > this.#upstream.clock.monotonicMs() - DOUBT_MS ? record.times : 0;
  }

  #hold(): void {
    this.#upstream.gate.hold();
    this.#budget.pause();
  }

  #setState(state: RefusalState): void {
    if (state === this.#state) return;
    this.#state = state;
    const { trouble } = this;
    if (trouble === undefined) {
      this.#upstream.log.info({ state }, `refusals of IME: ${state}`);
      return;
    }
    this.#upstream.gate.setTrusting(false);
    this.#upstream.log.error({ state }, trouble.reason);
    for (const pool of this.#pools()) pool.feeds.tellTrouble(trouble);
  }

  async #run(): Promise<void> {
    this.#running = true;
    try {
      for (let batch = this.#inquiries.shift(); batch; batch = this.#inquiries.shift()) {
        await this.#judge(batch);
      }
    } catch (error) {
      if (!this.#abort.signal.aborted) {
        this.#upstream.log.error({ error }, 'the inquiry into a refusal failed');
      }
    }
    this.#running = false;
    if (this.#abort.signal.aborted) return;
    this.#setState(this.#searches.size > 0 ? 'searching' : 'clear');
    this.#upstream.gate.resume();
    this.#budget.resume();
  }

  async #judge(batch: Inquiry): Promise<void> {
    // Several are refused at once: what was accepted since the first of them is worth a search of all.
    if (!batch.tokenOnly && this.#tokenProvenAtMs >= this.#runningSinceMs) {
      this.#search(batch, undefined);
      return;
    }
    this.#setState('asking');
    const answer = await this.#whoIsAtFault(batch);
    if (typeof answer !== 'string') {
      this.#search(batch, answer);
      return;
    }
    if (answer !== 'otherForm') {
      this.#upstream.credentials.refused(this.#upstream.credentials.current);
      this.#searches.abort();
      this.#doubted.clear();
      this.#setState(answer);
      this.#hold();
      await this.#wait.forToken(batch, () => this.#setState('tokenRefused'));
    }
    // Their contracts may never have been at fault: they are dialed once more, as a whole.
    for (const one of [batch, ...this.#inquiries.splice(0)]) one.pool.searched(one.keys);
  }

  /** What the refusal of a batch means, the form of the token's header among it. */
  async #whoIsAtFault(
    batch: Inquiry,
  ): Promise<Single | 'tokenRefused' | 'allRefused' | 'otherForm'> {
    const { pool, keys, tokenOnly } = batch;
    // Nobody's dials wait longer for this than they must: it is counted, but does not wait itself.
    const asker = byAsker(keys, pool.feeds, this).at(-1)?.asker ?? OWN;
    const turn = async () => this.#budget.count(asker);
    const { authorization, credentials } = this.#upstream;
    // Nothing was ever accepted: before many contracts are asked one by one, one is asked in the other form.
    const isOpen = authorization.isOpen && credentials.current !== undefined;
    if (isOpen) {
      const [key] = keys;
      authorization.flip();
      if (key !== undefined && (await this.answered({ pool, key }, turn)) === 'accepted') {
        return 'otherForm';
      }
      authorization.flip();
    }
    // A bad token costs four dials in all.
    return tokenOnly ? 'tokenRefused' : this.askCanaries(batch, turn, isOpen ? 2 : 3);
  }

  /** Searches a batch, for each who asked for some of it apart, where they are few. */
  #search({ pool, keys, refusedAtMs }: Inquiry, canary: Single | undefined): void {
    const good = new Set(canary?.pool === pool ? [canary.key] : []);
    if (keys.some((key) => pool.feeds.get(key)?.proven && !good.has(key))) {
      this.#searches.start({ pool, asker: OWN, keys, purpose: 'own', refusedAtMs, good });
      return;
    }
    const groups = apartOrTogether(byAsker(keys, pool.feeds, this));
    const isKnownBad = groups.length === 1;
    for (const group of groups) {
      const known = isKnownBad ? { refusedAtMs, good } : { refusedAtMs: undefined, good };
      this.#searches.start({ pool, ...group, purpose: 'search', ...known });
    }
  }
}
