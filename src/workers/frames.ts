import type { ContractStatus, StatusCause } from '../contract/contract-status.ts';
import { type ContractKey, keySpaceOf } from '../contract/key.ts';
import type { LocalTimeZone } from '../contract/local-time.ts';
import type { MarketState, Snapshot } from '../contract/snapshot.ts';
import type { Position } from '../hub/position.ts';
import type { NewState, NewStatus } from '../hub/source.ts';
import { decodeMessage } from '../ime/protocol/decode.ts';
import { frameOf } from './link/channel.ts';

/** A contract has a new state. */
export const STATE = 1;
/** A contract's status changes. */
export const STATUS = 2;
/** A contract is held from now on; in it are the frames of what is known. */
export const JOINED = 3;
/** A contract is held no more. */
export const LET_GO = 4;

/** What of a snapshot its raw message does not say: sections known from before it. */
export type Carried = Partial<MarketState & { readonly timestamp: string }>;

const SECTIONS = ['bestLimits', 'aggregate', 'allowedPriceRange', 'contractInfo'] as const;
const LENGTH_BYTES = 4;

type StateHead = readonly [
  key: ContractKey,
  epoch: string,
  offset: number,
  sequence: number,
  receivedAtMs: number,
  sinceMs: number,
  stale: StatusCause | null,
  carried: Carried | null,
];

type StatusHead = readonly [
  key: ContractKey,
  status: ContractStatus,
  cause: StatusCause | null,
  epoch: string,
  offset: number,
  sinceMs: number,
];

/** A state with since when its status is what it is, in epoch milliseconds. */
export type TimedState = NewState & { readonly sinceMs: number };
/** A status with since when it is so, in epoch milliseconds. */
export type TimedStatus = NewStatus & { readonly sinceMs: number };

/** The frame of a state: what stands around IME's own message, and the message as it came. */
export function stateFrame(
  key: ContractKey,
  { position, sequence, snapshot, stale, sinceMs }: TimedState,
  carried: Carried | null,
): Buffer {
  const head: StateHead = [
    key,
    position.epoch,
    position.offset,
    sequence,
    snapshot.receivedAtMs,
    sinceMs,
    stale ?? null,
    carried,
  ];
  return frameOf(STATE, withLength(JSON.stringify(head)), Buffer.from(snapshot.raw));
}

/** The contract of a state's frame, and the state. */
export function readState(
  payload: Buffer,
  zone: LocalTimeZone,
): readonly [ContractKey, TimedState] {
  const [headText, raw] = split(payload);
  const [key, epoch, offset, sequence, receivedAtMs, sinceMs, stale, carried] = JSON.parse(
    headText,
  ) as StateHead;
  const snapshot = { ...readRaw(key, raw, receivedAtMs, zone), ...carried } as Snapshot;
  const position = { epoch, offset };
  return [key, { position, sequence, snapshot, stale: stale ?? undefined, sinceMs }];
}

/** The frame of a status. */
export function statusFrame(
  key: ContractKey,
  { status, cause, position, sinceMs }: TimedStatus,
): Buffer {
  const head: StatusHead = [key, status, cause, position.epoch, position.offset, sinceMs];
  return frameOf(STATUS, Buffer.from(JSON.stringify(head)));
}

/** The contract of a status's frame, and the status. */
export function readStatus(payload: Buffer): readonly [ContractKey, TimedStatus] {
  const [key, status, cause, epoch, offset, sinceMs] = JSON.parse(payload.toString()) as StatusHead;
  return [key, { status, cause, position: { epoch, offset }, sinceMs }];
}

/** @param known the frames of what is known of the contract */
export function joinedFrame(key: ContractKey, known: Buffer): Buffer {
  return frameOf(JOINED, withLength(key), known);
}

/** The contract that is held from now on, and the frames of what is known of it. */
export function readJoined(payload: Buffer): readonly [ContractKey, Buffer] {
  return split(payload) as [ContractKey, Buffer];
}

/** @param position where its end stands among all changes */
export function letGoFrame(key: ContractKey, { epoch, offset }: Position): Buffer {
  return frameOf(LET_GO, Buffer.from(JSON.stringify([key, epoch, offset])));
}

/** The contract that is held no more, and where its end stands among all changes. */
export function readLetGo(payload: Buffer): readonly [ContractKey, Position] {
  const [key, epoch, offset] = JSON.parse(payload.toString()) as [ContractKey, string, number];
  return [key, { epoch, offset }];
}

/**
 * What the raw message of a snapshot does not say by itself.
 *
 * @param last the contract's snapshot before: a section that is the very same object was taken over from it;
 *   without it the message is read
 */
export function carriedIn(
  key: ContractKey,
  snapshot: Snapshot,
  last: Snapshot | undefined,
  zone: LocalTimeZone,
): Carried | null {
  const known = last ?? readRaw(key, Buffer.from(snapshot.raw), snapshot.receivedAtMs, zone);
  const carried: Record<string, unknown> = {};
  for (const section of SECTIONS) {
    const own = snapshot[section];
    if (own === null) continue;
    if (last === undefined ? known?.[section] == null : last[section] === own) {
      carried[section] = own;
    }
  }
  if (last === undefined && known?.timestamp !== snapshot.timestamp) {
    carried['timestamp'] = snapshot.timestamp;
  }
  return Object.keys(carried).length === 0 ? null : carried;
}

/** What a raw message says; but for itself and its time nothing where it cannot be read. */
function readRaw(
  key: ContractKey,
  raw: Buffer,
  receivedAtMs: number,
  zone: LocalTimeZone,
): Partial<Snapshot> {
  const decoded = decodeMessage(raw, false, keySpaceOf(key), receivedAtMs, zone);
  if (decoded.ok) return decoded.snapshot;
  const none = { bestLimits: null, aggregate: null, allowedPriceRange: null, contractInfo: null };
  return { ...none, receivedAtMs, raw: raw.toString() };
}

function withLength(text: string): Buffer {
  const length = Buffer.byteLength(text);
  const bytes = Buffer.allocUnsafe(LENGTH_BYTES + length);
  bytes.writeUInt32LE(length, 0);
  bytes.write(text, LENGTH_BYTES);
  return bytes;
}

function split(payload: Buffer): [string, Buffer] {
  const end = LENGTH_BYTES + payload.readUInt32LE(0);
  return [payload.toString('utf8', LENGTH_BYTES, end), payload.subarray(end)];
}
