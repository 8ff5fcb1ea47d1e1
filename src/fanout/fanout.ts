import type { WebSocket } from 'ws';
import type { ContractState } from '../hub/contract-state.ts';
import type { Logger } from '../observability/log.ts';
import { FrameBatch } from './frame-batch.ts';
import type { FrameEncoder } from './frame-encoder.ts';
import { TickEnd, type TickExtent } from './tick-end.ts';

/** The close code of a connection that takes nothing: its client comes back on it. */
const TRY_AGAIN_LATER = 1013;
const STALL_LOOK_MS = 1_000;
/** How long a stalled client is given to take the close frame before it is cut. */
const CLOSE_TIMEOUT_MS = 2_000;

/** Bounds of what is kept for a client that reads slowly. */
export interface SlowReaderBounds {
  /** Above so many unsent bytes only the newest state of each contract is kept for a connection. */
  readonly bufferBytes: number;
  /** A connection that takes nothing for so long is closed, in milliseconds. */
  readonly stallMs: number;
}

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
  /** Looks whether the client takes anything of what is unsent. */
  checkStall(nowMs: number): void;
  /** Ends the connection: one of the above has thrown. */
  fail(): void;
}

/**
 * Sends what changed in a tick at its end, one write for each connection. A connection that fails in this
 * is ended alone.
 */
export class FanOut {
  readonly counts: FanOutCounts = { frames: 0, bytes: 0, conflated: 0, stalled: 0 };
  /** What the connection is sent that is being written. */
  readonly batch = new FrameBatch();
  readonly bounds: SlowReaderBounds;
  readonly #log: Logger;
  readonly #unread = new Set<TickMember>();
  readonly #closing = new Set<NodeJS.Timeout>();
  readonly #flushed: (seconds: number) => void;
  /** Who has something to write, those together who begin with the same encoder. */
  readonly #due = new Map<FrameEncoder, TickMember[]>();
  readonly #tickEnd = new TickEnd(
    () => this.#extent(),
    () => this.#flush(),
  );
  #lastEncoder: FrameEncoder | undefined;
  #lastDue: TickMember[] = [];
  /** How many states the tick has brought, and the last of them: a state comes to all in one go. */
  #states = 0;
  #lastState: ContractState | undefined;
  #looking: NodeJS.Timeout | undefined;

  /**
   * @param flushed told how long each tick took to write
   * @param log told of connections that fail
   */
  constructor(bounds: SlowReaderBounds, flushed: (seconds: number) => void, log: Logger) {
    this.bounds = bounds;
    this.#flushed = flushed;
    this.#log = log;
  }

  /** A connection is sent a state at the end of the tick. */
  gathered(state: ContractState): void {
    if (state === this.#lastState) return;
    this.#lastState = state;
    this.#states++;
  }

  /**
   * The connection has something to write at the end of the tick.
   *
   * @param first what makes its first message: frames are laid out once for connections that are written
   *   one after the other and are sent the same
   */
  schedule(connection: TickMember, first: FrameEncoder): void {
    if (first !== this.#lastEncoder) {
      if (this.#due.size === 0) this.#tickEnd.begin();
      let due = this.#due.get(first);
      if (due === undefined) {
        due = [];
        this.#due.set(first, due);
      }
      this.#lastEncoder = first;
      this.#lastDue = due;
    }
    this.#lastDue.push(connection);
  }

  /** Something of a connection has thrown: it is ended, and the others go on. */
  failed(connection: TickMember, error: unknown): void {
    this.#log.error({ error }, 'a connection failed, and is ended');
    try {
      connection.fail();
    } catch (second) {
      this.#log.error({ error: second }, 'a connection could not be ended');
    }
  }

  #extent(): TickExtent {
    let connections = 0;
    for (const due of this.#due.values()) connections += due.length;
    return { connections, states: this.#states };
  }

  #flush(): void {
    const startMs = performance.now();
    const due = [...this.#due.values()];
    this.#due.clear();
    this.#lastEncoder = undefined;
    this.#lastDue = [];
    this.#lastState = undefined;
    this.#states = 0;
    for (const connections of due) {
      for (const connection of connections) {
        try {
          connection.flush();
        } catch (error) {
          this.failed(connection, error);
        }
      }
    }
    this.batch.forget();
    try {
      this.#flushed((performance.now() - startMs) / 1000);
    } catch (error) {
      this.#log.error({ error }, 'the time of a tick could not be noted');
    }
  }

  /** Something is unsent to the connection: whether it takes anything is looked at now and then. */
  watch(connection: TickMember): void {
    this.#unread.add(connection);
    this.#looking ??= setInterval(() => this.#look(), STALL_LOOK_MS);
  }

  #look(): void {
    const nowMs = performance.now();
    for (const connection of this.#unread) {
      try {
        connection.checkStall(nowMs);
      } catch (error) {
        this.failed(connection, error);
      }
    }
  }

  /** All is sent to the connection, or it is gone. */
  unwatch(connection: TickMember): void {
    this.#unread.delete(connection);
    if (this.#unread.size > 0) return;
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
    this.#tickEnd.close();
    clearInterval(this.#looking);
    for (const timer of this.#closing) clearTimeout(timer);
    this.#closing.clear();
    this.#unread.clear();
  }
}
