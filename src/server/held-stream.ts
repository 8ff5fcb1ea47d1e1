/**
 * What graphql-ws holds of a subscription whose updates do not pass through it: an iterator that yields
 * nothing and ends when the subscription does.
 *
 * Written by hand because an async generator that waits inside `next()` is not ended by `return()`.
 */
export class HeldStream implements AsyncIterableIterator<never> {
  readonly #onEnd: () => void;
  #ended = false;
  #waiting: ((result: IteratorResult<never, undefined>) => void) | undefined;

  /** @param onEnd called once, however it ends */
  constructor(onEnd: () => void) {
    this.#onEnd = onEnd;
  }

  /** Ends the iteration: graphql-ws then tells its client that the subscription is complete. */
  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#onEnd();
    this.#waiting?.({ value: undefined, done: true });
    this.#waiting = undefined;
  }

  next(): Promise<IteratorResult<never, undefined>> {
    if (this.#ended) return Promise.resolve({ value: undefined, done: true });
    return new Promise((resolve) => {
      this.#waiting = resolve;
    });
  }

  return(): Promise<IteratorResult<never, undefined>> {
    this.end();
    return Promise.resolve({ value: undefined, done: true });
  }

  throw(error: unknown): Promise<IteratorResult<never, undefined>> {
    this.end();
    return Promise.reject(error);
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.end();
  }
}
