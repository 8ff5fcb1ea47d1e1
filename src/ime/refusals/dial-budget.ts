import type { Clock } from '../../lib/clock.ts';

/**
 * What a dial is for that IME may well refuse:
 *
 * - `own`: the search among contracts that it accepted before
 * - `first`: what somebody asks for whose contracts it has refused lately
 * - `search`: the search in what was refused
 * - `retest`: whether what it refused some time ago is refused still
 */
export type DialPurpose = 'own' | 'first' | 'search' | 'retest';

/** Waits until a dial may be made. @returns what gives it back, where it turns out to have reached nobody */
export type TakeTurn = () => Promise<() => void>;

/** Over how long dials are counted, in milliseconds. */
const WINDOW_MS = 60_000;
/**
 * Dials in the window: some fewer than the 64 that IME is to see of refused contracts in a minute, for those
 * that ask whether the token is good do not wait, and neither do the first of who has cost nothing.
 */
const MOST_DIALS = 58;
/** A few more for who has cost no more than a few of them: enough to find one contract among two or three. */
const MOST_DIALS_OF_ALL = 62;
const FEW_DIALS = 3;
/**
 * An asker may have cost so many times what is left in the window, by what the next dial is for. So there is
 * always something left for who has cost less: a single search leaves a sixth of all, two an eleventh.
 */
const MOST_OF_LEFT: Readonly<Record<DialPurpose, number>> = {
  own: Number.POSITIVE_INFINITY,
  first: 7,
  search: 5,
  retest: 3,
};

interface Waiting {
  readonly asker: string;
  readonly purpose: DialPurpose;
  readonly isWanted: () => boolean;
  readonly answer: (granted: boolean) => void;
}

/**
 * Shares out the dials that may be refused: at most 64 in any minute, over both pools, and whoever has cost
 * the fewest of them goes first. Dials that are expected to succeed are none of its business.
 */
export class DialBudget {
  readonly #clock: Clock;
  /** Who was dialed for, and when, the longest ago first. */
  #spent: { readonly asker: string; readonly atMs: number }[] = [];
  readonly #waiting = new Set<Waiting>();
  #isPaused = false;
  #cancel: (() => void) | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** How many dials an asker has cost within the last minute. */
  dialsFor(asker: string): number {
    this.#forget();
    let dials = 0;
    for (const one of this.#spent) if (one.asker === asker) dials++;
    return dials;
  }

  /**
   * Waits for a dial.
   *
   * @param isWanted whether it is still worth while when its turn has come
   * @returns whether it may be made: it counts then
   */
  turn(asker: string, purpose: DialPurpose, isWanted: () => boolean): Promise<boolean> {
    return new Promise((answer) => {
      this.#waiting.add({ asker, purpose, isWanted, answer });
      this.#advance();
    });
  }

  /** A dial that did not wait for its turn is made for an asker. @returns what gives it back */
  count(asker: string): () => void {
    this.#spent.push({ asker, atMs: this.#clock.monotonicMs() });
    return () => this.giveBack(asker);
  }

  /** The latest dial for an asker has shown that there was nothing to fear. */
  giveBack(asker: string): void {
    const at = this.#spent.findLastIndex((one) => one.asker === asker);
    if (at >= 0) this.#spent.splice(at, 1);
    this.#advance();
  }

  /** Gives no turn until {@link resume}. */
  pause(): void {
    this.#isPaused = true;
  }

  resume(): void {
    this.#isPaused = false;
    this.#advance();
  }

  /** Whoever waits waits in vain. */
  dismiss(): void {
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const { answer } of waiting) answer(false);
  }

  /** Ends every wait, and the timer. */
  close(): void {
    this.#cancel?.();
    this.dismiss();
  }

  #advance(): void {
    this.#cancel?.();
    this.#cancel = undefined;
    if (this.#isPaused) return;
    this.#forget();
    for (let next = this.#next(); next !== undefined; next = this.#next()) {
      this.#waiting.delete(next);
      const granted = next.isWanted();
      if (granted) this.count(next.asker);
      next.answer(granted);
    }
    const [oldest] = this.#spent;
    if (this.#waiting.size === 0 || oldest === undefined) return;
    const inMs = oldest.atMs + WINDOW_MS - this.#clock.monotonicMs();
    this.#cancel = this.#clock.setTimeout(() => this.#advance(), inMs);
  }

  #next(): Waiting | undefined {
    const dials = new Map<string, number>();
    for (const { asker } of this.#spent) dials.set(asker, (dials.get(asker) ?? 0) + 1);
    const spent = this.#spent.length;
    if (spent >= MOST_DIALS_OF_ALL) return undefined;
    let next: Waiting | undefined;
    let least = Number.POSITIVE_INFINITY;
    for (const one of this.#waiting) {
      const own = dials.get(one.asker) ?? 0;
      const isFew = own <= FEW_DIALS && one.purpose !== 'retest';
      const left = (isFew ? MOST_DIALS_OF_ALL : MOST_DIALS) - spent;
      if (left <= 0 || own > left * MOST_OF_LEFT[one.purpose]) continue;
      // Among equals what is asked for first goes before what goes on.
      const rank = one.purpose === 'own' ? -1 : own + (one.purpose === 'first' ? 0 : 0.5);
      if (rank >= least) continue;
      next = one;
      least = rank;
    }
    return next;
  }

  #forget(): void {
    const sinceMs = this.#clock.monotonicMs() - WINDOW_MS;
    const kept = this.#spent.findIndex(({ atMs }) => atMs > sinceMs);
    this.#spent = kept < 0 ? [] : this.#spent.slice(kept);
  }
}
