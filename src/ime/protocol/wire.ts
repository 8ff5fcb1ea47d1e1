/**
 * IME's own words: the only file that knows its paths, parameters, header and field names.
 * Source: `ime-live-data-api.md`, the API document of the HedgeTech IME Live Data service.
 */
import { isUtf8 } from 'node:buffer';
import { isLosslessNumber, parse } from 'lossless-json';
import {
  type ContractKey,
  contractKey,
  contractTextOf,
  type KeySpace,
} from '../../contract/key.ts';
import { isLocalDateTime } from '../../contract/local-time.ts';
import type {
  Aggregate,
  AllowedPriceRange,
  BestLimit,
  ContractInfo,
  MarketState,
  Snapshot,
} from '../../contract/snapshot.ts';

const ENDPOINT: Record<KeySpace, { path: string; parameter: string; field: string }> = {
  name: {
    path: '/live/data/websocket/contract/name',
    parameter: 'contract_name',
    field: 'contractName',
  },
  id: { path: '/live/data/websocket/contract/id', parameter: 'contract_id', field: 'ContractId' },
};
const CHANNEL = 'IME Stream';

type FieldKind = 'integer' | 'decimal' | 'text';
type Section<T> = { readonly [Field in keyof T]: readonly [imeName: string, kind: FieldKind] };

const BEST_LIMIT: Section<Omit<BestLimit, 'level'>> = {
  buyQuantity: ['buy_quantity', 'integer'],
  buyPrice: ['buy_price', 'decimal'],
  sellQuantity: ['sell_quantity', 'integer'],
  sellPrice: ['sell_price', 'decimal'],
};
const AGGREGATE: Section<Aggregate> = {
  date: ['date', 'text'],
  time: ['time', 'text'],
  tradeCount: ['trade_count', 'integer'],
  totalVolume: ['total_volume', 'integer'],
  totalValue: ['total_value', 'decimal'],
  closingPrice: ['closing_price', 'decimal'],
  lastPrice: ['last_price', 'decimal'],
  lowPrice: ['low_price', 'decimal'],
  highPrice: ['high_price', 'decimal'],
  openPrice: ['open_price', 'decimal'],
  previousClose: ['previous_close', 'decimal'],
};
const ALLOWED_PRICE_RANGE: Section<AllowedPriceRange> = {
  minAllowedPrice: ['minAllowedPrice', 'decimal'],
  maxAllowedPrice: ['maxAllowedPrice', 'decimal'],
};
const CONTRACT_INFO: Section<ContractInfo> = {
  openInterest: ['open_interest', 'integer'],
  openInterestChanges: ['open_interest_changes', 'integer'],
};

/** The close code of a refusal, for a bad token and an unknown contract alike. */
export const REFUSED_CLOSE_CODE = 1008;

/** Reads an `IME_URL`: `https` means `wss`, `http` means `ws`, a slash at the end means nothing. */
export function imeBaseUrl(service: URL | string): URL {
  const url = new URL(service);
  url.protocol = url.protocol.replace(/^http/, 'ws');
  url.pathname = url.pathname.replace(/\/+$/, '');
  return url;
}

/** The URL that subscribes to `keys`, all of one key space, in the order given. */
export function subscriptionUrl(base: URL, space: KeySpace, keys: Iterable<ContractKey>): string {
  const parameters: string[] = [];
  for (const key of keys) parameters.push(parameterOf(space, key));
  const origin = `${base.protocol}//${base.host}`;
  return `${origin}${endpointPath(base, space)}?${parameters.join('&')}`;
}

/** Bytes of the request target (path and `?`) that a subscription has before its first contract. */
export function emptyTargetBytes(base: URL, space: KeySpace): number {
  return endpointPath(base, space).length + 1;
}

/** Bytes that `key` adds to a request target, its `&` included. */
export function contractTargetBytes(space: KeySpace, key: ContractKey): number {
  return parameterOf(space, key).length + 1;
}

/** The header that carries the access token in the handshake. */
export function authorizationHeader(token: string): Record<string, string> {
  return { authorization: `Bearer ${token}` };
}

/** The token of an `Authorization` header, `undefined` where there is none. */
export function bearerToken(header: string | undefined): string | undefined {
  return /^Bearer (.+)$/i.exec(header ?? '')?.[1];
}

/** What a client asks for by its request target; `undefined` where the path is none of ours. */
export function parseSubscriptionTarget(
  target: string,
  basePath: string,
): { space: KeySpace; keys: ContractKey[] } | undefined {
  if (!URL.canParse(target, 'ws://ime.invalid')) return undefined;
  const { pathname, searchParams } = new URL(target, 'ws://ime.invalid');
  for (const space of ['name', 'id'] as const) {
    if (pathname !== basePath + ENDPOINT[space].path) continue;
    const texts = searchParams.getAll(ENDPOINT[space].parameter);
    return { space, keys: texts.map((text) => contractKey(space, text)) };
  }
  return undefined;
}

