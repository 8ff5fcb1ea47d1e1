import type { WebSocket } from 'ws';
import type { FanOut } from './fanout.ts';
import type { FrameEncoder } from './frame-encoder.ts';

/** A message that is made when it can be written: what it says may change until then. */
export interface LateMessage {
  /** What its connection is written to beside others by. */
  readonly encoder: FrameEncoder;
  /** Nothing may be sent any more. */
  readonly isOver: boolean;
  /** What is to be written now; `undefined` where nothing is left to say. */
  makeMessage(): Buffer | undefined;
}

/**
 * The messages of one connection that are made when they can be written. They may be of any length. One that
 * is longer than the bound of unsent bytes does not count against it, for it could never be sent otherwise:
 * until it is written the others wait.
 */
export class LateMessages {
  readonly #client: WebSocket;
  readonly #fanOut: FanOut;
  readonly #freed: () => void;
  readonly #waiting = new Set<LateMessage>();
  #longBytes = 0;

  /** @param freed told that others may be written again */
  constructor(client: WebSocket, fanOut: FanOut, freed: () => void) {
    this.#client = client;
    this.#fanOut = fanOut;
    this.#freed = freed;
  }

  /** How many of the unsent bytes do not count. */
  get longBytes(): number {
    return this.#longBytes;
  }

  /** The next one that can be written; `undefined` where none can. */
  get first(): LateMessage | undefined {
    if (this.#longBytes > 0) return undefined;
    for (const late of this.#waiting) return late;
    return undefined;
  }

  add(late: LateMessage): void {
    this.#waiting.add(late);
  }

  delete(late: unknown): void {
    this.#waiting.delete(late as LateMessage);
  }

  /** Makes the next message and writes it. @returns whether there was one that could be written */
  write(): boolean {
    const { counts, bounds } = this.#fanOut;
    for (let late = this.first; late !== undefined; late = this.first) {
      this.#waiting.delete(late);
      const message = late.isOver ? undefined : late.makeMessage();
      if (message === undefined || this.#client.readyState !== this.#client.OPEN) continue;
      counts.frames++;
      counts.bytes += message.length;
      if (message.length > bounds.bufferBytes) this.#writeLong(message);
      else this.#client.send(message, { binary: false });
      return true;
    }
    return false;
  }

  #writeLong(message: Buffer): void {
    this.#longBytes = message.length;
    this.#client.send(message, { binary: false }, () => {
      this.#longBytes = 0;
      this.#freed();
    });
  }
}
