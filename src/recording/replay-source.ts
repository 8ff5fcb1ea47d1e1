import type { ReplayTarget } from '../config/replay-target.ts';
import { AWAITING_STATE, type StatusCause } from '../contract/contract-status.ts';
import type { ContractKey } from '../contract/key.ts';
import type { LocalTimeZone } from '../contract/local-time.ts';
import { type Position, PositionGiver } from '../hub/position.ts';
import type { ContractSink, ContractSource, SourceReport } from '../hub/source.ts';
import { type Clock, sleep } from '../lib/clock.ts';
import type { Logger } from '../observability/log.ts';
import type { Record } from './record.ts';
import { recordingFiles } from './recording-files.ts';
import { readRecording } from './recording-reader.ts';
import { ReplayedContract, readReplayed } from './replayed-contract.ts';

/** So many records are played before others have their turn: timers, sockets. */
const AT_ONCE = 500;
/** A recording that is empty and played again and again is looked at no more often than this. */
const LOOP_PAUSE_MS = 1_000;
const OVER: StatusCause = { code: 'UPSTREAM_LOST', reason: 'The recording is over.' };
const NOT_RECORDED: StatusCause = {
  code: 'UNKNOWN_CONTRACT',
  reason: 'The recording has nothing of this contract.',
};

type ReplayState = 'waiting' | 'playing' | 'over' | 'closed';

/** A recording as a source: it begins when the first contract is asked for. */
export class ReplaySource implements ContractSource {
  readonly #target: ReplayTarget;
  readonly #sink: ContractSink;
  readonly #zone: LocalTimeZone;
  readonly #log: Logger;
  readonly #clock: Clock;
  readonly #positions: PositionGiver;
  readonly #contracts = new Map<ContractKey, ReplayedContract>();
  readonly #closing = new AbortController();
  #state: ReplayState = 'waiting';
  #fault: string | undefined;
  #messages = 0;
  #unreadable = 0;

  constructor(
    target: ReplayTarget,
    sink: ContractSink,
    zone: LocalTimeZone,
    log: Logger,
    clock: Clock,
  ) {
    this.#target = target;
    this.#sink = sink;
    this.#zone = zone;
    this.#log = log;
    this.#clock = clock;
    this.#positions = new PositionGiver(clock);
  }

