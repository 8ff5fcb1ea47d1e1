import { isUtf8 } from 'node:buffer';
import { type ContractKey, contractKey, type KeySpace } from '../../contract/key.ts';
import { isLocalDateTime, type LocalTimeZone } from '../../contract/local-time.ts';
import type { Snapshot } from '../../contract/snapshot.ts';
import { readLossless } from './lossless.ts';
import { readInOnePass } from './one-pass.ts';

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

const BYTE_ORDER_MARK = 0xfeff;

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
  const given = frame.toString('utf8');
  // A byte order mark says nothing, and is no JSON.
  const text = given.charCodeAt(0) === BYTE_ORDER_MARK ? given.slice(1) : given;
  const reading = readInOnePass(text, space) ?? readLossless(text, space);
  if (typeof reading === 'string') return { ok: false, fault: reading };
  if (reading.contract === null) return { ok: false, fault: 'contract' };
  const key = contractKey(space, reading.contract);
  const timestamp = localTimeOf(reading.timestamp, zone);
  if (timestamp === undefined) return { ok: false, fault: 'timestamp', key };
  if (reading.state === null) return { ok: false, fault: 'data', key };
  const { bestLimits, aggregate, allowedPriceRange, contractInfo } = reading.state;
  return {
    ok: true,
    key,
    text,
    snapshot: {
      timestamp,
      receivedAtMs,
      raw: text,
      bestLimits,
      aggregate,
      allowedPriceRange,
      contractInfo,
    },
    partial: !(bestLimits && aggregate && allowedPriceRange && contractInfo),
    missingFields: reading.missingFields,
  };
}

/** A timestamp without a zone, as IME writes it; one with a zone as IME's own clocks have it. */
function localTimeOf(written: string | null, zone: LocalTimeZone | undefined): string | undefined {
  if (written === null) return undefined;
  return isLocalDateTime(written) ? written : zone?.fromInstant(written);
}
