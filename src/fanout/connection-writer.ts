import { Socket } from 'node:net';
import type { WebSocket } from 'ws';
import type { ContractKey } from '../contract/key.ts';
import type { ContractState } from '../hub/contract-state.ts';
import { ReadingWatch } from '../lib/reading-watch.ts';
import type { FanOut, TickMember } from './fanout.ts';
import type { CarriedSubscription } from './frame-encoder.ts';
import { type LateMessage, LateMessages } from './late-messages.ts';
import { UnreadStates } from './unread-states.ts';

/** How much is handed to the socket in one write, in bytes. */
const WRITE_BYTES = 64 * 1024;
/** How soon it is looked again whether ws has compressed what waits for it, in milliseconds. */
const COMPRESSING_MS = 20;
/** How much may wait besides for being compressed: that is the gateway's slowness, not its client's. */
const COMPRESSING_BYTES = 4 * 1024 * 1024;
const NOTHING = Buffer.alloc(0);

type Flow = 'flowing' | 'clogged' | 'closed';

/** Who reads from the client that is written to, and may stop while it does not read. */
export interface ReadingOwner {
  /** More is unsent than the bound, of whatever kind. */
  clogged(): void;
  /** The client has taken what was unsent. */
  flowing(): void;
}

/**
 * What is written to one WebSocket connection. What changes in a tick goes out in one write. Once more is
 * unsent than its bound, be it updates or messages of the protocol, the connection is clogged: of what
 * changes only the newest state of each contract is kept, and sent when the client has taken the rest.
 */
export class ConnectionWriter implements TickMember {
  readonly #client: WebSocket;
  readonly #socket: Socket;
  readonly #fanOut: FanOut;
  readonly #owner: ReadingOwner | undefined;
  /** Whether each message goes through ws, which compresses it. */
  readonly #isCompressing: boolean;
  /** Subscriptions and what they are sent at the end of the tick, in turn. */
  #pending: (CarriedSubscription | ContractState)[] | undefined;
  #unread: UnreadStates | undefined;
  #late: LateMessages | undefined;
  /** There while something is unsent. */
  #watch: ReadingWatch | undefined;
  #compressing: NodeJS.Timeout | undefined;
  #flow: Flow = 'flowing';
  #ownerKnows: 'flowing' | 'clogged' = 'flowing';

  /**
   * @param socket the socket below `client`
   * @param owner told when reading from the client should stop and go on
   * @throws TypeError for a socket that is no socket of the system's
   */
  constructor(client: WebSocket, socket: Socket, fanOut: FanOut, owner?: ReadingOwner) {
    // Of any other stream nobody knows whether it is done with a buffer once nothing is unsent.
    if (!(socket instanceof Socket)) throw new TypeError('expected a TCP or TLS socket');
    this.#client = client;
    this.#socket = socket;
    this.#fanOut = fanOut;
    this.#owner = owner;
    this.#isCompressing = client.extensions !== '';
  }

  /** How much the client has sent so far, in bytes. */
  get bytesRead(): number {
    return this.#socket.bytesRead;
  }

  /** How much is written that the client has not taken, of whatever kind, in bytes. */
  get unsentBytes(): number {
    return this.#isCompressing ? this.#client.bufferedAmount : this.#socket.writableLength;
  }

  /** Whether more is unsent than the bound, and since then not all of it was taken. */
  get isClogged(): boolean {
    return this.#flow === 'clogged';
  }

  /** A state for one of the connection's subscriptions; it goes out at the end of the tick. */
  push(to: CarriedSubscription, state: ContractState): void {
    if (this.#flow === 'flowing') {
      this.#fanOut.gathered(state);
      if (this.#pending !== undefined) {
        this.#pending.push(to, state);
        return;
      }
      this.#pending = [to, state];
      this.#fanOut.schedule(this, to.encoder);
    } else if (this.#flow === 'clogged') {
      this.#keep(to, state);
    }
  }

