import type { Duplex } from 'node:stream';
import type { WebSocket } from 'ws';
import type { ContractKey } from '../contract/key.ts';
import type { ContractState } from '../hub/contract-state.ts';
import type { ContractHub } from '../hub/hub.ts';
import type { FanOut, TickMember } from './fanout.ts';
import { headerBytes, type NextFrames, writeHeader } from './next-frames.ts';

/** How much is handed to the socket in one write, in bytes. */
const WRITE_BYTES = 64 * 1024;

/** Bounds of what is kept for a client that reads slowly. */
export interface SlowReaderBounds {
  /** Above so many unsent bytes a connection's contracts are only marked. */
  readonly bufferBytes: number;
  /** A connection that takes nothing for so long is closed, in milliseconds. */
  readonly stallMs: number;
}

// What is due in one write, of whichever connection is written: nothing of it outlives the write.
const DUE_TO: NextFrames[] = [];
const DUE_PAYLOADS: Buffer[] = [];

/** A state for one of the connection's subscriptions. */
interface Frame {
  readonly to: NextFrames;
  readonly state: ContractState;
}

/**
 * The updates of one WebSocket connection. What changes in a tick goes out in one write. Once more is
 * unsent than its bound, only which contracts have changed is kept, and the newest state of each is
 * sent when the socket has drained, in the order in which they changed.
 */
export class ClientConnection implements TickMember {
  readonly #client: WebSocket;
  readonly #socket: Duplex;
  readonly #hub: ContractHub;
  readonly #fanOut: FanOut;
  readonly #bounds: SlowReaderBounds;
  readonly #isCompressed: boolean;
  #frames: Frame[] = [];
  /** Made with the first backlog: most connections never have one. */
  #marks: Map<string, { readonly to: NextFrames; readonly key: ContractKey }> | undefined;
  #state: 'flowing' | 'backlogged' | 'closed' = 'flowing';
  #takenAtMs = 0;
  #unsentBytes = 0;

