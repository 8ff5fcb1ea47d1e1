import type { Socket } from 'node:net';

/** What the handle below a socket says of the write that is under way; Node's own timeout asks it too. */
interface WriteHandle {
  readonly writeQueueSize?: number;
}

/**
 * Tells whether a client takes anything of what is written to it. A large write counts as unsent until all
 * of it is taken, so it is asked below the stream as well: whoever reads slowly is no one who reads nothing.
 */
export class ReadingWatch {
  readonly #socket: Socket;
  #takenAtMs: number;
  #doneBytes: number;
  #queuedBytes: number;

  /** @param nowMs by `performance.now()` */
  constructor(socket: Socket, nowMs: number) {
    this.#socket = socket;
    this.#takenAtMs = nowMs;
    this.#doneBytes = doneBytes(socket);
    this.#queuedBytes = queuedBytes(socket);
  }

  /** For how long nothing has been taken, in milliseconds; looks once more. */
  idleMs(nowMs: number): number {
    const done = doneBytes(this.#socket);
    const queued = queuedBytes(this.#socket);
    // A write of its own begins with more in the queue, and then more is done than before.
    if (done !== this.#doneBytes || queued < this.#queuedBytes) this.#takenAtMs = nowMs;
    this.#doneBytes = done;
    this.#queuedBytes = queued;
    return nowMs - this.#takenAtMs;
  }
}

/** How much of the writes that are over. */
function doneBytes(socket: Socket): number {
  return socket.bytesWritten - socket.writableLength;
}

/** How much is left of the write that is under way; 0 where the handle does not say. */
function queuedBytes(socket: Socket): number {
  const { _handle: handle } = socket as Socket & { _handle?: WriteHandle | null };
  return handle?.writeQueueSize ?? 0;
}
