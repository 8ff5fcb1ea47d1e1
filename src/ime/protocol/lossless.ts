import { isLosslessNumber, type ParseOptions, parse } from 'lossless-json';
import type { KeySpace } from '../../contract/key.ts';
import type { BestLimit, MarketState } from '../../contract/snapshot.ts';
import { ENDPOINT } from './endpoints.ts';
import {
  AGGREGATE,
  ALLOWED_PRICE_RANGE,
  BEST_LIMIT,
  CONTRACT_INFO,
  type FieldKind,
  LEVEL,
  OPTIONAL_FIELDS,
  type Section,
} from './fields.ts';
import type { FrameReading } from './frame-reading.ts';
import { decimalDigits, wholeDigits } from './numbers.ts';

/** Of equal keys in an object the last one counts, as with `JSON.parse`. */
const LAST_WINS: ParseOptions = { onDuplicateKey: ({ newValue }) => newValue };

/**
 * Reads any frame, whatever is in it, by making objects of all of it, of each number too: the slow way, for what
 * `readInOnePass` leaves. Never throws.
 *
 * @returns why there is nothing to read where that is so
 */
export function readLossless(text: string, space: KeySpace): FrameReading | 'json' | 'shape' {
  let message: unknown;
  try {
    message = parse(text, null, LAST_WINS);
  } catch {
    try {
      message = parse(withoutNonNumbers(text), null, LAST_WINS);
    } catch {
      return 'json';
    }
  }
  if (!isRecord(message)) return 'shape';
  const named = own(message, ENDPOINT[space].field);
  const contract = space === 'id' && isLosslessNumber(named) ? wholeDigits(named.value) : named;
  const timestamp = own(message, 'timestamp');
  const missing = { fields: 0 };
  return {
    contract: typeof contract === 'string' ? contract : null,
    timestamp: typeof timestamp === 'string' ? timestamp : null,
    state: decodeState(own(message, 'data'), missing),
    missingFields: missing.fields,
  };
}

function decodeState(data: unknown, missing: { fields: number }): MarketState | null {
  if (!isRecord(data)) return null;
  const state: MarketState = {
    bestLimits: decodeBestLimits(own(data, 'BestLimit'), missing),
    aggregate: decodeSection(AGGREGATE, own(data, 'Aggregate'), missing),
    allowedPriceRange: decodeSection(ALLOWED_PRICE_RANGE, own(data, 'AllowedPriceRange'), missing),
    contractInfo: decodeSection(CONTRACT_INFO, own(data, 'ContractInfo'), missing),
  };
  const isRead = Object.values(state).some((section) => section !== null);
  // An empty `data` says nothing; one whose every section is unreadable is rubbish.
  return isRead || Object.keys(data).length === 0 ? state : null;
}

function decodeBestLimits(value: unknown, missing: { fields: number }): BestLimit[] | null {
  if (!isRecord(value)) return null;
  const limits: BestLimit[] = [];
  for (const [level, fields] of Object.entries(value)) {
    const limit = LEVEL.test(level) && decodeSection(BEST_LIMIT, fields, missing);
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
