import { constants, openSync, write } from 'node:fs';

/** As much waits to be written at most, in bytes; what is more is lost. */
const MOST_WAITING_BYTES = 1024 * 1024;
/** As much is handed to the system at once, in bytes. */
const WRITE_BYTES = 64 * 1024;
/** As much goes into a pipe in one piece, whoever else writes to it. Source: PIPE_BUF in limits.h. */
const WHOLE_BYTES = 4_096;
/** How soon a reader that takes nothing is tried again, in milliseconds. */
const RETRY_MS = 50;

/**
 * Writes lines to a file descriptor and never waits for it: a full disk, a reader that does not read or one
 * that has gone costs lines, which are counted, and nothing else.
 */
export class LogWriter {
  readonly #fd: number;
  readonly #writeBytes: number;
  #waiting: Buffer[] = [];
  #waitingBytes = 0;
  #state: 'idle' | 'writing' | 'retrying' = 'idle';
  #lost = 0;
  #drained: (() => void)[] = [];

  /**
   * @param fd written to by nobody else. A stuck write must not hold up the process's end, so it should be
   *   non-blocking: see {@link openNonBlocking}
   * @param isShared whether other processes write to the same pipe: lines are then written so that none of
   *   theirs comes to stand inside one, as far as a pipe allows
   */
  constructor(fd: number, isShared = false) {
    this.#fd = fd;
    this.#writeBytes = isShared ? WHOLE_BYTES : WRITE_BYTES;
  }

  /** How many lines could not be written. */
  get lost(): number {
    return this.#lost;
  }

  /** Whether a write was handed to the system and has not come back. */
  get isWriting(): boolean {
    return this.#state === 'writing';
  }

  write(line: string): void {
    const bytes = Buffer.from(line);
    if (this.#waitingBytes + bytes.length > MOST_WAITING_BYTES) {
      this.#lost++;
      return;
    }
    this.#waiting.push(bytes);
    this.#waitingBytes += bytes.length;
    if (this.#state === 'idle') this.#writeNext();
  }

  /** Waits until everything is written, or for so long. */
  flush(mostMs: number): Promise<void> {
    if (this.#waitingBytes === 0) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, mostMs);
      this.#drained.push(() => {
        clearTimeout(timer);
        resolve();
      });
    });
  }

  #writeNext(): void {
    if (this.#waiting.length === 0) {
      this.#state = 'idle';
      const drained = this.#drained;
      this.#drained = [];
      for (const resolve of drained) resolve();
      return;
    }
    this.#state = 'writing';
    let bytes = 0;
    let count = 0;
    for (const { length } of this.#waiting) {
      if (count > 0 && bytes + length > this.#writeBytes) break;
      bytes += length;
      count++;
    }
    const chunk = Buffer.concat(this.#waiting.slice(0, count));
    write(this.#fd, chunk, 0, chunk.length, null, (error, written) => {
      if (error?.code === 'EAGAIN') {
        this.#state = 'retrying';
        // Alone, a reader that takes nothing keeps no process alive.
        setTimeout(() => this.#writeNext(), RETRY_MS).unref();
        return;
      }
      if (error) {
        this.#lost += count;
        this.#take(bytes);
      } else {
        this.#take(written);
      }
      this.#writeNext();
    });
  }

  /** What was written, or is lost, no longer waits. */
  #take(bytes: number): void {
    this.#waitingBytes -= bytes;
    let left = bytes;
    while (left > 0) {
      const first = this.#waiting[0];
      if (first === undefined) return;
      if (first.length > left) {
        this.#waiting[0] = first.subarray(left);
        return;
      }
      left -= first.length;
      this.#waiting.shift();
    }
  }
}

/**
 * Opens what a file descriptor stands for once more, so that nobody else's use of it changes, and so that a
 * write to it never blocks. Where that cannot be had, as for a socket, it is the descriptor itself.
 */
export function openNonBlocking(fd: number): number {
  const { O_WRONLY, O_APPEND, O_NONBLOCK, O_NOCTTY } = constants;
  try {
    return openSync(`/proc/self/fd/${fd}`, O_WRONLY | O_APPEND | O_NONBLOCK | O_NOCTTY);
  } catch {
    return fd;
  }
}
