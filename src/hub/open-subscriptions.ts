import type { Logger } from '../observability/log.ts';

/** A stream of changes that ends with the hub at the latest. */
export interface Endable {
  end(): void;
}

/** The subscriptions that are open: they end with the hub at the latest. */
export class OpenSubscriptions {
  readonly #log: Logger;
  readonly #open = new Set<Endable>();

  constructor(log: Logger) {
    this.#log = log;
  }

  /** How many there are. */
  get size(): number {
    return this.#open.size;
  }

  add(subscription: Endable): void {
    this.#open.add(subscription);
  }

  /** A subscription has ended. */
  delete(subscription: Endable): void {
    this.#open.delete(subscription);
  }

  /** Ends every one of them: one that fails keeps no other from it. */
  end(): void {
    for (const subscription of [...this.#open]) {
      try {
        subscription.end();
      } catch (error) {
        this.#log.error({ error }, 'a subscription did not end');
      }
    }
  }
}
