import { AWAITING_STATE } from '../contract/contract-status.ts';
import type { ContractKey } from '../contract/key.ts';
import type { LocalTimeZone } from '../contract/local-time.ts';
import type { Position } from '../hub/position.ts';
import type { ContractSink, ContractSource, SourceReport } from '../hub/source.ts';
import type { Clock } from '../lib/clock.ts';
import {
  JOINED,
  LET_GO,
  readJoined,
  readLetGo,
  readState,
  readStatus,
  STATE,
  STATUS,
} from './frames.ts';
import { type Channel, readFrames } from './link/channel.ts';

/** How soon the primary is told of contracts that were read, in milliseconds. */
const READ_INTERVAL_MS = 500;
/** How long the primary is given to say whether it can do its job, in milliseconds. */
const CHECK_TIMEOUT_MS = 10_000;

/**
 * The primary gives positions within a millisecond one by one from its beginning. A worker, which gives some only
 * for contracts that it has not been told of yet, gives others: microseconds from there.
 */
const OWN_OFFSET = 500;

/** What the primary says of its source whenever that has changed. */
export interface SourceNews {
  readonly health: readonly string[];
  readonly report: SourceReport;
}

/** What a worker needs to know of the primary's source before it can serve. */
interface SourceBeginning extends SourceNews {
  readonly position: Position;
}

/**
 * The contracts of the primary as a worker's source. A sink that wants to (`shared`) is told of every contract
 * that any worker has the primary hold.
 */
export class WorkerSource implements ContractSource {
  readonly #channel: Channel;
  readonly #sink: ContractSink;
  readonly #zone: LocalTimeZone;
  readonly #clock: Clock;
  readonly #wanted = new Set<ContractKey>();
  /** Contracts that the sink was told to hold. */
  readonly #shared = new Set<ContractKey>();
  /** Contracts that the sink knows to be awaited, before the primary has said so. */
  readonly #awaited = new Set<ContractKey>();
  readonly #read = new Set<ContractKey>();
  #news: SourceNews;
  #epoch: string;
  #offset: number;
  #telling: (() => void) | undefined;
  #state: 'open' | 'closed' = 'open';

  private constructor(
    channel: Channel,
    beginning: SourceBeginning,
    sink: ContractSink,
    zone: LocalTimeZone,
    clock: Clock,
  ) {
    this.#channel = channel;
    this.#sink = sink;
    this.#zone = zone;
    this.#clock = clock;
    this.#news = beginning;
    this.#epoch = beginning.position.epoch;
    this.#offset = beginning.position.offset;
    channel.onFrame((kind, payload) => this.#take(kind, payload));
    channel.answers('source', (news: SourceNews) => {
      this.#news = news;
    });
  }

  /**
   * Opens the primary's contracts: `sink` is told of all that are held before this comes back.
   *
   * @param zone IME's
   */
  static async open(
    channel: Channel,
    sink: ContractSink,
    zone: LocalTimeZone,
    clock: Clock,
  ): Promise<WorkerSource> {
    const beginning = await channel.ask<SourceBeginning>('begin', {});
    const source = new WorkerSource(channel, beginning, sink, zone, clock);
    await channel.ask('follow', {});
    return source;
  }

  retain(keys: readonly ContractKey[], asker?: string): void {
    if (this.#state === 'closed') return;
    const unknown = keys.filter((key) => !this.#shared.has(key));
    for (const key of keys) this.#wanted.add(key);
    for (const key of unknown) {
      this.#awaited.add(key);
      this.#sink.status(key, {
        status: 'PENDING',
        cause: AWAITING_STATE,
        position: this.position(),
      });
    }
    this.#channel.tell('retain', { keys, asker, unknown });
  }

  askedToo(keys: readonly ContractKey[], asker: string): void {
    this.#channel.tell('askedToo', { keys, asker });
  }

  release(keys: readonly ContractKey[]): void {
    for (const key of keys) {
      this.#wanted.delete(key);
      this.#awaited.delete(key);
    }
    this.#channel.tell('release', { keys });
  }

  readAgain(key: ContractKey): void {
    if (this.#state === 'closed') return;
    this.#read.add(key);
    this.#telling ??= this.#clock.setTimeout(() => this.#tellRead(), READ_INTERVAL_MS);
  }

  position(): Position {
    const nowOffset = Math.trunc(this.#clock.nowMs() * 1_000) + OWN_OFFSET;
    this.#offset = Math.max(this.#offset + 1, nowOffset);
    return { epoch: this.#epoch, offset: this.#offset };
  }

  health(): readonly string[] {
    return this.#channel.isOpen ? this.#news.health : ['The first process is gone.'];
  }

  async check(): Promise<readonly string[]> {
    try {
      return await this.#channel.ask<readonly string[]>('check', {}, CHECK_TIMEOUT_MS);
    } catch (error) {
      return [`The first process does not answer: ${(error as Error).message}.`];
    }
  }

  report(): SourceReport {
    return this.#news.report;
  }

  /** Hears what the first process says of its source now. */
  async hear(): Promise<void> {
    this.#news = await this.#channel.ask<SourceNews>('news', {}, CHECK_TIMEOUT_MS);
  }

  close(): void {
    this.#state = 'closed';
    this.#telling?.();
    this.#telling = undefined;
    this.#wanted.clear();
    this.#channel.close();
  }

  #tellRead(): void {
    this.#telling = undefined;
    const keys = [...this.#read];
    this.#read.clear();
    this.#channel.tell('read', { keys });
  }

  #take(kind: number, payload: Buffer): void {
    if (this.#state === 'closed') return;
    switch (kind) {
      case STATE:
        this.#takeState(payload);
        break;
      case STATUS:
        this.#takeStatus(payload);
        break;
      case JOINED:
        this.#takeJoined(payload);
        break;
      case LET_GO:
        this.#takeLetGo(payload);
        break;
      default:
        throw new TypeError(`a frame of kind ${kind}`);
    }
  }

  #takeState(payload: Buffer): void {
    const [key, state] = readState(payload, this.#zone);
    this.#reached(state.position);
    if (!this.#isTold(key)) return;
    this.#awaited.delete(key);
    this.#sink.state(key, state);
  }

  #takeStatus(payload: Buffer): void {
    const [key, status] = readStatus(payload);
    this.#reached(status.position);
    if (!this.#isTold(key)) return;
    const isAwaited = this.#awaited.delete(key);
    // Said already, when it was asked for.
    if (isAwaited && status.cause?.reason === AWAITING_STATE.reason) return;
    this.#sink.status(key, status);
  }

  #takeJoined(payload: Buffer): void {
    const [key, known] = readJoined(payload);
    const tell = () => {
      readFrames(known, (kind, inside) => this.#take(kind, inside));
    };
    if (this.#sink.shared === undefined) {
      tell();
      return;
    }
    this.#shared.add(key);
    this.#sink.shared(key, tell);
  }

  #takeLetGo(payload: Buffer): void {
    const [key, position] = readLetGo(payload);
    this.#reached(position);
    if (this.#shared.delete(key)) this.#sink.letGo?.(key, position);
  }

  #isTold(key: ContractKey): boolean {
    return this.#shared.has(key) || this.#wanted.has(key);
  }

  #reached({ epoch, offset }: Position): void {
    if (epoch !== this.#epoch) {
      this.#epoch = epoch;
      this.#offset = offset;
    } else if (offset > this.#offset) {
      this.#offset = offset;
    }
  }
}
