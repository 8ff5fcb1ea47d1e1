import type { KeySpace } from '../../contract/key.ts';
import { describeEnd, isRefusal } from '../sockets/failure.ts';
import type { Shard, ShardFailure } from '../sockets/shard.ts';
import type { Upstream } from '../sockets/upstream.ts';

/** What an operator reads in the log of a pool's connections: that they end, and that they are back. */
export class ConnectionLog {
  readonly #upstream: Upstream;
  readonly #space: KeySpace;
  /** Since when connections fail, by the monotonic clock; `undefined` while none does. */
  #failingSinceMs: number | undefined;

  constructor(upstream: Upstream, space: KeySpace) {
    this.#upstream = upstream;
    this.#space = space;
  }

  ended(shard: Shard, failure: ShardFailure): void {
    const { clock, log, repeats } = this.#upstream;
    // What a refusal means is found out, and said, elsewhere.
    if (!isRefusal(failure.class)) this.#failingSinceMs ??= clock.monotonicMs();
    const said = describeEnd(failure.end);
    const held = repeats.pass(`${this.#space} ended: ${failure.class}`);
    const about = {
      endpoint: this.#space,
      contracts: shard.keys.size,
      class: failure.class,
      held,
    };
    if (held === undefined) log.debug(about, `a connection to IME ended: ${said}`);
    else if (failure.class === 'wrongUrl') {
      log.error(about, `IME_URL has no such endpoint: ${said}; tried again in 5 minutes`);
    } else log.info(about, `a connection to IME ended: ${said}`);
  }

  accepted(): void {
    if (this.#failingSinceMs === undefined) return;
    const { clock, log } = this.#upstream;
    const seconds = Math.round((clock.monotonicMs() - this.#failingSinceMs) / 100) / 10;
    this.#failingSinceMs = undefined;
    log.info({ endpoint: this.#space, seconds }, 'IME accepts connections again');
  }
}
