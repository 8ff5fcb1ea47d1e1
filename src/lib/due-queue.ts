import { type Clock, systemClock } from './clock.ts';

/** So many places of what is no longer wanted are not worth an effort. */
const MOST_UNWANTED = 1_000;

/** Something that is to be done at a time, unless it is no longer wanted by then. */
export interface Due {
  /** By the monotonic clock, in milliseconds. */
  readonly dueMs: number;
  /** What is to be done; `undefined` once it is not wanted any more. */
  run: (() => void) | undefined;
}

/**
 * What waits, ordered by when it is due, with one timer for all of it: what waits costs nothing until then.
 * A binary heap.
 */
export class DueQueue {
  readonly #heap: Due[] = [];
  readonly #evenMs: number;
  readonly #failed: (error: unknown) => void;
  readonly #clock: Clock;
  /** How much of what waits is no longer wanted. */
  #unwanted = 0;
  #cancel: (() => void) | undefined;
  #armedMs = 0;

  /**
   * @param evenMs what is due within so many milliseconds is done together
   * @param failed told of what throws; the others are done all the same
   */
  constructor(evenMs: number, failed: (error: unknown) => void, clock: Clock = systemClock) {
    this.#evenMs = evenMs;
    this.#failed = failed;
    this.#clock = clock;
  }

  /** How much waits, the little that is no longer wanted included. */
  get size(): number {
    return this.#heap.length;
  }

  /** Nothing is done any more, and no timer is left. */
  close(): void {
    this.#cancel?.();
    this.#cancel = undefined;
    this.#heap.length = 0;
    this.#unwanted = 0;
  }

  /** `due` is not wanted any more. Its place is given back before such places are the most of all. */
  drop(due: Due): void {
    if (due.run === undefined) return;
    due.run = undefined;
    this.#unwanted++;
    if (this.#unwanted < MOST_UNWANTED || this.#unwanted * 2 < this.#heap.length) return;
    const wanted = this.#heap.filter(({ run }) => run !== undefined);
    this.#unwanted = 0;
    // What is sorted is a heap.
    wanted.sort((one, other) => one.dueMs - other.dueMs);
    this.#heap.length = 0;
    for (const one of wanted) this.#heap.push(one);
  }

  add(due: Due): void {
    const heap = this.#heap;
    let at = heap.length;
    heap.push(due);
    while (at > 0) {
      const above = (at - 1) >> 1;
      if ((heap[above] as Due).dueMs <= due.dueMs) break;
      heap[at] = heap[above] as Due;
      at = above;
    }
    heap[at] = due;
    if (at === 0) this.#arm();
  }

  #arm(): void {
    const [first] = this.#heap;
    if (first === undefined) return;
    if (this.#cancel !== undefined && this.#armedMs <= first.dueMs) return;
    this.#cancel?.();
    this.#armedMs = first.dueMs;
    const waitMs = Math.max(this.#evenMs, first.dueMs - this.#clock.monotonicMs());
    this.#cancel = this.#clock.setTimeout(() => this.#doDue(), waitMs);
  }

  #doDue(): void {
    this.#cancel = undefined;
    const untilMs = this.#clock.monotonicMs();
    for (let first = this.#heap[0]; first !== undefined && first.dueMs <= untilMs; ) {
      this.#removeFirst();
      const { run } = first;
      if (run === undefined) this.#unwanted--;
      first.run = undefined;
      try {
        run?.();
      } catch (error) {
        this.#failed(error);
      }
      first = this.#heap[0];
    }
    this.#arm();
  }

  #removeFirst(): void {
    const heap = this.#heap;
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return;
    let at = 0;
    for (;;) {
      let below = 2 * at + 1;
      if (below >= heap.length) break;
      const right = below + 1;
      if (right < heap.length && (heap[right] as Due).dueMs < (heap[below] as Due).dueMs)
        below = right;
      if ((heap[below] as Due).dueMs >= last.dueMs) break;
      heap[at] = heap[below] as Due;
      at = below;
    }
    heap[at] = last;
  }
}
