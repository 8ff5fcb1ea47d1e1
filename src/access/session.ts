import type { Principal } from './principal.ts';
import { AccessRefused } from './refused.ts';

/** Why a session ended, in words for its client. */
export type SessionEnd = 'The token has expired.' | 'The API key was revoked or changed.';

/**
 * Somebody's stay: the principal in force on one connection or request. It can be renewed, and it ends
 * when the token expires or is revoked.
 */
export class Session {
  readonly #sessions: Sessions;
  #principal: Principal;
  #listeners: Set<(end: SessionEnd) => void> | undefined;
  #ended: SessionEnd | undefined;

  constructor(sessions: Sessions, principal: Principal) {
    this.#sessions = sessions;
    this.#principal = principal;
  }

  get principal(): Principal {
    return this.#principal;
  }

  /**
   * The principal as of now, to be asked again whenever something was waited for.
   *
   * @param look looks a principal up again; `undefined`: it is no longer let in
   * @throws AccessRefused where the session is over, or should be
   */
  current(look: (principal: Principal) => Principal | undefined): Principal {
    if (this.#ended !== undefined) throw new AccessRefused(this.#ended);
    const { expiresAtMs } = this.#principal;
    if (expiresAtMs !== undefined && expiresAtMs <= Date.now()) {
      throw new AccessRefused('The token has expired.');
    }
    const now = look(this.#principal);
    if (now === undefined) throw new AccessRefused('The API key was revoked or changed.');
    this.#principal = now;
    return now;
  }

  /** The same somebody with another token. */
  renew(principal: Principal): void {
    this.#principal = principal;
  }

  /**
   * `ended` is called once, when the session ends.
   *
   * @returns forgets it again; `undefined` for a session that never ends
   */
  onEnd(ended: (end: SessionEnd) => void): (() => void) | undefined {
    if (this.#principal.credential === undefined) return undefined;
    this.#listeners ??= new Set();
    this.#listeners.add(ended);
    this.#sessions.watch(this);
    return () => {
      this.#listeners?.delete(ended);
      if (this.#listeners?.size === 0) this.#sessions.unwatch(this);
    };
  }

  /** Tells whoever listens that it is over. */
  end(why: SessionEnd): void {
    this.#ended ??= why;
    this.#sessions.unwatch(this);
    const listeners = [...(this.#listeners ?? [])];
    this.#listeners?.clear();
    // One that fails keeps nobody else from being told, and is not the timer's to bear.
    for (const ended of listeners) {
      try {
        ended(why);
      } catch (error) {
        this.#sessions.failed(error);
      }
    }
  }
}

/** How often it is looked who has expired, in milliseconds. */
const LOOK_INTERVAL_MS = 250;

/** Every session that somebody waits for the end of. One timer serves all, and only while there are any. */
export class Sessions {
  readonly #watched = new Set<Session>();
  #timer: NodeJS.Timeout | undefined;

  /** @param failed told of a listener that throws when it is told of a session's end */
  constructor(readonly failed: (error: unknown) => void) {}

  /** Looks after a session. */
  watch(session: Session): void {
    this.#watched.add(session);
    this.#timer ??= setInterval(() => this.#endExpired(), LOOK_INTERVAL_MS);
  }

  /** Nobody waits for its end any more. */
  unwatch(session: Session): void {
    this.#watched.delete(session);
    if (this.#watched.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  /**
   * Looks every principal up again: sessions of those who are not let in any more, or who may see other
   * contracts now, end.
   */
  recheck(look: (principal: Principal) => Principal | undefined): void {
    for (const session of [...this.#watched]) {
      const { principal } = session;
      const now = look(principal);
      const same =
        now?.contracts.equals(principal.contracts) && now.operator === principal.operator;
      if (same && now) session.renew(now);
      else session.end('The API key was revoked or changed.');
    }
  }

  /** Forgets every session and ends the timer. */
  close(): void {
    this.#watched.clear();
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #endExpired(): void {
    const nowMs = Date.now();
    for (const session of [...this.#watched]) {
      const { expiresAtMs } = session.principal;
      if (expiresAtMs !== undefined && expiresAtMs <= nowMs) session.end('The token has expired.');
    }
  }
}
