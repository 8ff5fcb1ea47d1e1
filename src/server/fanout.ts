import type { WebSocket } from 'ws';

/** The close code of a connection that takes nothing: its client comes back on it. */
const TRY_AGAIN_LATER = 1013;
const STALL_LOOK_MS = 1_000;
/** The length of the buffer that connections write from one after the other; larger writes have their own. */
const SHARED_BYTES = 16 * 1024;
/** How long a stalled client is given to take the close frame before it is cut. */
const CLOSE_TIMEOUT_MS = 2_000;

/** What the fan-out has done since the start. */
export interface FanOutCounts {
  frames: number;
  bytes: number;
  /** States that a newer one of the same contract replaced before a slow reader was sent them. */
  conflated: number;
  /** Connections closed because they took nothing. */
  stalled: number;
}

/** A connection as the fan-out sees it. */
export interface TickMember {
  /** Writes what the tick has brought. */
  flush(): void;
  /** Looks whether a backlogged connection takes anything. */
  checkStall(nowMs: number): void;
}

/** Sends what changed in a tick at its end, one write for each connection. */
export class FanOut {
  readonly counts: FanOutCounts = { frames: 0, bytes: 0, conflated: 0, stalled: 0 };
  readonly #backlogged = new Set<TickMember>();
  readonly #closing = new Set<NodeJS.Timeout>();
  readonly #flushed: (seconds: number) => void;
  #shared = Buffer.allocUnsafeSlow(SHARED_BYTES);
  #due: TickMember[] = [];
  #looking: NodeJS.Timeout | undefined;

  /** @param flushed told how long each tick took to write */
  constructor(flushed: (seconds: number) => void) {
    this.#flushed = flushed;
  }

  /** A buffer to write from, shared by all connections: free again once the kernel has taken it. */
  buffer(bytes: number): Buffer {
    if (bytes > this.#shared.length) return Buffer.allocUnsafe(bytes);
    return this.#shared.subarray(0, bytes);
  }

  /** A socket has kept the buffer: another one takes its place. */
  kept(): void {
    this.#shared = Buffer.allocUnsafeSlow(SHARED_BYTES);
  }

  /** The connection has something to write at the end of the tick. */
  schedule(connection: TickMember): void {
    if (this.#due.push(connection) > 1) return;
    setImmediate(() => {
      const due = this.#due;
      this.#due = [];
      const startMs = performance.now();
      for (const one of due) one.flush();
      this.#flushed((performance.now() - startMs) / 1000);
    });
  }

  /** The connection is backlogged: whether it takes anything is looked at now and then. */
  watch(connection: TickMember): void {
    this.#backlogged.add(connection);
    this.#looking ??= setInterval(() => {
      const nowMs = performance.now();
      for (const one of this.#backlogged) one.checkStall(nowMs);
    }, STALL_LOOK_MS);
  }

  /** The connection has drained or is gone. */
  unwatch(connection: TickMember): void {
    this.#backlogged.delete(connection);
    if (this.#backlogged.size > 0) return;
    clearInterval(this.#looking);
    this.#looking = undefined;
  }

  /** Ends a connection that takes nothing. */
  stalled(client: WebSocket): void {
    this.counts.stalled++;
    client.close(TRY_AGAIN_LATER, 'The client reads too slowly');
    const timer = setTimeout(() => {
      this.#closing.delete(timer);
      client.terminate();
    }, CLOSE_TIMEOUT_MS);
    this.#closing.add(timer);
  }

  /** Ends every timer. */
  close(): void {
    clearInterval(this.#looking);
    for (const timer of this.#closing) clearTimeout(timer);
    this.#closing.clear();
    this.#backlogged.clear();
  }
}