  retain(keys: readonly ContractKey[]): void {
    for (const key of keys) {
      const contract = this.#contractOf(key);
      contract.isWanted = true;
      const { lastMessage, lastStatus } = contract;
      if (contract.isUnseen) this.#tellUnseen(key);
      if (lastMessage !== undefined) this.#play(contract, lastMessage, this.#clock.nowMs());
      if (lastStatus !== undefined) this.#play(contract, lastStatus, this.#clock.nowMs());
      if (this.#state === 'over' && lastMessage !== undefined) this.#status(key, 'STALE', OVER);
    }
    if (this.#state !== 'waiting') return;
    this.#setState('playing');
    // Whoever asks for many asks for all of them in one go.
    setImmediate(() => void this.#run());
  }

  release(keys: readonly ContractKey[]): void {
    for (const key of keys) {
      const contract = this.#contracts.get(key);
      if (contract !== undefined) contract.isWanted = false;
    }
  }

  position(): Position {
    return this.#positions.next();
  }

  health(): readonly string[] {
    if (this.#fault !== undefined) return [this.#fault];
    return this.#state === 'over' ? [OVER.reason] : [];
  }

  async check(): Promise<readonly string[]> {
    if (this.#state !== 'waiting') return this.health();
    try {
      const { length } = recordingFiles(this.#target.folder);
      return length > 0 ? [] : [`There is no recording in ${this.#target.folder}.`];
    } catch (error) {
      return [unreadable(error)];
    }
  }

  report(): SourceReport {
    return {
      sockets: [],
      dials: 0,
      credentials: null,
      problems: this.health(),
      counts: {
        messages: this.#messages,
        partialMessages: 0,
        missingFields: 0,
        duplicates: 0,
        lateMessages: 0,
        droppedFrames: { data: this.#unreadable },
        failures: {},
      },
    };
  }

  close(): void {
    this.#setState('closed');
    this.#closing.abort();
    this.#contracts.clear();
  }

  #setState(state: ReplayState): void {
    if (this.#state !== 'closed') this.#state = state;
  }

  async #run(): Promise<void> {
    const { folder, isLoop } = this.#target;
    do {
      try {
        const played = await this.#playAll();
        if (played === 0) this.#fault = `There is no recording in ${folder}.`;
        if (played === 0 && isLoop) await this.#wait(LOOP_PAUSE_MS);
      } catch (error) {
        if (this.#isClosed) return;
        this.#log.error({ error }, 'a recording cannot be played');
        this.#fault = unreadable(error);
        break;
      }
    } while (isLoop && !this.#isClosed);
    this.#finish();
  }

  // A getter, because the state may be another one after any wait.
  get #isClosed(): boolean {
    return this.#state === 'closed';
  }

  /** Plays it from where it begins to its end. @returns how many records there were */
  async #playAll(): Promise<number> {
    const { folder, fromMs, speed } = this.#target;
    const told = ({ path, fault }: { path: string; fault: string }) =>
      this.#log.warn({ path }, `a file of the recording is not read to its end: ${fault}`);
    const beganAtMs = this.#clock.monotonicMs();
    let firstMs: number | undefined;
    let played = 0;
    for await (const records of readRecording(folder, fromMs, told)) {
      for (const record of records) {
        firstMs ??= record.atMs;
        const dueMs = beganAtMs + (record.atMs - firstMs) / speed;
        const leftMs = dueMs - this.#clock.monotonicMs();
        if (leftMs > 0) await this.#wait(leftMs);
        else if (played % AT_ONCE === AT_ONCE - 1) await othersTurn();
        if (this.#isClosed) return played;
        const contract = this.#contractOf(record.key);
        contract.note(record);
        if (contract.isWanted) this.#play(contract, record, this.#clock.nowMs());
        played++;
      }
    }
    return played;
  }

  #play(contract: ReplayedContract, record: Record, nowMs: number): void {
    const { key } = contract;
    if ('status' in record) {
      // What was not wanted then was told to be awaited; it is known by now.
      if (record.status === 'PENDING') return;
      this.#status(key, record.status, record.cause ?? null);
      return;
    }
    const movedByMs = this.#target.isMoved ? nowMs - record.atMs : undefined;
    const state = readReplayed(record, nowMs, this.#zone, movedByMs);
    if (state === undefined) {
      this.#unreadable++;
      return;
    }
    this.#messages++;
    const { sequence } = contract;
    this.#sink.state(key, { position: this.#positions.next(), sequence, ...state });
  }

  #status(
    key: ContractKey,
    status: 'PENDING' | 'LIVE' | 'STALE' | 'INVALID',
    cause: StatusCause | null,
  ): void {
    this.#sink.status(key, { status, cause, position: this.#positions.next() });
  }

  #tellUnseen(key: ContractKey): void {
    if (this.#state === 'over') this.#status(key, 'INVALID', NOT_RECORDED);
    else this.#status(key, 'PENDING', AWAITING_STATE);
  }

  #finish(): void {
    if (this.#isClosed) return;
    this.#setState('over');
    for (const contract of this.#contracts.values()) {
      if (!contract.isWanted) continue;
      if (contract.isUnseen) this.#status(contract.key, 'INVALID', NOT_RECORDED);
      else this.#status(contract.key, 'STALE', OVER);
    }
    this.#log.info({ messages: this.#messages }, 'the recording is over');
  }

  #contractOf(key: ContractKey): ReplayedContract {
    let contract = this.#contracts.get(key);
    if (contract === undefined) {
      contract = new ReplayedContract(key);
      this.#contracts.set(key, contract);
    }
    return contract;
  }

  /** Waits, or until it is closed. */
  #wait(ms: number): Promise<void> {
    return sleep(this.#clock, ms, this.#closing.signal).catch(() => {});
  }
}

function othersTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

function unreadable(error: unknown): string {
  return `The recording cannot be read: ${(error as Error).message}.`;
}
