import type { ContractKey } from '../contract/key.ts';
import type { Logger } from '../observability/log.ts';
import type { ContractObserver } from './topic.ts';

/** Does what may throw, and logs that it has. */
export function guarded(log: Logger, failure: string, run: () => void): void {
  try {
    run();
  } catch (error) {
    log.error({ error }, failure);
  }
}

/** Who is told what becomes of contracts; one who fails keeps nothing else from being done. */
export class Observed {
  readonly #log: Logger;
  #observer: ContractObserver | undefined;

  constructor(log: Logger) {
    this.#log = log;
  }

  by(observer: ContractObserver): void {
    this.#observer = observer;
  }

  askerOf(key: ContractKey): string | undefined {
    return this.#observer?.askerOf(key);
  }

  tell(what: 'answered' | 'refused' | 'dropped', key: ContractKey): void {
    guarded(this.#log, 'an observer of contracts failed', () => this.#observer?.[what](key));
  }
}
