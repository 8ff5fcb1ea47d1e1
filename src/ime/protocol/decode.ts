import { isUtf8 } from 'node:buffer';
import { isLosslessNumber, type ParseOptions, parse } from 'lossless-json';
import { type ContractKey, contractKey, type KeySpace } from '../../contract/key.ts';
import { isLocalDateTime, type LocalTimeZone } from '../../contract/local-time.ts';
import type { BestLimit, MarketState, Snapshot } from '../../contract/snapshot.ts';
import { ENDPOINT } from './endpoints.ts';
import {
  AGGREGATE,
  ALLOWED_PRICE_RANGE,
  BEST_LIMIT,
  CONTRACT_INFO,
  type FieldKind,
  OPTIONAL_FIELDS,
  type Section,
} from './fields.ts';
import { decimalDigits, wholeDigits } from './numbers.ts';

/**
 * Why a frame was dropped: it is `binary`, not `utf8`, not `json`, its top level has
 * the wrong `shape`, its `contract` or `timestamp` is missing or of a wrong type, or no section of its
 * `data` can be read.
 */
export type FrameFault = 'binary' | 'utf8' | 'json' | 'shape' | 'contract' | 'timestamp' | 'data';

/** Every {@link FrameFault}. */
export const FRAME_FAULTS: readonly FrameFault[] = [
  'binary',
  'utf8',
  'json',
  'shape',
  'contract',
  'timestamp',
  'data',
];

/** Of equal keys in an object the last one counts, as with `JSON.parse`. */
const LAST_WINS: ParseOptions = { onDuplicateKey: ({ newValue }) => newValue };

/** One frame, read. */
export type DecodedFrame =
  | {
      readonly ok: true;
      readonly key: ContractKey;
      /** The frame's text, which tells two deliveries of one publication from two publications. */
      readonly text: string;
      readonly snapshot: Snapshot;
      /** A section was left out or has a wrong type, and is null in the snapshot. */
      readonly partial: boolean;
      /** Fields that were left out or had a wrong type, and are null in the snapshot. */
      readonly missingFields: number;
    }
  | {
      readonly ok: false;
      readonly fault: FrameFault;
      /** The contract whose message cannot be read, where the frame names one. */
      readonly key?: ContractKey;
    };

/**
 * Reads one frame of the endpoint of `space`. Never throws. Every number keeps its digits; a section
 * or field that cannot be read is null and the rest is kept.
 *
 * @param receivedAtMs epoch milliseconds at which the frame came in
 * @param zone IME's: a timestamp with an offset is read as the time on its clocks; without a zone as none
 */
export function decodeMessage(
  frame: Buffer,
  isBinary: boolean,
  space: KeySpace,
  receivedAtMs: number,
  zone?: LocalTimeZone,
): DecodedFrame {
  if (isBinary) return { ok: false, fault: 'binary' };
  if (!isUtf8(frame)) return { ok: false, fault: 'utf8' };
  // A byte order mark says nothing, and is no JSON.
  const text = frame.toString('utf8').replace(/^\ufeff/, '');
  let message: unknown;
  try {
    message = parse(text, null, LAST_WINS);
  } catch {
    try {
      message = parse(withoutNonNumbers(text), null, LAST_WINS);
    } catch {
      return { ok: false, fault: 'json' };
    }
  }
  if (!isRecord(message)) return { ok: false, fault: 'shape' };
  const named = own(message, ENDPOINT[space].field);
  const contract = space === 'id' && isLosslessNumber(named) ? wholeDigits(named.value) : named;
  if (typeof contract !== 'string') return { ok: false, fault: 'contract' };
  const key = contractKey(space, contract);
  const written = own(message, 'timestamp');
  const timestamp = typeof written === 'string' ? localTimeOf(written, zone) : undefined;
  if (timestamp === undefined) return { ok: false, fault: 'timestamp', key };
  const data = own(message, 'data');
  if (!isRecord(data)) return { ok: false, fault: 'data', key };

  const missing = { fields: 0 };
  const state: MarketState = {
    bestLimits: decodeBestLimits(own(data, 'BestLimit'), missing),
    aggregate: decodeSection(AGGREGATE, own(data, 'Aggregate'), missing),
    allowedPriceRange: decodeSection(ALLOWED_PRICE_RANGE, own(data, 'AllowedPriceRange'), missing),
    contractInfo: decodeSection(CONTRACT_INFO, own(data, 'ContractInfo'), missing),
  };
  const sections = Object.values(state).filter((section) => section !== null).length;
  // An empty `data` says nothing; one whose every section is unreadable is rubbish.
  if (sections === 0 && Object.keys(data).length > 0) return { ok: false, fault: 'data', key };
  return {
    ok: true,
    key,
    text,
    snapshot: { timestamp, receivedAtMs, raw: text, ...state },
    partial: sections < 4,
    missingFields: missing.fields,
  };
}

