import type { ContractStatus, StatusCause } from '../contract/contract-status.ts';
import { type ContractKey, keySpaceOf } from '../contract/key.ts';
import type { MarketState, Snapshot } from '../contract/snapshot.ts';
import { readLossless } from '../ime/protocol/lossless.ts';
import { readInOnePass } from '../ime/protocol/one-pass.ts';

/** What is heard of a contract, as the scripts write it. */
export type ContractMessage =
  | {
      readonly kind: 'state';
      readonly offset: number;
      readonly sequence: number;
      /** What {@link readState} reads. */
      readonly body: string;
    }
  | {
      readonly kind: 'status';
      readonly offset: number;
      readonly status: ContractStatus;
      readonly cause: StatusCause | null;
    }
  | { readonly kind: 'accepted' };

/** A state as it travels. */
export interface TravelledState {
  readonly snapshot: Snapshot;
  readonly stale: StatusCause | undefined;
}

interface StateHeader {
  /** The snapshot's timestamp, and when it was received. */
  readonly t: string;
  readonly r: number;
  /** Why it is STALE. */
  readonly s?: StatusCause;
  /** The market state, where IME's own message does not say all of it. */
  readonly m?: MarketState;
}

/** Reads a message of a contract's channel. @throws Error for what no gateway writes */
export function readMessage(text: string): ContractMessage {
  const [, offset, sequence, kind, body = ''] = /^(\d+) (\d+) ([STA])(.*)$/s.exec(text) ?? [];
  if (kind === 'A') return { kind: 'accepted' };
  if (kind === 'S') {
    return { kind: 'state', offset: Number(offset), sequence: Number(sequence), body };
  }
  const [, status, cause] = /^(PENDING|LIVE|STALE|INVALID) (.*)$/.exec(body) ?? [];
  if (status === undefined || cause === undefined) throw new Error('a message cannot be read');
  return {
    kind: 'status',
    offset: Number(offset),
    status: status as ContractStatus,
    cause: JSON.parse(cause) as StatusCause | null,
  };
}

/** A state as text: IME's own message, read again by each gateway, and what that does not say. */
export function writeState(
  key: ContractKey,
  snapshot: Snapshot,
  stale: StatusCause | undefined,
): string {
  const { timestamp, receivedAtMs, raw } = snapshot;
  const header: StateHeader = {
    t: timestamp,
    r: receivedAtMs,
    ...(stale === undefined ? {} : { s: stale }),
    ...(isComplete(readMarketState(key, raw)) ? {} : { m: marketStateOf(snapshot) }),
  };
  return `${JSON.stringify(header)}\n${raw}`;
}

/** Reads what {@link writeState} has written. @throws Error for everything else */
export function readState(key: ContractKey, body: string): TravelledState {
  const end = body.indexOf('\n');
  const header = JSON.parse(body.slice(0, end)) as StateHeader;
  const raw = body.slice(end + 1);
  const state = header.m ?? readMarketState(key, raw);
  if (state === null) throw new Error('a state cannot be read');
  const { bestLimits, aggregate, allowedPriceRange, contractInfo } = state;
  const snapshot: Snapshot = {
    timestamp: header.t,
    receivedAtMs: header.r,
    raw,
    bestLimits,
    aggregate,
    allowedPriceRange,
    contractInfo,
  };
  return { snapshot, stale: header.s };
}

/** A status as the script that writes it takes it. */
export function writeStatus(status: ContractStatus, cause: StatusCause | null): string {
  return `${status} ${JSON.stringify(cause)}`;
}

function readMarketState(key: ContractKey, raw: string): MarketState | null {
  const space = keySpaceOf(key);
  const reading = readInOnePass(raw, space) ?? readLossless(raw, space);
  return typeof reading === 'string' ? null : reading.state;
}

function isComplete(state: MarketState | null): boolean {
  return Boolean(
    state?.bestLimits && state.aggregate && state.allowedPriceRange && state.contractInfo,
  );
}

function marketStateOf(snapshot: Snapshot): MarketState {
  const { bestLimits, aggregate, allowedPriceRange, contractInfo } = snapshot;
  return { bestLimits, aggregate, allowedPriceRange, contractInfo };
}