/**
 * Why a frame was dropped: it is `binary`, not `utf8`, not `json` (`NaN` included), its top level has
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
  | { readonly ok: false; readonly fault: FrameFault };

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
    message = parse(text);
  } catch {
    return { ok: false, fault: 'json' };
  }
  if (!isRecord(message)) return { ok: false, fault: 'shape' };
  const contract = own(message, ENDPOINT[space].field);
  if (typeof contract !== 'string') return { ok: false, fault: 'contract' };
  const timestamp = own(message, 'timestamp');
  if (typeof timestamp !== 'string' || !isLocalDateTime(timestamp)) {
    return { ok: false, fault: 'timestamp' };
  }
  const data = own(message, 'data');
  if (!isRecord(data)) return { ok: false, fault: 'data' };

  const missing = { fields: 0 };
  const state: MarketState = {
    bestLimits: decodeBestLimits(own(data, 'BestLimit'), missing),
    aggregate: decodeSection(AGGREGATE, own(data, 'Aggregate'), missing),
    allowedPriceRange: decodeSection(ALLOWED_PRICE_RANGE, own(data, 'AllowedPriceRange'), missing),
    contractInfo: decodeSection(CONTRACT_INFO, own(data, 'ContractInfo'), missing),
  };
  const sections = Object.values(state).filter((section) => section !== null).length;
  // An empty `data` says nothing; one whose every section is unreadable is rubbish.
  if (sections === 0 && Object.keys(data).length > 0) return { ok: false, fault: 'data' };
  return {
    ok: true,
    key: contractKey(space, contract),
    text,
    snapshot: { timestamp, receivedAtMs, ...state },
    partial: sections < 4,
    missingFields: missing.fields,
  };
}

/**
 * The frame that IME sends for a market state: what {@link decodeMessage} reads back. Sections and
 * fields that are null are left out.
 */
export function encodeMessage(
  key: ContractKey,
  space: KeySpace,
  timestamp: string,
  state: MarketState,
): string {
  const data: string[] = [];
  if (state.bestLimits !== null) {
    const levels = state.bestLimits.map(
      (limit) => `${JSON.stringify(String(limit.level))}:${encodeSection(BEST_LIMIT, limit)}`,
    );
    data.push(`"BestLimit":{${levels.join(',')}}`);
  }
  if (state.aggregate) data.push(`"Aggregate":${encodeSection(AGGREGATE, state.aggregate)}`);
  if (state.allowedPriceRange) {
    data.push(`"AllowedPriceRange":${encodeSection(ALLOWED_PRICE_RANGE, state.allowedPriceRange)}`);
  }
  if (state.contractInfo) {
    data.push(`"ContractInfo":${encodeSection(CONTRACT_INFO, state.contractInfo)}`);
  }
  const contract = `${JSON.stringify(ENDPOINT[space].field)}:${JSON.stringify(contractTextOf(key))}`;
  return `{"channel":${JSON.stringify(CHANNEL)},${contract},"timestamp":${JSON.stringify(timestamp)},"data":{${data.join(',')}}}`;
}

/**
 * The text of `data` in a frame that {@link decodeMessage} accepted: what two sockets that deliver
 * the same publication have in common, whatever each wrote around it.
 */
export function dataText(frameText: string): string {
  // `"data"` inside of a JSON string would have its quotes escaped; as a value no colon follows it.
  const start = /"data"\s*:/.exec(frameText);
  if (start === null) return frameText;
  let depth = 0;
  let inString = false;
  for (let at = start.index + start[0].length; at < frameText.length; at++) {
    const character = frameText[at];
    if (inString) {
      if (character === '\\') at++;
      else if (character === '"') inString = false;
    } else if (character === '"') inString = true;
    else if (character === '{') depth++;
    else if (character === '}' && --depth === 0) {
      return frameText.slice(start.index + start[0].length, at + 1).trim();
    }
  }
  return frameText;
}

function endpointPath(base: URL, space: KeySpace): string {
  return (base.pathname === '/' ? '' : base.pathname) + ENDPOINT[space].path;
}

function parameterOf(space: KeySpace, key: ContractKey): string {
  return `${ENDPOINT[space].parameter}=${encodeURIComponent(contractTextOf(key))}`;
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
  if (!isLosslessNumber(value)) return null;
  return kind === 'decimal' || /^-?\d+$/.test(value.value) ? value.value : null;
}

function encodeSection<T extends object>(section: Section<T>, values: T): string {
  const fields: string[] = [];
  for (const field in section) {
    const [imeName, kind] = section[field];
    const value = values[field] as string | null;
    if (value === null) continue;
    fields.push(`${JSON.stringify(imeName)}:${kind === 'text' ? JSON.stringify(value) : value}`);
  }
  return `{${fields.join(',')}}`;
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