/** A timestamp without a zone, as IME writes it; one with a zone as IME's own clocks have it. */
function localTimeOf(written: string, zone: LocalTimeZone | undefined): string | undefined {
  return isLocalDateTime(written) ? written : zone?.fromInstant(written);
}

function decodeBestLimits(value: unknown, missing: { fields: number }): BestLimit[] | null {
  if (!isRecord(value)) return null;
  const limits: BestLimit[] = [];
  for (const [level, fields] of Object.entries(value)) {
    const limit = /^[1-9]\d{0,2}$/.test(level) && decodeSection(BEST_LIMIT, fields, missing);
    if (limit) limits.push({ level: Number(level), ...limit });
  }
  return limits.sort((a, b) => a.level - b.level);
}

function decodeSection<T extends object>(
  section: Section<T>,
  value: unknown,
  missing: { fields: number },
): T | null {
  if (!isRecord(value)) return null;
  const decoded: Record<string, string | null> = {};
  for (const field in section) {
    const [imeName, kind] = section[field];
    const text = decodeField(own(value, imeName), kind);
    if (text === null && !isLeftOut(imeName, value)) missing.fields++;
    decoded[field] = text;
  }
  return decoded as T;
}

/** Whether a field is not there that need not be. */
function isLeftOut(imeName: string, section: Record<string, unknown>): boolean {
  return OPTIONAL_FIELDS.has(imeName) && !Object.hasOwn(section, imeName);
}

function decodeField(value: unknown, kind: FieldKind): string | null {
  if (kind === 'text') return typeof value === 'string' ? value : null;
  const literal = isLosslessNumber(value) ? value.value : value;
  if (typeof literal !== 'string') return null;
  return kind === 'decimal' ? decimalDigits(literal) : wholeDigits(literal);
}

/**
 * Python's `NaN` and `Infinity`, which are no JSON, cost their own field and not the frame. One pass
 * over the text: a frame of nothing but quotes costs no more than any other.
 */
function withoutNonNumbers(text: string): string {
  let read = '';
  let copied = 0;
  for (let at = 0; at < text.length; ) {
    if (text[at] === '"') {
      at = afterString(text, at);
      continue;
    }
    const word = NON_NUMBERS.find((candidate) => text.startsWith(candidate, at));
    if (word === undefined) {
      at++;
      continue;
    }
    read += `${text.slice(copied, at)}null`;
    at += word.length;
    copied = at;
  }
  return read + text.slice(copied);
}

const NON_NUMBERS = ['NaN', 'Infinity', '-Infinity'];

/** Where the string that begins at `start` is over; the text's end where it never is. */
function afterString(text: string, start: number): number {
  let at = start + 1;
  while (at < text.length && text[at] !== '"') at += text[at] === '\\' ? 2 : 1;
  return at + 1;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return (
    typeof value === 'object' && value !== null && !Array.isArray(value) && !isLosslessNumber(value)
  );
}

/** A property of the message itself, never one that every object inherits. */
function own(record: Record<string, unknown>, name: string): unknown {
  return Object.hasOwn(record, name) ? record[name] : undefined;
}