  /** A message that is made when it is written: at the end of the tick, or once the client has read. */
  offer(late: LateMessage): void {
    if (this.#flow === 'closed') return;
    this.#late ??= new LateMessages(this.#client, this.#fanOut, () => this.#scheduleLate());
    this.#late.add(late);
    this.#scheduleLate();
  }

  /** Sends a message at once, behind what has been pushed. */
  send(message: Buffer | string): void {
    this.flush();
    if (this.#client.readyState !== this.#client.OPEN) return;
    this.#client.send(message, { binary: false });
    this.check();
  }

  /** {@link send} for a protocol that speaks JSON. */
  sendMessage(message: object): void {
    this.send(JSON.stringify(message));
  }

  /** Writes what has been pushed. */
  flush(): void {
    const pending = this.#pending;
    if (pending === undefined) return;
    this.#pending = undefined;
    const { batch } = this.#fanOut;
    batch.clear();
    let at = 0;
    for (; at < pending.length && this.#flow === 'flowing'; at += 2) {
      const to = pending[at] as CarriedSubscription;
      if (to.isOver) continue;
      batch.add(to, pending[at + 1] as ContractState);
      if (batch.bytes >= WRITE_BYTES) this.#write();
    }
    this.#write();
    if (this.#flow === 'clogged') {
      for (; at < pending.length; at += 2) {
        this.#keep(pending[at] as CarriedSubscription, pending[at + 1] as ContractState);
      }
    }
    while (this.#flow === 'flowing' && this.#late?.write()) this.check();
    this.check();
  }

  /** Writes what has been pushed and kept for one subscription, however much is unsent. */
  finish(to: CarriedSubscription): void {
    this.flush();
    const { batch } = this.#fanOut;
    batch.clear();
    for (const state of this.#unread?.take(to) ?? []) {
      batch.add(to, state);
      if (batch.bytes >= WRITE_BYTES) this.#write();
    }
    this.#write();
    this.check();
  }

  /** A subscription is over: nothing is kept for it any more. */
  forget(to: CarriedSubscription): void {
    this.#unread?.take(to);
    this.#late?.delete(to);
  }

  /** Nothing of some contracts is kept for a subscription any more. */
  forgetContracts(to: CarriedSubscription, which: (key: ContractKey) => boolean): void {
    this.#unread?.drop(to, which);
  }

  /** Takes account of what was written; to be called as well by who writes past this. */
  check(): void {
    if (this.#flow === 'closed' || this.unsentBytes === 0) return;
    if (this.#watch === undefined) {
      this.#watch = new ReadingWatch(this.#socket, performance.now());
      this.#fanOut.watch(this);
    }
    if (this.#isTooMuch()) this.#setFlow('clogged');
    if (this.#flow === 'clogged') this.#tell('clogged');
  }

  /** Closes the connection where its client has taken nothing for too long, whatever waits for it. */
  checkStall(nowMs: number): void {
    if (this.unsentBytes === 0) {
      this.#unwatch();
    } else if ((this.#watch?.idleMs(nowMs) ?? 0) >= this.#fanOut.bounds.stallMs) {
      this.close();
      this.#fanOut.stalled(this.#client);
    }
  }

  /** Ends the connection at once: something of it has failed. */
  fail(): void {
    this.close();
    this.#client.terminate();
  }

  /** Nothing is sent any more; harmless when repeated. */
  close(): void {
    this.#setFlow('closed');
  }

  #isTooMuch(): boolean {
    const bufferBytes = this.#fanOut.bounds.bufferBytes + (this.#late?.longBytes ?? 0);
    if (this.#socket.writableLength > bufferBytes) return true;
    return this.#isCompressing && this.#client.bufferedAmount > bufferBytes + COMPRESSING_BYTES;
  }

  #setFlow(flow: Flow): void {
    if (this.#flow === 'closed' || this.#flow === flow) return;
    const unread = this.#unread;
    this.#flow = flow;
    this.#unread = undefined;
    if (flow === 'clogged') {
      this.#unread = new UnreadStates();
      this.#awaitReading();
    } else if (flow === 'flowing') {
      for (const to of unread?.subscriptions() ?? []) {
        for (const state of unread?.take(to) ?? []) this.push(to, state);
      }
      this.#scheduleLate();
      this.#tell('flowing');
    } else {
      this.#pending = undefined;
      this.#late = undefined;
      clearTimeout(this.#compressing);
      this.#unwatch();
    }
  }

  #tell(flow: 'flowing' | 'clogged'): void {
    if (this.#ownerKnows === flow) return;
    this.#ownerKnows = flow;
    if (flow === 'clogged') this.#owner?.clogged();
    else this.#owner?.flowing();
  }

  #unwatch(): void {
    if (this.#watch !== undefined) this.#fanOut.unwatch(this);
    this.#watch = undefined;
  }

  #keep(to: CarriedSubscription, state: ContractState): void {
    if (to.isOver) return;
    if (this.#unread?.add(to, state)) this.#fanOut.counts.conflated++;
  }

  /**
   * Waits until the client has taken what is unsent now. An empty write says it: it is over when all
   * before it are. The socket's `drain` comes only where its own bound, 16 or 64 KiB, was passed too.
   */
  #awaitReading(): void {
    const read = () => {
      try {
        this.#read();
      } catch (error) {
        this.#fanOut.failed(this, error);
      }
    };
    if (!this.#socket.writable) return;
    if (this.#socket.writableLength <= this.#fanOut.bounds.bufferBytes) {
      this.#compressing = setTimeout(read, COMPRESSING_MS);
    } else {
      this.#socket.write(NOTHING, (error) => {
        // What becomes of a broken connection is told by its end.
        if (!error) read();
      });
    }
  }

  #read(): void {
    if (this.#flow !== 'clogged') return;
    if (this.#isTooMuch()) this.#awaitReading();
    else this.#setFlow('flowing');
  }

  #scheduleLate(): void {
    const late = this.#late?.first;
    if (late === undefined || this.#flow !== 'flowing' || this.#pending !== undefined) return;
    this.#pending = [];
    this.#fanOut.schedule(this, late.encoder);
  }

  /** Writes the fan-out's batch, which it leaves empty. */
  #write(): void {
    const { batch, counts } = this.#fanOut;
    if (batch.count === 0) return;
    if (this.#client.readyState === this.#client.OPEN) {
      counts.frames += batch.count;
      counts.bytes += batch.bytes;
      if (this.#isCompressing) {
        // Compression is the connection's own, and each message goes through it.
        for (const message of batch.messages()) this.#client.send(message, { binary: false });
      } else if (this.#socket.writableLength > 0) {
        this.#socket.write(batch.own());
      } else {
        this.#socket.write(batch.shared());
        // Nothing is unsent: nobody has the buffer any more, and the next connection may. Anything else,
        // a full or corked socket or one that encrypts later, keeps what it was given.
        if (this.#socket.writableLength > 0) batch.kept();
      }
      if (this.#isTooMuch()) this.#setFlow('clogged');
    }
    batch.clear();
  }
}
