import { isUtf8 } from 'node:buffer';
import { isLosslessNumber, type ParseOptions, parse } from 'lossless-json';
import { type ContractKey, contractKey, type KeySpace } from '../../contract/key.ts';
import { isLocalDateTime } from '../../contract/local-time.ts';
import type { BestLimit, MarketState, Snapshot } from '../../contract/snapshot.ts';
import { ENDPOINT } from './endpoints.ts';
import {
  AGGREGATE,
  ALLOWED_PRICE_RANGE,
  BEST_LIMIT,
  CONTRACT_INFO,
  type FieldKind,
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
 */
export function decodeMessage(
  frame: Buffer,
  isBinary: boolean,
  space: KeySpace,
  receivedAtMs: number,
): DecodedFrame {
  if (isBinary) return { ok: false, fault: 'binary' };
  if (!isUtf8(frame)) return { ok: false, fault: 'utf8' };
  const text = frame.toString('utf8');
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
  const timestamp = own(message, 'timestamp');
  if (typeof timestamp !== 'string' || !isLocalDateTime(timestamp)) {
    return { ok: false, fault: 'timestamp', key };
  }
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
    snapshot: { timestamp, receivedAtMs, ...state },
    partial: sections < 4,
    missingFields: missing.fields,
  };
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
    if (text === null) missing.fields++;
    decoded[field] = text;
  }
  return decoded as T;
}

function decodeField(value: unknown, kind: FieldKind): string | null {
  if (kind === 'text') return typeof value === 'string' ? value : null;
  const literal = isLosslessNumber(value) ? value.value : value;
  if (typeof literal !== 'string') return null;
  return kind === 'decimal' ? decimalDigits(literal) : wholeDigits(literal);
}

/** Python's `NaN` and `Infinity`, which are no JSON, cost their own field and not the frame. */
function withoutNonNumbers(text: string): string {
  return text.replace(/"(?:[^"\\]|\\.)*"|-?Infinity|NaN/g, (token) =>
    token.startsWith('"') ? token : 'null',
  );
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
