import { readdirSync, statSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';

const NAME = /^ime-(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)\.(\d{3})Z-[0-9a-z]+\.ndjson\.gz$/;
const DAY_MS = 86_400_000;

/** A file of a recording. */
export interface RecordingFile {
  readonly path: string;
  /** When its first record can have come at the earliest, in epoch milliseconds. */
  readonly beginsAtMs: number;
  readonly bytes: number;
}

/** What may be kept of a recording. */
export interface KeptRecording {
  readonly bytes: number;
  readonly days: number;
}

/** The name of a file that begins now: its time sorts it, and is the index by which a time is found. */
export function recordingName(nowMs: number): string {
  const instant = new Date(nowMs).toISOString().replaceAll(/[-:]/g, '');
  const own = Math.random().toString(36).slice(2, 8).padEnd(6, '0');
  return `ime-${instant}-${own}.ndjson.gz`;
}

/**
 * The files of a recording, the oldest first; what others have put into the folder is left out.
 *
 * @throws where the folder cannot be read
 */
export function recordingFiles(folder: string): RecordingFile[] {
  return readdirSync(folder)
    .sort()
    .flatMap((name) => {
      const parts = NAME.exec(name);
      if (parts === null) return [];
      const [, year, month, day, hour, minute, second, ms] = parts;
      const beginsAtMs = Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}.${ms}Z`);
      const path = join(folder, name);
      const bytes = statSync(path, { throwIfNoEntry: false })?.size;
      return bytes === undefined || Number.isNaN(beginsAtMs) ? [] : [{ path, beginsAtMs, bytes }];
    });
}

/**
 * Deletes what is more, or older, than may be kept; the newest file stays.
 *
 * @throws where the folder cannot be read, or a file not deleted
 */
export function dropOldFiles(folder: string, kept: KeptRecording, nowMs: number): void {
  const files = recordingFiles(folder);
  let bytes = files.reduce((sum, file) => sum + file.bytes, 0);
  for (const [at, file] of files.entries()) {
    // A file goes on until the next one begins.
    const next = files[at + 1];
    if (next === undefined) return;
    const isOld = next.beginsAtMs < nowMs - kept.days * DAY_MS;
    if (bytes <= kept.bytes && !isOld) return;
    unlinkSync(file.path);
    bytes -= file.bytes;
  }
}
