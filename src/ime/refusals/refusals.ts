import type { StatusCause } from '../../contract/contract-status.ts';
import type { ContractKey } from '../../contract/key.ts';
import { sleep } from '../../lib/clock.ts';
import { type AskedContracts, apartOrTogether, byAsker, OWN } from '../pool/askers.ts';
import type { JudgedPool, RefusalJudge, RefusalKind, Verdict } from '../pool/refusal-judge.ts';
import type { AuthorizationForm } from '../protocol/endpoints.ts';
import { redialAfterMs } from '../sockets/failure.ts';
import type { ShardFailure } from '../sockets/shard.ts';
import type { Upstream } from '../sockets/upstream.ts';
import { chooseCanaries, type RefusedBatch, type Single } from './canaries.ts';
import { DialBudget, type TakeTurn } from './dial-budget.ts';
import { Doubts } from './doubts.ts';
import { IN_WORDS, type RefusalState, TOKEN_ENDED, TROUBLE } from './refusal-state.ts';
import type { TokenWitness } from './search.ts';
import { Searches } from './searches.ts';
import { TokenWait } from './token-wait.ts';

/** A token that was good so short a time ago is good as likely as not, in milliseconds. */
const LIKELY_GOOD_MS = 60_000;

/** A batch that was refused, before it is known what that means. */
interface Inquiry extends RefusedBatch {
  readonly kind: RefusalKind;
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
  readonly #doubts: Doubts;
  readonly #inquiries: Inquiry[] = [];
  readonly #abort = new AbortController();
  #state: RefusalState = 'clear';
  #running = false;
  #failure: ShardFailure | undefined;
  /** When the first of the batches that are inquired into now was refused, by the monotonic clock. */
  #runningSinceMs = 0;
  #tokenProvenAtMs = Number.NEGATIVE_INFINITY;

