import type { Clock } from '../../lib/clock.ts';

/** How many handshakes may be under way at once, over both pools. */
const MOST_AT_ONCE = 2;
/** The least time between two dials, in milliseconds. */
const SPACING_MS = 100;

/**
 * How a dial waits for its turn: a `probe` decides about all others and neither waits behind them nor for
 * them; one of a `search` goes when no `ordinary` one waits.
 */
export type DialTurn = 'probe' | 'ordinary' | 'search';

interface Request {
  readonly turn: DialTurn;
  readonly start: (done: () => void) => void;
}

/**
 * Where every dial to IME waits for its turn: at most two handshakes at once, 100 ms apart, retries
 * included. While the token is in doubt only probes pass, so that a refused token is not hammered.
 */
export class DialGate {
  readonly #waiting = new Set<Request>();
  #underWay = 0;
  #trusting = false;
  #held = false;
  #closed = false;
  #nextAtMs = 0;
  #timer: (() => void) | undefined;
  #dials = 0;
  readonly #clock: Clock;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** How many dials have been started. */
  get dials(): number {
    return this.#dials;
  }

  /** Whether only probes pass. */
  get held(): boolean {
    return this.#held;
  }

  /** Whether the token is known to be good, so that two may dial at once. */
  get trusting(): boolean {
    return this.#trusting;
  }

  /** One handshake at a time until something has been accepted, two at once afterwards. */
  setTrusting(trusting: boolean): void {
    this.#trusting = trusting;
    this.#advance();
  }

  /** Lets only probes pass until {@link resume}. */
  hold(): void {
    this.#held = true;
  }

  /** Ends a {@link hold}. */
  resume(): void {
    this.#held = false;
    this.#advance();
  }

  /** Lets nothing pass, not even probes, while there is nothing to show IME. */
  setClosed(closed: boolean): void {
    this.#closed = closed;
    this.#advance();
  }

  /** Starts no dial for `ms`, because the service asked for it. */
  pauseFor(ms: number): void {
    this.#nextAtMs = Math.max(this.#nextAtMs, this.#clock.monotonicMs() + ms);
    this.#disarm();
    this.#advance();
  }

  /**
   * Waits for a turn.
   *
   * @param start called when it has come; it calls `done` once the handshake is over, either way
   * @returns gives the place up; harmless after the turn has come
   */
  request(start: (done: () => void) => void, turn: DialTurn): () => void {
    const request = { turn, start };
    this.#waiting.add(request);
    this.#advance();
    return () => this.#waiting.delete(request);
  }

  /** Forgets who waits and ends the timer. */
  close(): void {
    this.#waiting.clear();
    this.#disarm();
  }

  #advance(): void {
    if (this.#timer !== undefined) return;
    const request = this.#next();
    if (request === undefined) return;
    const nowMs = this.#clock.monotonicMs();
    if (nowMs < this.#nextAtMs) {
      this.#timer = this.#clock.setTimeout(() => {
        this.#timer = undefined;
        this.#advance();
      }, this.#nextAtMs - nowMs);
      return;
    }
    this.#nextAtMs = nowMs + SPACING_MS;
    this.#waiting.delete(request);
    this.#underWay++;
    this.#dials++;
    let over = false;
    request.start(() => {
      if (over) return;
      over = true;
      this.#underWay--;
      this.#advance();
    });
    this.#advance();
  }

  #next(): Request | undefined {
    if (this.#closed) return undefined;
    let next: Request | undefined;
    for (const request of this.#waiting) {
      if (request.turn === 'probe') return request;
      if (next === undefined || (next.turn === 'search' && request.turn === 'ordinary')) {
        next = request;
      }
    }
    if (this.#held || this.#underWay >= (this.#trusting ? MOST_AT_ONCE : 1)) return undefined;
    return next;
  }

  #disarm(): void {
    this.#timer?.();
    this.#timer = undefined;
  }
}
