import {
  type DestinationStream,
  type Logger,
  type LoggerOptions,
  pino,
  stdSerializers,
  stdTimeFunctions,
} from 'pino';
import pretty from 'pino-pretty';
import { LogWriter, openNonBlocking } from './log-writer.ts';

export type { Logger };

/** The levels of `LOG_LEVEL`, from silence to everything. */
export const LOG_LEVELS = ['silent', 'fatal', 'error', 'warn', 'info', 'debug', 'trace'] as const;

/** One of {@link LOG_LEVELS}. */
export type LogLevel = (typeof LOG_LEVELS)[number];

/** A log, one JSON object a line, to any destination. */
export function createLog(
  level: LogLevel,
  destination: DestinationStream = process.stdout,
): Logger {
  return pino(optionsOf(level), destination);
}

/** The process's own log, and what becomes of it. */
export interface ProcessLog {
  readonly log: Logger;
  /** Writes to the person at the terminal; `undefined` where there is none. */
  readonly tell: ((text: string) => void) | undefined;
  /** How many lines could not be written. */
  lost(): number;
  /** Waits until everything is written, or for so long, in milliseconds. */
  flush(mostMs: number): Promise<void>;
  /** Whether the system holds up a write. */
  isWriting(): boolean;
}

/** Which of several processes a log is of. */
export interface SharedLog {
  /** Each line names it; `undefined` for the first process. */
  readonly worker: number | undefined;
}

/**
 * The process's log on stdout: lines of JSON, or text for a person where stdout is a terminal.
 *
 * @param shared where other processes write to the same stdout
 */
export function processLog(level: LogLevel, shared?: SharedLog): ProcessLog {
  const { isTTY, fd } = process.stdout;
  const writer = new LogWriter(openNonBlocking(fd), shared !== undefined);
  const base = shared?.worker === undefined ? {} : { base: { worker: shared.worker } };
  const toText = pretty.prettyFactory({});
  const terminal = { write: (line: string) => writer.write(toText(line)) };
  return {
    log: pino({ ...optionsOf(level), ...base }, isTTY ? terminal : writer),
    tell: isTTY ? (text) => writer.write(text) : undefined,
    lost: () => writer.lost,
    flush: (mostMs) => writer.flush(mostMs),
    isWriting: () => writer.isWriting,
  };
}

function optionsOf(level: LogLevel): LoggerOptions {
  return {
    level,
    base: null,
    timestamp: stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
    // An error's own fields are not enumerable: without this a line says {} of it.
    serializers: { error: stdSerializers.errWithCause },
  };
}