  /** @param pools both pools: a contract of either can be the canary */
  constructor(upstream: Upstream, pools: () => readonly JudgedPool[]) {
    this.#upstream = upstream;
    this.#pools = pools;
    this.#budget = new DialBudget(upstream.clock);
    this.#doubts = new Doubts(upstream.clock);
    this.#searches = new Searches(upstream, this.#budget, this, () => {
      if (this.#state === 'searching') this.#setState('clear');
    });
    this.#wait = new TokenWait(upstream, pools, this, this.#abort.signal);
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
    return this.#failure ?? this.#searches.failure;
  }

  get tokenProvenAtMs(): number {
    return this.#tokenProvenAtMs;
  }

  inDoubt(asker: string): boolean {
    return this.#doubts.has(asker);
  }

  dialsFor(asker: string): number {
    return this.#budget.dialsFor(asker);
  }

  dialedInVain(askers: readonly AskedContracts[]): void {
    const most = askers.at(-1);
    if (most === undefined) return;
    this.#budget.count(most.asker);
    if (askers.length === 1) this.#doubts.add(most.asker);
  }

  doubt(pool: JudgedPool, keys: readonly ContractKey[]): void {
    for (const { asker } of byAsker(keys, pool.feeds, this)) this.#doubts.add(asker);
  }

  refused(pool: JudgedPool, keys: readonly ContractKey[], kind: RefusalKind): void {
    this.suspect({ pool, keys, credential: this.#upstream.credentials.current }, kind);
  }

  suspect({ pool, keys, credential }: RefusedBatch, kind: RefusalKind): void {
    const refusedAtMs = this.#upstream.clock.monotonicMs();
    this.#inquiries.push({ pool, keys, credential, kind, refusedAtMs });
    // Until it is known what is at fault, no other dial may run into the same wall; but where the token was
    // good a moment ago and only newcomers are refused, nobody else is kept waiting.
    const isNewcomer = keys.every((key) => pool.feeds.get(key)?.proven !== true);
    const isLikelyGood = refusedAtMs - this.#tokenProvenAtMs < LIKELY_GOOD_MS;
    if (kind === 'token' || !isNewcomer || !isLikelyGood) this.#hold();
    if (this.#running) return;
    this.#runningSinceMs = refusedAtMs;
    void this.#run();
  }

  tryOut(pool: JudgedPool, { asker, keys }: AskedContracts): void {
    this.#searches.start({ pool, asker, keys, purpose: 'search', ...this.#nothingKnown() });
  }

  retest(pool: JudgedPool, key: ContractKey): void {
    const asker = byAsker([key], pool.feeds, this)[0]?.asker ?? OWN;
    this.#searches.start({ pool, asker, keys: [key], purpose: 'retest', ...this.#nothingKnown() });
  }

  accepted(dialedAtMs: number, form: AuthorizationForm): void {
    this.#upstream.authorization.accepted(form);
    this.#tokenProvenAtMs = Math.max(this.#tokenProvenAtMs, dialedAtMs);
    this.#upstream.gate.setTrusting(true);
  }

  asked(pool: JudgedPool, keys: readonly ContractKey[]): void {
    if (this.#state === 'allRefused') this.#wait.asked(pool, byAsker(keys, pool.feeds, this));
  }

  /** There is another token: it is tried at once, and what the last one was answered counts no more. */
  tokenChanged(): void {
    this.#tokenProvenAtMs = Number.NEGATIVE_INFINITY;
    this.#searches.abort();
    if (this.trouble !== undefined) this.#wait.wake();
  }

  /** @returns the canary that was accepted, or what the refusal of all of them means */
  async askCanaries(
    batch: RefusedBatch,
    takeTurn: TakeTurn,
    most = 3,
  ): Promise<Single | 'tokenRefused' | 'allRefused'> {
    const { canaries, sure } = chooseCanaries(batch, this.#pools(), this, most);
    for (const canary of canaries) {
      const answer = await this.answered(canary, takeTurn);
      if (answer === 'accepted') return canary;
      if (answer === 'tokenRefused') return 'tokenRefused';
    }
    return sure ? 'tokenRefused' : 'allRefused';
  }

  /** Dials one contract, past everything that waits, until IME answers; a failure is waited for as everywhere. */
  async answered({ pool, key }: Single, takeTurn: TakeTurn): Promise<Verdict> {
    try {
      for (let attempt = 0; ; attempt++) {
        const giveBack = await takeTurn();
        const answer = await pool.probe([key], 'probe');
        this.#abort.signal.throwIfAborted();
        if (answer === 'closed') throw new Error('the pool was closed during an inquiry');
        if (typeof answer === 'string') return answer;
        this.#failure = answer;
        if (answer.class === 'unreachable') giveBack();
        const waitMs = redialAfterMs(answer.class, answer.end, attempt);
        await sleep(this.#upstream.clock, waitMs, this.#abort.signal);
      }
    } finally {
      this.#failure = undefined;
    }
  }

  close(): void {
    this.#abort.abort();
    this.#searches.close();
    this.#budget.close();
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
    const { credential, kind } = batch;
    let canary: Single | undefined;
    const isOutdated = () => this.#upstream.isOutdated(credential);
    // Several are refused at once: what was accepted since the first of them is worth a search of all.
    const isProven = kind !== 'token' && this.#tokenProvenAtMs >= this.#runningSinceMs;
    if (!isProven && !isOutdated()) {
      this.#setState('asking');
      const answer = await this.#whoIsAtFault(batch);
      if (answer === 'otherForm') return this.#dialAnew(batch);
      if (typeof answer !== 'string') canary = answer;
      else {
        this.#upstream.credentials.refused(credential);
        if (!isOutdated()) return this.#waitForToken(batch, answer);
      }
    }
    // What another token was refused with says nothing. And what IME accepted before it refused it is not
    // searched: a culprit would be found whether or not there is one. Both are dialed once more, as a whole.
    if (isOutdated() || kind === 'carried') batch.pool.searched(batch.keys);
    else this.#search(batch, canary);
  }

  async #waitForToken(batch: Inquiry, state: 'tokenRefused' | 'allRefused'): Promise<void> {
    this.#searches.abort();
    this.#doubts.clear();
    this.#setState(state);
    this.#hold();
    await this.#wait.forToken(batch, () => this.#setState('tokenRefused'));
    this.#dialAnew(batch);
  }

  /** What was refused meanwhile may never have been at fault: it is dialed once more, as a whole. */
  #dialAnew(batch: Inquiry): void {
    for (const one of [batch, ...this.#inquiries.splice(0)]) one.pool.searched(one.keys);
  }

  /** What the refusal of a batch means, the form of the token's header among it. */
  async #whoIsAtFault(
    batch: Inquiry,
  ): Promise<Single | 'tokenRefused' | 'allRefused' | 'otherForm'> {
    const { pool, keys, kind } = batch;
    // Nobody's dials wait longer for this than they must: it is counted, but does not wait itself.
    const asker = byAsker(keys, pool.feeds, this).at(-1)?.asker ?? OWN;
    const takeTurn = async () => this.#budget.count(asker);
    const { authorization, credentials } = this.#upstream;
    // Nothing was ever accepted: before many contracts are asked one by one, one is asked in the other form.
    const isOpen = authorization.isOpen && credentials.current !== undefined;
    if (isOpen) {
      const [key] = keys;
      authorization.flip();
      if (key !== undefined && (await this.answered({ pool, key }, takeTurn)) === 'accepted') {
        return 'otherForm';
      }
      authorization.flip();
    }
    // A bad token costs four dials in all.
    return kind === 'token' ? 'tokenRefused' : this.askCanaries(batch, takeTurn, isOpen ? 2 : 3);
  }

  /** What a search begins with whose contracts have not been dialed yet. */
  #nothingKnown() {
    const { current: credential } = this.#upstream.credentials;
    return { credential, refusedAtMs: undefined, good: new Set<ContractKey>() };
  }

  /** Searches a batch, for each who asked for some of it apart, where they are few. */
  #search({ pool, keys, credential, refusedAtMs }: Inquiry, canary: Single | undefined): void {
    const good = new Set(canary?.pool === pool ? [canary.key] : []);
    const isOwn = keys.some((key) => pool.feeds.get(key)?.proven && !good.has(key));
    const purpose = isOwn ? 'own' : 'search';
    const groups = isOwn
      ? [{ asker: OWN, keys }]
      : apartOrTogether(byAsker(keys, pool.feeds, this));
    // Of several it is not known which of them holds a refused contract.
    const known = { refusedAtMs: groups.length === 1 ? refusedAtMs : undefined, good };
    for (const group of groups) {
      this.#searches.start({ pool, ...group, credential, purpose, ...known });
    }
  }
}
