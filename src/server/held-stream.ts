import { EndingIterator } from '../hub/ending-iterator.ts';

/**
 * What graphql-ws holds of a subscription whose updates do not pass through it: an iterator that yields
 * nothing and ends when the subscription does.
 */
export class HeldStream extends EndingIterator<never> {
  readonly #onEnd: () => void;
  #ended = false;
  #waiting: ((result: IteratorResult<never, undefined>) => void) | undefined;

  /** @param onEnd called once, however it ends */
  constructor(onEnd: () => void) {
    super();
    this.#onEnd = onEnd;
  }

  next(): Promise<IteratorResult<never, undefined>> {
    if (this.#ended) return Promise.resolve({ value: undefined, done: true });
    return new Promise((resolve) => {
      this.#waiting = resolve;
    });
  }

  /** Ends the iteration: graphql-ws then tells its client that the subscription is complete. */
  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#onEnd();
    this.#waiting?.({ value: undefined, done: true });
    this.#waiting = undefined;
  }
}
