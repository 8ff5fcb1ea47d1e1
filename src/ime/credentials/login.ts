import type { CredentialsSummary } from '../../hub/source.ts';
import { backoffMs } from '../../lib/backoff.ts';
import type { Clock } from '../../lib/clock.ts';
import { retryAfterMs, throttledForMs } from '../../lib/retry-after.ts';
import type { Logger } from '../../observability/log.ts';
import { type Credential, type Credentials, type LoginOutcome, noLogins } from './credentials.ts';
import type { FurtherHeaders } from './further-headers.ts';
import { expiryOf } from './header-text.ts';
import { type LoginAnswer, logIn, type UnreachableLogin } from './login-request.ts';
import type { Password } from './password.ts';

/** A new token is fetched when so much of the last one's life is over. */
const RENEWED_AT = 0.8;
/** A refused token is not replaced sooner: whoever refuses a new one refuses the next one too. */
const LEAST_AGE_MS = 60_000;
/**
 * Clocks that differ by less are the same. Measured: uvicorn 0.17 gives all answers of a connection the date of
 * its first one.
 */
const LEAST_SKEW_MS = 60_000;
/** A login that answers with an error is asked about 15 times a minute, and its return is seen within so much. */
const FAILING_CAP_MS = 5_000;
/** After a wrong name or password, in milliseconds: accounts get locked. */
const REFUSED_FIRST_MS = 60_000;
const REFUSED_CAP_MS = 15 * 60_000;

/**
 * A token may be bound to what logged in: login and handshakes say the same of themselves, unless
 * IME_HEADERS_FILE has something else.
 */
const USER_AGENT = { 'user-agent': 'ime-gateway' };

/** Who logs in, and where. */
export interface LoginSettings {
  readonly url: URL;
  readonly username: string;
  readonly password: Password;
  /** What the cookies of the login are for: the service's base, with `https` for `wss`. */
  readonly service: URL;
}

/** Whether a login is under way, there is a token, or why there is none. */
export type LoginState = 'asking' | 'valid' | 'refused' | 'unreachable' | 'ended';

/** Logs in by user name and password, and renews the token before it ends. */
export class Login implements Credentials {
  readonly isRequired = true;
  readonly #settings: LoginSettings;
  readonly #headers: FurtherHeaders;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #abort = new AbortController();
  readonly #logins = noLogins();
  #state: LoginState = 'asking';
  #current: Credential | undefined;
  #problem: string | undefined = 'The gateway is logging in to IME.';
  #fields = 0;
  #failures = 0;
  #asking = false;
  #obtainedAtMs: number | undefined;
  #obtainedMs = 0;
  /** When the next login is due, by the monotonic clock. */
  #nextMs = Number.POSITIVE_INFINITY;
  #cancelNext: () => void = () => {};
  #cancelEnd: () => void = () => {};
  #changed: () => void = () => {};

