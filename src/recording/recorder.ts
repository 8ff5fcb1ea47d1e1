import { type FileHandle, mkdir, open } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import type { Clock } from '../lib/clock.ts';
import type { Logger } from '../observability/log.ts';
import { type Record, recordLine } from './record.ts';
import { dropOldFiles, type KeptRecording, recordingName } from './recording-files.ts';

const compress = promisify(gzip);
/** How often what has come is written: no more than this is lost where the process is killed. */
const WRITE_INTERVAL_MS = 500;
/** How soon it is tried again where it could not be written. */
const RETRY_MS = 5_000;
/** How much may wait to be written, in characters; more is dropped and counted. */
const MOST_WAITING = 32 * 1024 * 1024;
/** A file is closed when it is as old as this, or has this part of what the folder may hold. */
const FILE_MS = 3_600_000;
const FILE_PART = 1 / 20;
/** Fast rather than small: level 6 takes three times as long. */
const LEVEL = 1;

/** What a recorder does: writes; waits for room, or for its folder; has ended. */
type RecorderState = 'recording' | 'waiting' | 'closed';

/** A recorder as an operator sees it. */
export interface RecorderReport {
  readonly state: RecorderState;
  /** Records that were written, and those that could not be. */
  readonly written: number;
  readonly lost: number;
  /** What keeps it from recording, in words; null while nothing does. */
  readonly problem: string | null;
}

interface OpenFile {
  readonly handle: FileHandle;
  readonly openedAtMs: number;
  bytes: number;
}

/**
 * Writes records to files in a folder: lines of JSON, gzipped twice a second, each time as a member of its own,
 * so that a file which was torn is read up to the tear. Whoever records never waits.
 */
export class Recorder {
  readonly #folder: string;
  readonly #kept: KeptRecording;
  readonly #log: Logger;
  readonly #clock: Clock;
  readonly #endInterval: () => void;
  #lines: string[] = [];
  #waiting = 0;
  #state: RecorderState = 'recording';
  #written = 0;
  #lost = 0;
  #problem: string | undefined;
  #file: OpenFile | undefined;
  #retryAtMs = 0;
  #writing: Promise<void> | undefined;

  /** @param kept how much the folder may hold */
  constructor(folder: string, kept: KeptRecording, log: Logger, clock: Clock) {
    this.#folder = folder;
    this.#kept = kept;
    this.#log = log;
    this.#clock = clock;
    this.#endInterval = clock.setInterval(() => void this.#writeWaiting(), WRITE_INTERVAL_MS);
  }

  /** Takes a record, to be written soon. */
  record(record: Record): void {
    if (this.#state !== 'recording' || this.#waiting > MOST_WAITING) {
      this.#lost++;
      return;
    }
    const line = recordLine(record);
    this.#lines.push(line);
    this.#waiting += line.length;
  }

  report(): RecorderReport {
    return {
      state: this.#state,
      written: this.#written,
      lost: this.#lost,
      problem: this.#problem ?? null,
    };
  }

  /** Writes what waits, and ends. */
  async close(): Promise<void> {
    this.#endInterval();
    await this.#writing;
    await this.#writeWaiting();
    this.#setState('closed');
    await this.#closeFile();
  }

  #setState(state: RecorderState): void {
    if (this.#state !== 'closed') this.#state = state;
  }

  /** One at a time: a disk that is slow makes what waits more, not who writes. */
  #writeWaiting(): Promise<void> {
    this.#writing ??= this.#write().finally(() => {
      this.#writing = undefined;
    });
    return this.#writing;
  }

  async #write(): Promise<void> {
    if (this.#state === 'waiting' && this.#clock.monotonicMs() < this.#retryAtMs) return;
    const lines = this.#lines;
    if (this.#state === 'recording' && lines.length === 0) return;
    this.#lines = [];
    this.#waiting = 0;
    try {
      const file = await this.#openFile();
      if (this.#state === 'waiting') {
        this.#log.info({ lost: this.#lost }, 'recording goes on');
        this.#setState('recording');
        this.#problem = undefined;
      }
      if (lines.length > 0) await this.#append(file, lines);
    } catch (error) {
      await this.#failed(error, lines.length);
    }
  }

  async #append(file: OpenFile, lines: readonly string[]): Promise<void> {
    const member = await compress(lines.join(''), { level: LEVEL });
    for (let at = 0; at < member.length; ) {
      const { bytesWritten } = await file.handle.write(member, at, member.length - at);
      at += bytesWritten;
    }
    file.bytes += member.length;
    this.#written += lines.length;
  }

  async #failed(error: unknown, lines: number): Promise<void> {
    const { code = 'UNKNOWN', message } = error as NodeJS.ErrnoException;
    this.#lost += lines;
    if (this.#state === 'recording') {
      this.#log.error({ code, reason: message }, 'recording stops until there is room for it');
    }
    this.#setState('waiting');
    this.#problem = `Nothing is recorded: ${message}`;
    this.#retryAtMs = this.#clock.monotonicMs() + RETRY_MS;
    // What was written of the last member is a tear: nothing follows it in this file.
    await this.#closeFile();
  }

  async #openFile(): Promise<OpenFile> {
    const nowMs = this.#clock.nowMs();
    const file = this.#file;
    if (file !== undefined) {
      const isFull = file.bytes >= this.#kept.bytes * FILE_PART;
      const isOld = Math.abs(nowMs - file.openedAtMs) >= FILE_MS;
      if (!isFull && !isOld) return file;
      await this.#closeFile();
    }
    await makeFolder(this.#folder);
    const handle = await open(join(this.#folder, recordingName(nowMs)), 'ax');
    this.#file = { handle, openedAtMs: nowMs, bytes: 0 };
    dropOldFiles(this.#folder, this.#kept, nowMs);
    return this.#file;
  }

  async #closeFile(): Promise<void> {
    const file = this.#file;
    this.#file = undefined;
    await file?.handle.close().catch(() => {});
  }
}

/** Its parent has to be there: made recursively, Node 20 tries forever where a file system makes no folders. */
async function makeFolder(folder: string): Promise<void> {
  try {
    await mkdir(folder);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
}
