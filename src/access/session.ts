import { type Clock, systemClock } from '../lib/clock.ts';
import { type Due, DueQueue } from '../lib/due-queue.ts';
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
    if (expiresAtMs !== undefined && expiresAtMs <= this.#sessions.clock.nowMs()) {
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
    this.#sessions.renewed(this);
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

/** Sessions that expire within so many milliseconds end together. */
const EVEN_MS = 50;
/** The time of day may be set: after so many milliseconds at most it is looked at again. */
const MOST_WAIT_MS = 30_000;

/** Every session that somebody waits for the end of: what expires later costs nothing until then. */
export class Sessions {
  readonly clock: Clock;
  readonly #watched = new Map<Session, Due | undefined>();
  readonly #expiring: DueQueue;

  /** @param failed told of a listener that throws when it is told of a session's end */
  constructor(
    readonly failed: (error: unknown) => void,
    clock: Clock = systemClock,
  ) {
    this.clock = clock;
    this.#expiring = new DueQueue(EVEN_MS, failed, clock);
  }

  /** Looks after a session. */
  watch(session: Session): void {
    if (!this.#watched.has(session)) this.#await(session);
  }

  /** A session has another principal, or another token. */
  renewed(session: Session): void {
    if (this.#watched.has(session)) this.#await(session);
  }

  /** Nobody waits for its end any more. */
  unwatch(session: Session): void {
    const due = this.#watched.get(session);
    if (due !== undefined) this.#expiring.drop(due);
    this.#watched.delete(session);
    // Nothing is left to be woken for.
    if (this.#watched.size === 0) this.#expiring.close();
  }

  /**
   * Looks every principal up again: sessions of those who are not let in any more, or who may see other
   * contracts now, end.
   */
  recheck(look: (principal: Principal) => Principal | undefined): void {
    for (const session of [...this.#watched.keys()]) {
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
    this.#expiring.close();
  }

  #await(session: Session): void {
    const before = this.#watched.get(session);
    if (before !== undefined) this.#expiring.drop(before);
    const { expiresAtMs } = session.principal;
    if (expiresAtMs === undefined) {
      this.#watched.set(session, undefined);
      return;
    }
    const leftMs = Math.max(0, Math.min(expiresAtMs - this.clock.nowMs(), MOST_WAIT_MS));
    const due = { dueMs: this.clock.monotonicMs() + leftMs, run: () => this.#look(session) };
    this.#watched.set(session, due);
    this.#expiring.add(due);
  }

  #look(session: Session): void {
    const { expiresAtMs } = session.principal;
    if (expiresAtMs !== undefined && expiresAtMs <= this.clock.nowMs()) {
      session.end('The token has expired.');
    } else {
      this.#await(session);
    }
  }
}