  constructor(settings: LoginSettings, headers: FurtherHeaders, clock: Clock, log: Logger) {
    this.#settings = settings;
    this.#headers = headers;
    this.#clock = clock;
    this.#log = log;
    settings.password.watch(() => this.#ask());
    headers.watch(() => this.#ask());
    this.#ask();
  }

  get current(): Credential | undefined {
    return this.#current;
  }

  get problem(): string | undefined {
    return this.#problem;
  }

  watch(changed: () => void): void {
    this.#changed = changed;
  }

  refused(credential: Credential | undefined): void {
    if (credential === undefined || credential !== this.#current) return;
    const leftMs = LEAST_AGE_MS - (this.#clock.monotonicMs() - this.#obtainedMs);
    if (leftMs <= 0) this.#ask();
    // What is due sooner, a renewal or another try, stays.
    else if (this.#clock.monotonicMs() + leftMs < this.#nextMs) this.#askIn(leftMs);
  }

  reread(): boolean {
    this.#headers.reread();
    this.#settings.password.reread();
    return false;
  }

  retry(): void {
    this.reread();
    if (this.#state !== 'valid') this.#ask();
  }

  report(): CredentialsSummary {
    return {
      mode: 'LOGIN',
      expiresAtMs: this.#current?.expiresAtMs ?? null,
      renewedAtMs: this.#obtainedAtMs ?? null,
      problem: this.#problem ?? null,
      logins: { ...this.#logins },
    };
  }

  close(): void {
    this.#abort.abort();
    this.#cancelNext();
    this.#cancelEnd();
    this.#settings.password.close();
    this.#headers.close();
  }

  #askIn(ms: number): void {
    this.#cancelNext();
    this.#nextMs = this.#clock.monotonicMs() + ms;
    this.#cancelNext = this.#clock.setTimeout(() => this.#ask(), ms);
  }

  /** Logs in, unless that is under way. */
  #ask(): void {
    if (this.#asking || this.#abort.signal.aborted) return;
    this.#cancelNext();
    this.#nextMs = Number.POSITIVE_INFINITY;
    this.#asking = true;
    const { url, username, password } = this.#settings;
    const headers = { ...USER_AGENT, ...lowerCased(this.#headers.headers) };
    const form = { url, username, password: password.text, headers, fields: this.#fields };
    void logIn(form, this.#abort.signal).then(async (answer) => {
      const cookie =
        answer.outcome === 'accepted'
          ? await answer.cookies.getCookieString(this.#settings.service.href)
          : '';
      this.#asking = false;
      if (this.#abort.signal.aborted) return;
      this.#logins[answer.outcome]++;
      // The password has been changed while it was being refused.
      const isOutdated = form.password !== password.text && answer.outcome !== 'accepted';
      if (isOutdated) this.#ask();
      else this.#answered(answer, cookie);
    });
  }

  #answered(answer: LoginAnswer, cookie: string): void {
    if (answer.outcome !== 'unreachable') this.#fields = answer.fields;
    if (answer.outcome === 'accepted') {
      this.#take(answer.token, cookie, answer.serviceTimeMs);
      return;
    }
    const { outcome, detail } = answer;
    const failures = this.#failures++;
    if (outcome === 'unreachable') {
      this.#askIn(this.#againInMs(answer, failures));
    } else {
      this.#askIn(Math.min(REFUSED_CAP_MS, REFUSED_FIRST_MS * 2 ** Math.min(failures, 20)));
    }
    this.#setState(
      outcome === 'unreachable' ? 'unreachable' : 'refused',
      wordsFor(outcome, detail),
    );
  }

  #againInMs({ why, retryAfter }: UnreachableLogin, failures: number): number {
    if (why === 'throttled') return throttledForMs(retryAfterMs(retryAfter, this.#clock.nowMs()));
    if (why === 'down') return backoffMs(failures, true);
    return Math.min(FAILING_CAP_MS, backoffMs(failures, false, 0.5 + Math.random() / 2));
  }

  #take(token: string, cookie: string, serviceTimeMs: number | undefined): void {
    const nowMs = this.#clock.nowMs();
    const expiresAtMs = this.#endOf(token, nowMs, serviceTimeMs ?? nowMs);
    const further = lowerCased(this.#headers.headers);
    const cookies = [further['cookie'] ?? '', cookie].filter((text) => text !== '').join('; ');
    const headers = { ...USER_AGENT, ...further, ...(cookies === '' ? {} : { cookie: cookies }) };
    this.#current = { token, expiresAtMs, headers };
    this.#obtainedAtMs = nowMs;
    this.#obtainedMs = this.#clock.monotonicMs();
    this.#failures = 0;
    this.#cancelEnd();
    if (expiresAtMs !== undefined) {
      const lifeMs = expiresAtMs - nowMs;
      this.#askIn(Math.max(1_000, lifeMs * RENEWED_AT));
      this.#cancelEnd = this.#clock.setTimeout(() => this.#end(), lifeMs);
    }
    this.#setState('valid', undefined);
    const seconds =
      expiresAtMs === undefined ? undefined : Math.round((expiresAtMs - nowMs) / 1_000);
    this.#log.info({ tokenLifeSeconds: seconds }, 'logged in to IME');
  }

  /** When a new token ends by our clock: the service's own may be another. */
  #endOf(token: string, nowMs: number, serviceTimeMs: number): number | undefined {
    const aheadMs = serviceTimeMs - nowMs;
    const isOff = Math.abs(aheadMs) >= LEAST_SKEW_MS;
    const seconds = Math.round(aheadMs / 1_000);
    if (isOff) this.#log.warn({ seconds }, "IME's clock is ahead of this machine's by so much");
    const saysMs = expiryOf(token);
    const endsAtMs = saysMs === undefined || !isOff ? saysMs : saysMs - aheadMs;
    if (endsAtMs === undefined || endsAtMs > nowMs) return endsAtMs;
    // It would be asked for another one at once, and again: this one is used until it is refused.
    this.#log.warn('the access token says that it has ended already; that is not believed');
    return undefined;
  }

  /** The token's life is over, and there is no other one. */
  #end(): void {
    const why = this.#problem ?? 'no new one has come yet';
    this.#current = undefined;
    this.#setState('ended', `The access token for IME has ended: ${why}`);
  }

  #setState(state: LoginState, problem: string | undefined): void {
    const isNews = problem !== undefined && (state !== this.#state || problem !== this.#problem);
    this.#state = state;
    this.#problem = problem;
    if (isNews) this.#log.error({ state }, problem);
    this.#changed();
  }
}

function wordsFor(outcome: Exclude<LoginOutcome, 'accepted'>, detail: string): string {
  switch (outcome) {
    case 'refused':
      return `IME refuses the login by IME_USERNAME and its password: ${detail}.`;
    case 'unreachable':
      return `The login at IME_LOGIN_URL cannot be reached: ${detail}.`;
    case 'malformed':
      return `IME_LOGIN_URL does not answer as a login does: ${detail}.`;
  }
}

function lowerCased(headers: Readonly<Record<string, string>>): Record<string, string> {
  const entries = Object.entries(headers);
  return Object.fromEntries(entries.map(([name, value]) => [name.toLowerCase(), value]));
}
