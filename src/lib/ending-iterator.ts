/**
 * An async iterator that ends when it is told to, even while a reader waits inside `next()`.
 *
 * Written by hand because an async generator that waits inside `next()` is not ended by `return()`.
 */
export abstract class EndingIterator<T> implements AsyncIterableIterator<T, undefined> {
  abstract next(): Promise<IteratorResult<T, undefined>>;

  /** Ends the iteration at once; harmless when repeated. */
  abstract end(): void;

  return(): Promise<IteratorResult<T, undefined>> {
    this.end();
    return Promise.resolve({ value: undefined, done: true });
  }

  throw(error: unknown): Promise<IteratorResult<T, undefined>> {
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
