import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { ReadingWatch } from '../lib/reading-watch.ts';

const LOOK_INTERVAL_MS = 1_000;

/** Cuts connections whose clients take nothing of what was written to them, whatever it is. */
export class UnreadAnswers {
  readonly #stallMs: number;
  readonly #watched = new Map<Socket, ReadingWatch>();
  #looking: NodeJS.Timeout | undefined;
  #cut = 0;

  /** @param stallMs after how long without taking anything a client is cut, in milliseconds */
  constructor(stallMs: number) {
    this.#stallMs = stallMs;
  }

  /** How many were cut. */
  get cut(): number {
    return this.#cut;
  }

  /** Looks after the connection of a response that was written and is not taken yet. */
  watch(socket: Socket, { writableFinished, destroyed }: ServerResponse): void {
    if (writableFinished || destroyed || this.#watched.has(socket)) return;
    this.#watched.set(socket, new ReadingWatch(socket, performance.now()));
    this.#looking ??= setInterval(() => this.#look(), LOOK_INTERVAL_MS);
  }

  close(): void {
    this.#watched.clear();
    this.#rest();
  }

  #look(): void {
    const nowMs = performance.now();
    for (const [socket, watch] of this.#watched) {
      if (socket.destroyed || socket.writableLength === 0) {
        this.#watched.delete(socket);
      } else if (watch.idleMs(nowMs) >= this.#stallMs) {
        this.#cut++;
        socket.destroy();
      }
    }
    if (this.#watched.size === 0) this.#rest();
  }

  #rest(): void {
    clearInterval(this.#looking);
    this.#looking = undefined;
  }
}
