import { subscriptionUrl } from '../protocol/endpoints.ts';
import { classifyEnd, describeEnd } from './failure.ts';
import { ImeSocket } from './socket.ts';
import type { Upstream } from './upstream.ts';

/** For how long an answer is believed. */
const BELIEVED_MS = 5_000;

/**
 * Whether IME answers at all, for a gateway that nobody has asked anything of. It dials without a
 * contract, which IME refuses, and so shows that it is there; whether it takes the token stays open.
 */
export class Reachability {
  readonly #upstream: Upstream;
  #socket: ImeSocket | undefined;
  #answer: Promise<string | undefined> | undefined;
  #answeredAtMs = Number.NEGATIVE_INFINITY;

  constructor(upstream: Upstream) {
    this.#upstream = upstream;
  }

  /** @returns why IME cannot be reached, in words; `undefined` where it can */
  check(): Promise<string | undefined> {
    const fresh = this.#upstream.clock.monotonicMs() - this.#answeredAtMs < BELIEVED_MS;
    if (this.#answer === undefined || (!fresh && this.#socket === undefined)) {
      this.#answer = this.#dial();
    }
    return this.#answer;
  }

  close(): void {
    this.#socket?.terminate();
    this.#socket = undefined;
  }

  #dial(): Promise<string | undefined> {
    const { base, pingIntervalMs, pingTimeoutMs } = this.#upstream.settings;
    const url = subscriptionUrl(base, 'name', []);
    const { clock, dial } = this.#upstream;
    const headers = this.#upstream.headersFor(this.#upstream.credentials.current);
    return new Promise((resolve) => {
      const answered = (fault: string | undefined) => {
        this.#answeredAtMs = this.#upstream.clock.monotonicMs();
        this.close();
        resolve(fault);
      };
      this.#socket = new ImeSocket(
        { url, headers, pingIntervalMs, pingTimeoutMs, clock, dial },
        {
          onOpen: () => answered(undefined),
          onFrame: () => {},
          onEnd: (end) => {
            const failure = classifyEnd(end);
            if (failure === 'wrongUrl')
              answered(`IME_URL has no such endpoint: ${describeEnd(end)}`);
            else if (failure === 'transient' || failure === 'unreachable') {
              answered(`IME cannot be reached: ${describeEnd(end)}`);
            } else answered(undefined);
          },
        },
      );
    });
  }
}
