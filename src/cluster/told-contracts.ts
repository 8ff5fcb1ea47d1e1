import { randomBytes } from 'node:crypto';
import {
  AWAITING_STATE,
  type ContractStatus,
  type StatusCause,
} from '../contract/contract-status.ts';
import type { ContractKey } from '../contract/key.ts';
import type { Position } from '../hub/position.ts';
import type { ContractSink } from '../hub/source.ts';
import { type ContractMessage, readMessage, readState } from './wire.ts';

const EPOCH_BYTES = 4;

const BEGUN_ANEW: StatusCause = {
  code: 'UPSTREAM_LOST',
  reason: 'Redis has come back empty; no state has arrived since.',
};

/** A contract that this gateway wants, and what it has told of it. */
interface Told {
  readonly key: ContractKey;
  /** What is stored of it has been read over the connection that is open now. */
  isRead: boolean;
  /** Number of its last state; 0 before the first. */
  sequence: number;
  /** Where that state stands, by whoever wrote it: the time of it, which tells states of two epochs apart too. */
  stateOffset: number;
  /** Why that state itself is STALE. */
  stale: StatusCause | undefined;
  status: ContractStatus;
  reason: string | null;
}

/** What is stored of a contract, being read. */
interface StoredContract {
  readonly key: ContractKey;
  /** A position beyond everything that was heard before it. */
  readonly freshOffset: number;
  readonly isProven: boolean;
  readonly messages: ContractMessage[];
}

/**
 * What this gateway tells its hub, in the one order that Redis gives. A stored state keeps its own position
 * where nothing newer has been told here, so that its cursor is the same on every gateway; otherwise it is told
 * at a fresh one, for a client's cursor says «everything up to here».
 *
 * While Redis cannot be reached, positions are of an epoch that no other gateway knows: a client that takes such
 * a cursor elsewhere begins with everything, since nobody here knows what has changed meanwhile.
 */
export class ToldContracts {
  readonly #sink: ContractSink;
  readonly #contracts = new Map<ContractKey, Told>();
  readonly #ownEpoch = randomBytes(EPOCH_BYTES).toString('hex');
  #epoch = this.#ownEpoch;
  /** The last position that was told; that of what was told while Redis could not be reached. */
  #last = 0;
  #ownLast: number;
  /** Positions of what nobody has said anything of yet: before all others. */
  #asked = 0;
  #lost: StatusCause | undefined;
  #reading: StoredContract[] = [];

  constructor(sink: ContractSink, nowMs: number) {
    this.#sink = sink;
    this.#ownLast = Math.trunc(nowMs * 1_000);
  }

  get size(): number {
    return this.#contracts.size;
  }

  /** Whether what is told comes from Redis. */
  get isLost(): boolean {
    return this.#lost !== undefined;
  }

  /** Of the data; that of this gateway alone until Redis has been reached. */
  get epoch(): string {
    return this.#epoch;
  }

