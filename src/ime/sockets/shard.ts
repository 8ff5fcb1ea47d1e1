import type { ContractKey, KeySpace } from '../../contract/key.ts';
import type { Credential } from '../credentials/credentials.ts';
import { type DecodedFrame, decodeMessage } from '../protocol/decode.ts';
import { type AuthorizationForm, subscriptionUrl } from '../protocol/endpoints.ts';
import type { DialTurn } from './dial-gate.ts';
import { classifyEnd, type FailureClass, redialAfterMs } from './failure.ts';
import type { ShardState } from './shard-state.ts';
import { ImeSocket, type SocketEnd } from './socket.ts';
import type { Upstream } from './upstream.ts';

/** A new socket's messages may begin a little after its opening: on quiet contracts it is given this. */
const QUIET_SETTLE_MS = 3_000;
/** Open for so long, a socket has shown that dialing works again. */
const STABLE_MS = 30_000;

/** A message that was read. */
export type DecodedMessage = Extract<DecodedFrame, { ok: true }>;

/** Why a shard's connection ended. */
export interface ShardFailure {
  readonly class: FailureClass;
  readonly end: SocketEnd;
  /** For how long it had been open, in milliseconds; `undefined` where the handshake failed. */
  readonly openForMs: number | undefined;
  /** Whether the subscription had been accepted. */
  readonly wasAccepted: boolean;
}

/** Who owns shards: told in the order in which things happen, and nothing after `close`. */
export interface ShardOwner {
  shardDials(shard: Shard): void;
  shardReceived(shard: Shard, message: DecodedMessage): void;
  /** A message of one of its contracts cannot be read. */
  shardUnreadable(shard: Shard, key: ContractKey, fault: string): void;
  shardAccepted(shard: Shard): void;
  /** The shard's connection is accepted and delivers: what it replaces can go. */
  shardSettled(shard: Shard): void;
  /** The connection ended; the shard does nothing until it is told to {@link Shard.retry}. */
  shardEnded(shard: Shard, failure: ShardFailure): void;
}

let lastShardId = 0;

/** Contracts that one socket carries. Its set is fixed while a socket is open, as IME's URL is. */
export class Shard {
  /** Grows by one with each shard: tells the older of two. */
  readonly id = ++lastShardId;
  keys: ReadonlySet<ContractKey>;
  readonly #upstream: Upstream;
  readonly #owner: ShardOwner;
  readonly #space: KeySpace;
  #turn: DialTurn;
  readonly #silentKeys = new Set<ContractKey>();
  #state: ShardState = 'new';
  #socket: ImeSocket | undefined;
  #cancel: () => void = () => {};
  #giveUpTurn: () => void = () => {};
  #handshakeOver: () => void = () => {};
  #attempt = 0;
  #dials = 0;
  #dialedAtMs = 0;
  /** In epoch milliseconds, to be shown; and by the monotonic clock. */
  #openedAtMs: number | undefined;
  #openSinceMs = 0;
  #lastMessageAtMs: number | undefined;
  #settledAtMs: number | undefined;
  #credential: Credential | undefined;
  #form: AuthorizationForm = 'bearer';
  #failure: ShardFailure | undefined;

  /** @param turn how it waits for its turn to dial */
  constructor(
    upstream: Upstream,
    owner: ShardOwner,
    space: KeySpace,
    keys: Iterable<ContractKey>,
    turn: DialTurn,
  ) {
    this.#upstream = upstream;
    this.#owner = owner;
    this.#space = space;
    this.#turn = turn;
    this.keys = new Set(keys);
  }

  get state(): ShardState {
    return this.#state;
  }

  get isOpen(): boolean {
    return this.#state === 'open' || this.isAccepted;
  }

  get isAccepted(): boolean {
    return this.#state === 'accepted' || this.#state === 'settled';
  }

  /** Epoch milliseconds; `undefined` while not open. */
  get openedAtMs(): number | undefined {
    return this.#openedAtMs;
  }

  /** Epoch milliseconds; `undefined` before the first one. */
  get lastMessageAtMs(): number | undefined {
    return this.#lastMessageAtMs;
  }

  /** When it dialed last, by the monotonic clock. */
  get dialedAtMs(): number {
    return this.#dialedAtMs;
  }

  /** What it has shown when it dialed last, and in which form. */
  get credential(): Credential | undefined {
    return this.#credential;
  }

  get form(): AuthorizationForm {
    return this.#form;
  }

  /** Since when it has been settled, by the monotonic clock; `undefined` while it is not. */
  get settledAtMs(): number | undefined {
    return this.#state === 'settled' ? this.#settledAtMs : undefined;
  }