  /** @param socket the TCP socket below `client` */
  constructor(
    client: WebSocket,
    socket: Duplex,
    hub: ContractHub,
    fanOut: FanOut,
    bounds: SlowReaderBounds,
  ) {
    this.#client = client;
    this.#socket = socket;
    this.#hub = hub;
    this.#fanOut = fanOut;
    this.#bounds = bounds;
    this.#isCompressed = client.extensions !== '';
    client.once('close', () => this.#setState('closed'));
  }

  /** A state for one of the connection's subscriptions; it goes out at the end of the tick. */
  push(to: NextFrames, state: ContractState): void {
    if (this.#state === 'flowing') {
      if (this.#frames.length === 0) this.#fanOut.schedule(this);
      this.#frames.push({ to, state });
    } else if (this.#state === 'backlogged') {
      this.#mark(to, state.key);
    }
  }

  /** Sends a payload of a subscription at once, behind what has been pushed. */
  send(to: NextFrames, payload: Buffer): void {
    this.flush();
    if (this.#client.readyState !== this.#client.OPEN) return;
    const message = Buffer.allocUnsafe(to.messageBytes(payload));
    to.writeMessage(payload, message, 0);
    this.#client.send(message, { binary: false });
  }

  /** Writes what has been pushed. */
  flush(): void {
    const frames = this.#frames;
    this.#frames = [];
    let at = 0;
    while (at < frames.length && this.#state === 'flowing') at = this.#write(frames, at);
    if (this.#state !== 'backlogged') return;
    for (const { to, state } of frames.slice(at)) this.#mark(to, state.key);
  }

  /** Writes what has been pushed and marked for one subscription, however much is unsent. */
  finish(to: NextFrames): void {
    this.flush();
    for (const [mark, marked] of this.#marks ?? []) {
      if (marked.to !== to) continue;
      this.#marks?.delete(mark);
      const state = this.#hub.stateOf(marked.key);
      if (state !== undefined) this.#write([{ to, state }], 0);
    }
  }

  /** Looks whether a backlogged connection takes anything; closes it where it has not for too long. */
  checkStall(nowMs: number): void {
    if (this.#state !== 'backlogged') return;
    const { writableLength } = this.#socket;
    if (writableLength < this.#unsentBytes) this.#takenAtMs = nowMs;
    this.#unsentBytes = writableLength;
    if (nowMs - this.#takenAtMs < this.#bounds.stallMs) return;
    this.#setState('closed');
    this.#fanOut.stalled(this.#client);
  }

  #setState(state: 'flowing' | 'backlogged' | 'closed'): void {
    if (this.#state === 'closed') return;
    this.#state = state;
    if (state === 'backlogged') {
      this.#takenAtMs = performance.now();
      this.#unsentBytes = this.#socket.writableLength;
      this.#fanOut.watch(this);
      this.#socket.once('drain', () => this.#drained());
      return;
    }
    this.#fanOut.unwatch(this);
    if (state === 'closed') {
      this.#frames = [];
      this.#marks = undefined;
    }
  }

  #drained(): void {
    if (this.#state !== 'backlogged') return;
    this.#setState('flowing');
    const marks = this.#marks;
    this.#marks = undefined;
    for (const { to, key } of marks?.values() ?? []) {
      const state = this.#hub.stateOf(key);
      if (state !== undefined) this.push(to, state);
    }
  }

  #mark(to: NextFrames, key: ContractKey): void {
    this.#marks ??= new Map();
    const mark = `${to.id} ${key}`;
    // Deleting first moves a contract that changes again behind those that changed before.
    if (this.#marks.delete(mark)) this.#fanOut.counts.conflated++;
    this.#marks.set(mark, { to, key });
  }

  /** Writes frames from `at` on, up to one write's worth. @returns the place of the first not written */
  #write(frames: readonly Frame[], at: number): number {
    let bytes = 0;
    let next = at;
    let count = 0;
    while (next < frames.length && bytes < WRITE_BYTES) {
      const { to, state } = frames[next++] as Frame;
      if (to.ended) continue;
      const payload = to.payload(state);
      const messageBytes = to.messageBytes(payload);
      DUE_TO[count] = to;
      DUE_PAYLOADS[count] = payload;
      count++;
      bytes += headerBytes(messageBytes) + messageBytes;
    }
    if (bytes === 0 || this.#client.readyState !== this.#client.OPEN) return next;
    this.#fanOut.counts.frames += count;
    this.#fanOut.counts.bytes += bytes;
    if (this.#isCompressed) this.#sendEach(count);
    else this.#writeAll(count, bytes);
    if (this.#socket.writableLength > this.#bounds.bufferBytes) this.#setState('backlogged');
    return next;
  }

  /** Writes what is due in one write. */
  #writeAll(count: number, bytes: number): void {
    // What the kernel takes at once leaves the buffer free for the next connection.
    const isFlowing = this.#socket.writableLength === 0;
    const written = isFlowing ? this.#fanOut.buffer(bytes) : Buffer.allocUnsafe(bytes);
    let end = 0;
    for (let at = 0; at < count; at++) {
      const to = DUE_TO[at] as NextFrames;
      const payload = DUE_PAYLOADS[at] as Buffer;
      end = to.writeMessage(payload, written, writeHeader(to.messageBytes(payload), written, end));
    }
    this.#socket.write(written);
    if (isFlowing && this.#socket.writableLength > 0) this.#fanOut.kept();
  }

  /** Sends what is due message by message: compression is the connection's own, and each goes through it. */
  #sendEach(count: number): void {
    for (let at = 0; at < count; at++) {
      const to = DUE_TO[at] as NextFrames;
      const payload = DUE_PAYLOADS[at] as Buffer;
      const message = Buffer.allocUnsafe(to.messageBytes(payload));
      to.writeMessage(payload, message, 0);
      this.#client.send(message, { binary: false });
    }
  }
}
