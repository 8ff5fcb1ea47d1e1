import { EndingIterator } from '../hub/ending-iterator.ts';

/**
 * What graphql-ws holds of a subscription whose updates do not pass through it: an iterator that yields
 * nothing and ends when the subscription does.
 */
export abstract class HeldStream extends EndingIterator<never> {
  #ended = false;
  #error: Error | undefined;
  #waiting: (() => void) | undefined;

  /** Called once, however it ends. */
  protected abstract onEnd(): void;

  async next(): Promise<IteratorResult<never, undefined>> {
    if (!this.#ended) {
      await new Promise<void>((resolve) => {
        this.#waiting = resolve;
      });
    }
    if (this.#error !== undefined) throw this.#error;
    return { value: undefined, done: true };
  }

  /** Ends the iteration: graphql-ws then tells its client that the subscription is complete. */
  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.onEnd();
    this.#waiting?.();
    this.#waiting = undefined;
  }

  /** Ends the iteration with an error, which graphql-ws then tells its client. */
  fail(error: Error): void {
    if (this.#ended) return;
    this.#error = error;
    this.end();
  }
}
