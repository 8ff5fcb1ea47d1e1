import type { WebSocket } from 'ws';
import type { ContractKey } from '../contract/key.ts';
import type { ContractState } from '../hub/contract-state.ts';
import type { ContractHub } from '../hub/hub.ts';
import type { Projection } from '../render/projection.ts';
import { FrameBatch } from './frame-batch.ts';
import { TickEnd, type TickExtent } from './tick-end.ts';
import { TickLog } from './tick-log.ts';

/** The close code of a connection that takes nothing: its client comes back on it. */
const TRY_AGAIN_LATER = 1013;
const STALL_LOOK_MS = 1_000;
/** How long a stalled client is given to take the close frame before it is cut. */
const CLOSE_TIMEOUT_MS = 2_000;

/** Bounds of what is kept for a client that reads slowly. */
export interface SlowReaderBounds {
  /** Above so many unsent bytes a connection's contracts are only marked. */
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
  /** Looks whether a backlogged connection takes anything. */
  checkStall(nowMs: number): void;
}

/** Sends what changed in a tick at its end, one write for each connection. */
export class FanOut {
  readonly counts: FanOutCounts = { frames: 0, bytes: 0, conflated: 0, stalled: 0 };
  /** What the tick has brought so far. Nothing is added while it is written. */
  readonly log = new TickLog();
  /** What the connection is sent that is being written. */
  readonly batch = new FrameBatch();
  readonly bounds: SlowReaderBounds;
  readonly #hub: ContractHub;
  readonly #backlogged = new Set<TickMember>();
  readonly #closing = new Set<NodeJS.Timeout>();
  readonly #flushed: (seconds: number) => void;
  /** Who has something to write, those together who begin with the same projection. */
  readonly #due = new Map<Projection, TickMember[]>();
  readonly #tickEnd = new TickEnd(
    () => this.#extent(),
    () => this.#flush(),
  );
  #lastProjection: Projection | undefined;
  #lastDue: TickMember[] = [];
  #looking: NodeJS.Timeout | undefined;

  /** @param flushed told how long each tick took to write */
  constructor(hub: ContractHub, bounds: SlowReaderBounds, flushed: (seconds: number) => void) {
    this.#hub = hub;
    this.bounds = bounds;
    this.#flushed = flushed;
  }

  /** The newest state of a contract; `undefined` for one not held. */
  stateOf(key: ContractKey): ContractState | undefined {
    return this.#hub.stateOf(key);
  }

  /**
   * The connection has something to write at the end of the tick.
   *
   * @param first what its first state is seen through: frames are laid out once for connections that are
   *   written one after the other and are sent the same
   */
  schedule(connection: TickMember, first: Projection): void {
    if (first !== this.#lastProjection) {
      if (this.#due.size === 0) this.#tickEnd.begin();
      let due = this.#due.get(first);
      if (due === undefined) {
        due = [];
        this.#due.set(first, due);
      }
      this.#lastProjection = first;
      this.#lastDue = due;
    }
    this.#lastDue.push(connection);
  }

  #extent(): TickExtent {
    let connections = 0;
    for (const due of this.#due.values()) connections += due.length;
    return { connections, states: this.log.stateCount };
  }

  #flush(): void {
    const startMs = performance.now();
    const due = [...this.#due.values()];
    this.#due.clear();
    this.#lastProjection = undefined;
    this.#lastDue = [];
    for (const connections of due) {
      for (const connection of connections) connection.flush();
    }
    this.log.clear();
    this.batch.forget();
    this.#flushed((performance.now() - startMs) / 1000);
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
    this.#tickEnd.close();
    clearInterval(this.#looking);
    for (const timer of this.#closing) clearTimeout(timer);
    this.#closing.clear();
    this.#backlogged.clear();
  }
}
