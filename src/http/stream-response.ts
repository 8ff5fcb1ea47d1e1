import type { ServerResponse } from 'node:http';
import type { Session } from '../access/session.ts';
import { ReadingWatch } from '../lib/reading-watch.ts';
import type { StreamedResult } from '../operation/streamed-result.ts';
import { codedError } from '../schema/errors/coded-error.ts';
import type { StreamFormat } from './stream-formats.ts';

const STALL_LOOK_MS = 1_000;

/** How a stream came to its end. */
export type StreamEnd = 'completed' | 'gone' | 'stalled' | 'expired';

/**
 * Writes results into the body of a response as fast as its client reads: the next one is asked for only
 * when there is room. One that takes nothing for too long is cut.
 */
export class StreamResponse {
  readonly #response: ServerResponse;
  readonly #format: StreamFormat;
  readonly #stallMs: number;
  #state: 'open' | StreamEnd = 'open';
  #wake: () => void = () => {};

  /** @param stallMs after how long without taking anything a client is cut, in milliseconds */
  constructor(response: ServerResponse, format: StreamFormat, stallMs: number) {
    this.#response = response;
    this.#format = format;
    this.#stallMs = stallMs;
  }

  /**
   * Writes every payload until there are no more, the client is gone, or its session ends.
   *
   * @param payloads the results; ended in any case
   */
  async write(
    payloads: AsyncIterableIterator<StreamedResult, undefined>,
    session: Session,
  ): Promise<StreamEnd> {
    const response = this.#response;
    const format = this.#format;
    const gone = () => {
      this.#setState('gone');
      void payloads.return?.();
    };
    response.on('close', gone);
    response.on('drain', () => this.#wake());
    const forget = session.onEnd((why) => {
      if (this.#state !== 'open') return;
      response.write(format.error(JSON.stringify([codedError('UNAUTHENTICATED', why)])));
      this.#setState('expired');
      void payloads.return?.();
    });
    // The client may have gone while it was found out who it is: no event tells that any more.
    if (response.destroyed) gone();
    else {
      response.writeHead(200, format.headers);
      response.write(format.start);
    }
    const heartbeat = setInterval(() => {
      if (this.#state === 'open' && !response.writableNeedDrain) response.write(format.heartbeat);
    }, format.heartbeatMs);
    try {
      while (this.#state === 'open') {
        const { value, done } = await payloads.next();
        if (this.#state !== 'open') break;
        if (done) {
          this.#setState('completed');
          break;
        }
        this.#writePayload(value);
        if (response.writableNeedDrain) await this.#drained();
      }
    } finally {
      clearInterval(heartbeat);
      forget?.();
      await payloads.return?.();
    }
    if (this.#state === 'stalled') response.destroy();
    else response.end(format.end);
    return this.#state as StreamEnd;
  }

  #writePayload({ json, cursor }: StreamedResult): void {
    const { before, after, resumes } = this.#format;
    const id = resumes && cursor !== undefined ? `id: ${cursor}\n` : '';
    const part = Buffer.allocUnsafe(id.length + before.length + json.length + after.length);
    part.write(id, 0, 'latin1');
    part.set(before, id.length);
    part.set(json, id.length + before.length);
    part.set(after, id.length + before.length + json.length);
    this.#response.write(part);
  }

  /** Waits until the client has read what was written, or takes nothing for too long. */
  async #drained(): Promise<void> {
    // Behind another response in a pipeline it has no socket of its own yet.
    const { socket } = this.#response.req;
    const watch = new ReadingWatch(socket, performance.now());
    while (this.#state === 'open' && this.#response.writableNeedDrain) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, STALL_LOOK_MS);
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
      if (watch.idleMs(performance.now()) >= this.#stallMs) this.#setState('stalled');
    }
  }

  #setState(state: StreamEnd): void {
    if (this.#state !== 'open') return;
    this.#state = state;
    this.#wake();
  }
}
