import { EndingIterator } from './ending-iterator.ts';

/** What a {@link Mailbox} carries: anything that belongs to a key. */
export interface Keyed {
  readonly key: string;
}

/** How many entries a mailbox keeps in order before it conflates. */
const MAILBOX_RUN = 256;

/**
 * An async iterator between a publisher that never waits and one reader that may be slow. It keeps a
 * run of entries in order; past the run's bound it keeps only the newest entry of each key, in the
 * order in which those keys changed last. So a reader that keeps up misses nothing, and one that does not
 * costs at most the run and one entry a key.
 */
export class Mailbox<T extends Keyed> extends EndingIterator<T> {
  readonly #runBound: number;
  readonly #onEnd: () => void;
  #run: T[] = [];
  #newest = new Map<string, T>();
  #reader: ((result: IteratorResult<T, undefined>) => void) | undefined;
  #state: 'open' | 'finishing' | 'ended' = 'open';
  #conflated = 0;

  /**
   * @param onEnd called once, when nothing can be read any more
   * @param runBound how many entries are kept in order
   */
  constructor(onEnd: () => void, runBound: number = MAILBOX_RUN) {
    super();
    this.#onEnd = onEnd;
    this.#runBound = runBound;
  }

  /** How many entries a newer one of the same key has replaced before they were read. */
  get conflated(): number {
    return this.#conflated;
  }

  /** Hands over an entry; ignored after {@link finish} or {@link end}. */
  push(entry: T): void {
    if (this.#state !== 'open') return;
    if (this.#reader !== undefined) {
      this.#answer({ value: entry, done: false });
    } else if (this.#newest.size === 0 && this.#run.length < this.#runBound) {
      this.#run.push(entry);
    } else {
      // Deleting first moves a key that changes again behind those that changed before.
      if (this.#newest.delete(entry.key)) this.#conflated++;
      this.#newest.set(entry.key, entry);
    }
  }

  /** Ends the iteration after what has been pushed so far. */
  finish(): void {
    if (this.#state !== 'open') return;
    this.#setState(this.#run.length + this.#newest.size === 0 ? 'ended' : 'finishing');
  }

  /** Ends the iteration at once; what has not been read is dropped. */
  end(): void {
    this.#setState('ended');
  }

  next(): Promise<IteratorResult<T, undefined>> {
    const entry = this.#take();
    if (entry !== undefined) return Promise.resolve({ value: entry, done: false });
    if (this.#state !== 'open') return Promise.resolve({ value: undefined, done: true });
    if (this.#reader !== undefined) {
      return Promise.reject(new Error('A mailbox has one reader that waits for each entry.'));
    }
    return new Promise((resolve) => {
      this.#reader = resolve;
    });
  }

  #take(): T | undefined {
    const first = this.#run.shift() ?? this.#takeNewest();
    if (this.#state === 'finishing' && this.#run.length + this.#newest.size === 0) {
      this.#setState('ended');
    }
    return first;
  }

  #takeNewest(): T | undefined {
    for (const [key, entry] of this.#newest) {
      this.#newest.delete(key);
      return entry;
    }
    return undefined;
  }

  #setState(state: 'finishing' | 'ended'): void {
    if (this.#state === 'ended') return;
    this.#state = state;
    if (state !== 'ended') return;
    this.#run = [];
    this.#newest.clear();
    this.#answer({ value: undefined, done: true });
    this.#onEnd();
  }

  #answer(result: IteratorResult<T, undefined>): void {
    const reader = this.#reader;
    this.#reader = undefined;
    reader?.(result);
  }
}