  /** How often it has dialed again after its first dial. */
  get reconnects(): number {
    return Math.max(0, this.#dials - 1);
  }

  /** Why its last connection ended; `undefined` while it has one. */
  get failure(): ShardFailure | undefined {
    return this.#failure;
  }

  /** Whether its last connection ended before any message, and so soon that its contracts may never have been accepted. */
  get wasRefusedFirst(): boolean {
    const openForMs = this.#failure?.openForMs ?? STABLE_MS;
    return this.#lastMessageAtMs === undefined && openForMs < STABLE_MS;
  }

  /** Asks for a turn to dial. */
  dial(): void {
    if (this.#state !== 'new' && this.#state !== 'waiting') return;
    this.#disarm();
    this.#setState('queued');
    this.#giveUpTurn = this.#upstream.gate.request((done) => this.#connect(done), this.#turn);
  }

  /** Dials again after the failure's own waiting time, with `keys`. */
  retry(keys: Iterable<ContractKey>): void {
    if (this.#state !== 'waiting' || this.#failure === undefined) return;
    this.keys = new Set(keys);
    const { class: failureClass, end } = this.#failure;
    this.#arm(redialAfterMs(failureClass, end, this.#attempt++), () => this.dial());
  }

  /** Ends the connection and everything that waits. */
  close(): void {
    if (this.#state === 'closed') return;
    this.#setState('closed');
    this.#disarm();
    this.#giveUpTurn();
    this.#handshakeOver();
    this.#socket?.close();
    this.#socket = undefined;
  }

  #setState(state: ShardState): void {
    this.#state = state;
  }

  #connect(done: () => void): void {
    this.#handshakeOver = done;
    this.#setState('dialing');
    this.#dials++;
    this.#dialedAtMs = this.#upstream.clock.monotonicMs();
    this.#credential = this.#upstream.credentials.current;
    this.#form = this.#upstream.authorization.form;
    this.#silentKeys.clear();
    for (const key of this.keys) this.#silentKeys.add(key);
    this.#owner.shardDials(this);
    const { base, pingIntervalMs, pingTimeoutMs } = this.#upstream.settings;
    const socket = new ImeSocket(
      {
        url: subscriptionUrl(base, this.#space, this.keys),
        headers: this.#upstream.headersFor(this.#credential),
        pingIntervalMs,
        pingTimeoutMs,
        clock: this.#upstream.clock,
        dial: this.#upstream.dial,
      },
      {
        onOpen: () => this.#socket === socket && this.#opened(done),
        onFrame: (frame, isBinary) => this.#socket === socket && this.#received(frame, isBinary),
        onEnd: (end) => this.#socket === socket && this.#ended(end),
      },
    );
    this.#socket = socket;
  }

  #opened(done: () => void): void {
    this.#openedAtMs = this.#upstream.clock.nowMs();
    this.#openSinceMs = this.#upstream.clock.monotonicMs();
    this.#lastMessageAtMs = undefined;
    this.#failure = undefined;
    this.#setState('open');
    this.#arm(this.#upstream.acceptance.acceptedAfterMs, () => this.#accept());
    // While nothing has been accepted yet the next handshake waits for this one's answer.
    if (this.#upstream.gate.trusting) done();
  }

  #received(frame: Buffer, isBinary: boolean): void {
    const receivedAtMs = this.#upstream.clock.nowMs();
    const decoded = decodeMessage(frame, isBinary, this.#space, receivedAtMs, this.#upstream.zone);
    const { counts } = this.#upstream;
    if (!decoded.ok || !this.keys.has(decoded.key)) {
      const fault = decoded.ok ? 'foreign' : decoded.fault;
      counts.droppedFrames[fault]++;
      const held = this.#upstream.repeats.pass(`frame ${fault}`);
      if (held !== undefined) {
        this.#upstream.log.warn({ fault, bytes: frame.length, held }, 'dropped a frame of IME');
      }
      if (!decoded.ok && decoded.key !== undefined && this.keys.has(decoded.key)) {
        this.#owner.shardUnreadable(this, decoded.key, fault);
      }
      return;
    }
    counts.messages++;
    counts.missingFields += decoded.missingFields;
    if (decoded.partial) counts.partialMessages++;
    this.#lastMessageAtMs = receivedAtMs;
    this.#silentKeys.delete(decoded.key);
    this.#owner.shardReceived(this, decoded);
    if (this.#state === 'open' && this.#silentKeys.size === 0) this.#accept();
    else if (this.#state === 'accepted') this.#settle();
  }

  #accept(): void {
    if (this.#state !== 'open') return;
    this.#setState('accepted');
    // What is known to be accepted is nobody's trial any more: it dials again as all others do.
    this.#turn = 'ordinary';
    this.#handshakeOver();
    this.#disarm();
    this.#owner.shardAccepted(this);
    if (!this.isAccepted) return;
    const openForMs = this.#upstream.clock.monotonicMs() - this.#openSinceMs;
    if (this.#lastMessageAtMs !== undefined) this.#settle();
    else this.#arm(Math.max(0, QUIET_SETTLE_MS - openForMs), () => this.#settle());
  }

  #settle(): void {
    if (this.#state !== 'accepted') return;
    this.#disarm();
    this.#settledAtMs = this.#upstream.clock.monotonicMs();
    this.#setState('settled');
    this.#owner.shardSettled(this);
  }

  #ended(end: SocketEnd): void {
    const { clock } = this.#upstream;
    const openForMs =
      this.#openedAtMs === undefined ? undefined : clock.monotonicMs() - this.#openSinceMs;
    const failure = { class: classifyEnd(end), end, openForMs, wasAccepted: this.isAccepted };
    // A refusal comes before any message. One that comes after is of a subscription that was accepted.
    this.#failure = failure;
    if (failure.class === 'ambiguous' && this.wasRefusedFirst) {
      this.#upstream.acceptance.refusedAfter(openForMs ?? 0);
    }
    // Whatever came before: a connection that breaks the protocol would be dialed again and again.
    const worked = this.#lastMessageAtMs !== undefined || (openForMs ?? 0) >= STABLE_MS;
    if (openForMs !== undefined && worked && failure.class !== 'protocol') this.#attempt = 0;
    this.#upstream.counts.failures[failure.class]++;
    this.#socket = undefined;
    this.#openedAtMs = undefined;
    this.#disarm();
    this.#setState('waiting');
    this.#handshakeOver();
    this.#owner.shardEnded(this, failure);
  }

  #arm(inMs: number, run: () => void): void {
    this.#disarm();
    this.#cancel = this.#upstream.clock.setTimeout(run, inMs);
  }

  #disarm(): void {
    this.#cancel();
  }
}
