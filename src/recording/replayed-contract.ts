import type { StatusCause } from '../contract/contract-status.ts';
import { type ContractKey, keySpaceOf } from '../contract/key.ts';
import type { LocalTimeZone } from '../contract/local-time.ts';
import type { Snapshot } from '../contract/snapshot.ts';
import { decodeMessage } from '../ime/protocol/decode.ts';
import type { Record } from './record.ts';

/** A contract of a recording that is played, whether anybody wants it now or not. */
export class ReplayedContract {
  /** Somebody wants it. */
  isWanted = false;
  /** How many states have been played, told or not. */
  sequence = 0;
  /** The last record of it with a message, which whoever asks for it later is told. */
  lastMessage: Extract<Record, { message: string }> | undefined;
  /** The last change of its status since then. */
  lastStatus: Extract<Record, { status: string }> | undefined;

  constructor(readonly key: ContractKey) {}

  /** Takes note of a record of it. */
  note(record: Record): void {
    if ('message' in record) {
      this.sequence++;
      this.lastMessage = record;
      this.lastStatus = undefined;
    } else {
      this.lastStatus = record;
    }
  }

  /** Nothing of it has been played yet. */
  get isUnseen(): boolean {
    return this.lastMessage === undefined && this.lastStatus === undefined;
  }
}

/** What a recorded message came to. */
export interface ReplayedState {
  readonly snapshot: Snapshot;
  readonly stale: StatusCause | undefined;
}

/**
 * Reads a recorded message as it was read when it came.
 *
 * @param movedByMs by how much its timestamp is moved, in milliseconds; `undefined`: it stays as it is
 * @returns `undefined` where it cannot be read
 */
export function readReplayed(
  { key, message, cause }: Extract<Record, { message: string }>,
  nowMs: number,
  zone: LocalTimeZone,
  movedByMs: number | undefined,
): ReplayedState | undefined {
  const frame = Buffer.from(message, 'utf8');
  const decoded = decodeMessage(frame, false, keySpaceOf(key), nowMs, zone);
  if (!decoded.ok) return undefined;
  const { snapshot } = decoded;
  if (movedByMs === undefined) return { snapshot, stale: cause };
  const timestampMs = zone.toEpochMs(snapshot.timestamp);
  if (timestampMs === undefined) return { snapshot, stale: cause };
  const timestamp = zone.toLocal(Math.round(timestampMs + movedByMs));
  return { snapshot: { ...snapshot, timestamp }, stale: cause };
}
