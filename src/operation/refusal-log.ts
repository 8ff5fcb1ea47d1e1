import { AccessRefused, AccessUnavailable } from '../access/refused.ts';
import type { Logger } from '../observability/log.ts';
import { RepeatLimit } from '../observability/repeat-limit.ts';

/** How often refusals of the same kind are logged, in milliseconds. */
const REPEAT_INTERVAL_MS = 10_000;

/** Logs who is not let in, on every way in: what the client is not told, and no more often than it helps. */
export class RefusalLog {
  readonly #log: Logger;
  readonly #repeats = new RepeatLimit(REPEAT_INTERVAL_MS);

  constructor(log: Logger) {
    this.#log = log;
  }

  /**
   * Somebody's token is refused, or cannot be checked.
   *
   * @param who what the log tells the request or connection by
   */
  refused(error: unknown, who: Readonly<Record<string, unknown>>): void {
    if (error instanceof AccessUnavailable) {
      const held = this.#repeats.pass('unavailable');
      if (held === undefined) return;
      this.#log.error({ ...who, reason: error.message, held }, 'tokens cannot be checked');
    } else {
      const held = this.#repeats.pass('refused');
      if (held === undefined) return;
      const detail = error instanceof AccessRefused ? error.detail : undefined;
      const reason = detail ?? (error as Error).message;
      this.#log.info({ ...who, reason, held }, 'a client is refused');
    }
  }
}
