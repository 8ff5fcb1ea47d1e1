import type { Socket } from 'node:net';
import type { WebSocket } from 'ws';
import type { ContractKey } from '../contract/key.ts';
import type { ContractState } from '../hub/contract-state.ts';
import type { FanOut, TickMember } from './fanout.ts';
import { nextMessage } from './frame-batch.ts';
import { type CarriedSubscription, NOWHERE } from './tick-log.ts';

/** How much is handed to the socket in one write, in bytes. */
const WRITE_BYTES = 64 * 1024;

/** What a connection holds while its client reads slowly. */
interface Backlog {
  /** Which contracts of which subscriptions have changed, in that order. */
  readonly marks: Map<string, { readonly to: CarriedSubscription; readonly key: ContractKey }>;
  /** When the client last took something, by `performance.now()`. */
  takenAtMs: number;
  unsentBytes: number;
}

/**
 * The updates of one WebSocket connection. What changes in a tick goes out in one write. Once more is
 * unsent than its bound, only which contracts have changed is kept, and the newest state of each is
 * sent when the socket has drained, in the order in which they changed.
 */
export class ConnectionWriter implements TickMember {
  readonly #client: WebSocket;
  readonly #socket: Socket;
  readonly #fanOut: FanOut;
  readonly #isCompressed: boolean;
  /** Where the tick's log has the runs that are pushed and not yet written. */
  #first = NOWHERE;
  #last = NOWHERE;
  #backlog: Backlog | undefined;
  #flow: 'flowing' | 'backlogged' | 'closed' = 'flowing';

  /** @param socket the TCP socket below `client` */
  constructor(client: WebSocket, socket: Socket, fanOut: FanOut) {
    this.#client = client;
    this.#socket = socket;
    this.#fanOut = fanOut;
    this.#isCompressed = client.extensions !== '';
  }

  /** How much the client has sent so far, in bytes. */
  get bytesRead(): number {
    return this.#socket.bytesRead;
  }

  /** A state for one of the connection's subscriptions; it goes out at the end of the tick. */
  push(to: CarriedSubscription, state: ContractState): void {
    if (this.#flow === 'flowing') {
      this.#last = this.#fanOut.log.add(to, state, this.#last);
      if (this.#first !== NOWHERE) return;
      this.#first = this.#last;
      this.#fanOut.schedule(this, to.projection);
    } else if (this.#flow === 'backlogged') {
      this.#mark(to, state.key);
    }
  }

  /** Sends a payload of a subscription at once, behind what has been pushed. */
  send(to: CarriedSubscription, payload: Buffer): void {
    this.flush();
    if (this.#client.readyState !== this.#client.OPEN) return;
    this.#client.send(nextMessage(to.wireId, payload), { binary: false });
  }

  /** Sends a message of the protocol behind what has been pushed. */
  sendMessage(message: object): void {
    this.flush();
    if (this.#client.readyState !== this.#client.OPEN) return;
    this.#client.send(JSON.stringify(message));
  }

  /** Writes what has been pushed. */
  flush(): void {
    const { batch, log } = this.#fanOut;
    let place = this.#first;
    this.#first = NOWHERE;
    this.#last = NOWHERE;
    batch.clear();
    for (; place !== NOWHERE; place = log.next(place)) {
      const to = log.to(place);
      const end = log.end(place);
      let at = log.from(place);
      for (; at < end && this.#flow === 'flowing' && !to.isOver; at++) {
        batch.add(to.wireId, to.projection, log.state(at));
        if (batch.bytes >= WRITE_BYTES) this.#write();
      }
      if (this.#flow !== 'backlogged') continue;
      for (; at < end; at++) this.#mark(to, log.state(at).key);
    }
    this.#write();
  }

  /** Writes what has been pushed and marked for one subscription, however much is unsent. */
  finish(to: CarriedSubscription): void {
    this.flush();
    const marks = this.#backlog?.marks;
    for (const [mark, marked] of marks ?? []) {
      if (marked.to !== to) continue;
      marks?.delete(mark);
      const state = this.#fanOut.stateOf(marked.key);
      if (state !== undefined) this.send(to, to.projection.payload(state));
    }
  }

  /** Looks whether a backlogged connection takes anything; closes it where it has not for too long. */
  checkStall(nowMs: number): void {
    const backlog = this.#backlog;
    if (backlog === undefined) return;
    const { writableLength } = this.#socket;
    if (writableLength < backlog.unsentBytes) backlog.takenAtMs = nowMs;
    backlog.unsentBytes = writableLength;
    if (nowMs - backlog.takenAtMs < this.#fanOut.bounds.stallMs) return;
    this.close();
    this.#fanOut.stalled(this.#client);
  }

  /** Nothing is sent any more; harmless when repeated. */
  close(): void {
    this.#setFlow('closed');
  }

  #setFlow(flow: 'flowing' | 'backlogged' | 'closed'): void {
    if (this.#flow === 'closed' || this.#flow === flow) return;
    const backlog = this.#backlog;
    this.#flow = flow;
    this.#backlog = undefined;
    if (backlog !== undefined) this.#fanOut.unwatch(this);
    if (flow === 'backlogged') {
      const { writableLength: unsentBytes } = this.#socket;
      this.#backlog = { marks: new Map(), takenAtMs: performance.now(), unsentBytes };
      this.#fanOut.watch(this);
      this.#socket.once('drain', () => this.#setFlow('flowing'));
    } else if (flow === 'flowing') {
      for (const { to, key } of backlog?.marks.values() ?? []) {
        const state = this.#fanOut.stateOf(key);
        if (state !== undefined) this.push(to, state);
      }
    }
  }

  #mark(to: CarriedSubscription, key: ContractKey): void {
    const marks = this.#backlog?.marks;
    const mark = `${to.wireId} ${key}`;
    // Deleting first moves a contract that changes again behind those that changed before.
    if (marks?.delete(mark)) this.#fanOut.counts.conflated++;
    marks?.set(mark, { to, key });
  }

  /** Writes the fan-out's batch, which it leaves empty. */
  #write(): void {
    const { batch, counts, bounds } = this.#fanOut;
    if (batch.count === 0) return;
    if (this.#client.readyState === this.#client.OPEN) {
      counts.frames += batch.count;
      counts.bytes += batch.bytes;
      if (this.#isCompressed) {
        // Compression is the connection's own, and each message goes through it.
        for (const message of batch.messages()) this.#client.send(message, { binary: false });
      } else if (this.#socket.writableLength > 0) {
        this.#socket.write(batch.own());
      } else {
        // What the kernel takes at once leaves the buffer free for the next connection.
        this.#socket.write(batch.shared());
        if (this.#socket.writableLength > 0) batch.kept();
      }
      if (this.#socket.writableLength > bounds.bufferBytes) this.#setFlow('backlogged');
    }
    batch.clear();
  }
}