  keys(): ContractKey[] {
    return [...this.#contracts.keys()];
  }

  /** How many contracts wait for what is stored of them. */
  get unread(): number {
    let count = 0;
    for (const told of this.#contracts.values()) if (!told.isRead) count++;
    return count;
  }

  /** Number of the last state that was told of a contract. */
  sequenceOf(key: ContractKey): number {
    return this.#contracts.get(key)?.sequence ?? 0;
  }

  /** Beyond everything that was told before. */
  position(): Position {
    if (this.#lost !== undefined) return { epoch: this.#ownEpoch, offset: ++this.#ownLast };
    return { epoch: this.#epoch, offset: ++this.#last };
  }

  add(key: ContractKey): void {
    const told: Told = {
      key,
      isRead: false,
      sequence: 0,
      stateOffset: 0,
      stale: undefined,
      status: 'PENDING',
      reason: null,
    };
    this.#contracts.set(key, told);
    // Before everything else: whoever resumes does not hear of it where its state is known to Redis.
    const asked = () => ({ epoch: this.#epoch, offset: ++this.#asked });
    if (this.#lost === undefined) this.#tell(told, 'PENDING', AWAITING_STATE, asked);
    else this.#tell(told, 'PENDING', this.#lost, () => this.position());
  }

  delete(key: ContractKey): void {
    this.#contracts.delete(key);
  }

  /**
   * The connection is another one: nothing of what was heard before it follows on what comes now.
   *
   * @returns whether Redis has lost what was heard before
   */
  beginReading(epoch: string): boolean {
    const isEmptied = epoch !== this.#epoch && this.#epoch !== this.#ownEpoch;
    if (epoch !== this.#epoch) {
      this.#epoch = epoch;
      this.#last = 0;
    }
    this.#reading = [];
    for (const told of this.#contracts.values()) told.isRead = false;
    return isEmptied;
  }

  /** Redis cannot be reached: nothing is known of any contract any more. */
  lose(cause: StatusCause): void {
    if (this.#lost !== undefined) return;
    this.#lost = cause;
    for (const told of this.#contracts.values()) {
      told.isRead = false;
      if (told.status === 'INVALID') continue;
      this.#tell(told, told.sequence > 0 ? 'STALE' : 'PENDING', cause, () => this.position());
    }
  }

  /** Redis is there again; what is stored is told as it is read. */
  found(): void {
    this.#lost = undefined;
  }

  /** A message of a contract's channel. What is not read yet has it stored. */
  heard(key: ContractKey, text: string): void {
    const told = this.#contracts.get(key);
    if (told?.isRead !== true || this.#lost !== undefined) return;
    const message = readMessage(text);
    if (message.kind === 'accepted') this.#sink.accepted(key);
    else this.#apply(told, message, message.offset);
  }

  /** A piece of what is stored, in the order of the script that reads it. */
  heardStored(text: string): void {
    const body = text.slice(1);
    if (text.startsWith('K')) {
      const [, fresh, proven, key] = /^(\d+) (\d) (.*)$/s.exec(body) ?? [];
      this.#reading.push({
        key: key as ContractKey,
        freshOffset: Number(fresh),
        isProven: proven === '1',
        messages: [],
      });
    } else {
      this.#reading.at(-1)?.messages.push(readMessage(body));
    }
  }

  /** All of what was asked for has been read: it is told, in the order of positions. */
  endReading(): void {
    const read = this.#reading;
    this.#reading = [];
    if (this.#lost !== undefined) return;
    const due: { offset: number; tell: () => void }[] = [];
    for (const stored of read) {
      const told = this.#contracts.get(stored.key);
      if (told !== undefined) this.#compare(told, stored, due);
    }
    due.sort((one, other) => one.offset - other.offset);
    for (const { tell } of due) tell();
  }

  #compare(told: Told, stored: StoredContract, due: { offset: number; tell: () => void }[]): void {
    told.isRead = true;
    let fresh = stored.freshOffset;
    let isFresh = false;
    const at = (offset: number) => {
      isFresh ||= offset <= this.#last;
      return isFresh ? fresh++ : offset;
    };
    if (stored.isProven) due.push({ offset: 0, tell: () => this.#sink.accepted(told.key) });
    let isTold = false;
    let isOutdated = stored.messages.length === 0;
    for (const message of stored.messages) {
      if (message.kind === 'accepted') continue;
      if (message.kind === 'state' && message.sequence <= told.sequence) {
        isOutdated = message.offset !== told.stateOffset;
        continue;
      }
      const offset = at(message.offset);
      due.push({ offset, tell: () => this.#apply(told, message, offset) });
      isTold = true;
    }
    if (isTold) return;
    // Nothing is stored that was not told before, but another status may have been told since.
    const offset = fresh++;
    const tell = isOutdated
      ? () => this.#status(told, 'PENDING', AWAITING_STATE, offset)
      : () => this.#status(told, told.stale ? 'STALE' : 'LIVE', told.stale ?? null, offset);
    due.push({ offset, tell });
  }

  #apply(
    told: Told,
    message: Exclude<ContractMessage, { kind: 'accepted' }>,
    offset: number,
  ): void {
    if (message.kind === 'status') {
      this.#status(told, message.status, message.cause, offset);
      return;
    }
    if (message.sequence <= told.sequence) return;
    const { snapshot, stale } = readState(told.key, message.body);
    told.sequence = message.sequence;
    told.stateOffset = message.offset;
    told.stale = stale;
    told.status = stale === undefined ? 'LIVE' : 'STALE';
    told.reason = stale?.reason ?? null;
    const position = this.#at(offset);
    this.#sink.state(told.key, { position, sequence: message.sequence, snapshot, stale });
  }

  /** What has a state is never PENDING again here: another gateway may have begun without it. */
  #status(told: Told, status: ContractStatus, cause: StatusCause | null, offset: number): void {
    const at = () => this.#at(offset);
    if (status !== 'PENDING' || told.sequence === 0) this.#tell(told, status, cause, at);
    else this.#tell(told, 'STALE', cause?.code === 'AWAITING_STATE' ? BEGUN_ANEW : cause, at);
  }

  #tell(
    told: Told,
    status: ContractStatus,
    cause: StatusCause | null,
    position: () => Position,
  ): void {
    const reason = cause?.reason ?? null;
    if (told.reason === reason && told.status === status) return;
    told.status = status;
    told.reason = reason;
    this.#sink.status(told.key, { status, cause, position: position() });
  }

  #at(offset: number): Position {
    this.#last = Math.max(this.#last + 1, offset);
    return { epoch: this.#epoch, offset: this.#last };
  }
}
