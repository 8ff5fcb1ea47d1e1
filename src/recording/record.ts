import {
  CONTRACT_STATUS_CODES,
  CONTRACT_STATUSES,
  type ContractStatus,
  type StatusCause,
} from '../contract/contract-status.ts';
import { type ContractKey, contractKey, contractTextOf, keySpaceOf } from '../contract/key.ts';

/** A message of IME, or a change of a contract's status, with the time of its arrival in epoch milliseconds. */
export type Record =
  | {
      readonly atMs: number;
      readonly key: ContractKey;
      /** IME's own text. */
      readonly message: string;
      /** Why the state is STALE although it has just come; `undefined` where it is not. */
      readonly cause: StatusCause | undefined;
    }
  | {
      readonly atMs: number;
      readonly key: ContractKey;
      readonly status: ContractStatus;
      readonly cause: StatusCause | undefined;
    };

const ENDPOINTS = { name: 'NAME', id: 'ID' } as const;

/** A record as a line of JSON, its end included: `at`, `endpoint`, `contract`, then `message` or `status`. */
export function recordLine(record: Record): string {
  const { atMs, key, cause } = record;
  const about = 'message' in record ? { message: record.message } : { status: record.status };
  return `${JSON.stringify({
    at: new Date(atMs).toISOString(),
    endpoint: ENDPOINTS[keySpaceOf(key)],
    contract: contractTextOf(key),
    ...about,
    ...cause,
  })}\n`;
}

/** Reads a line; `undefined` for what is none of {@link recordLine}. */
export function readRecord(line: string): Record | undefined {
  let read: { readonly [field: string]: unknown };
  try {
    read = JSON.parse(line);
  } catch {
    return undefined;
  }
  if (typeof read !== 'object' || read === null) return undefined;
  const { at, endpoint, contract, message, status, code, reason } = read;
  const atMs = typeof at === 'string' ? Date.parse(at) : Number.NaN;
  const space = endpoint === 'NAME' ? 'name' : endpoint === 'ID' ? 'id' : undefined;
  if (Number.isNaN(atMs) || space === undefined || typeof contract !== 'string') return undefined;
  const key = contractKey(space, contract);
  const cause =
    CONTRACT_STATUS_CODES.find((one) => one === code) === undefined || typeof reason !== 'string'
      ? undefined
      : ({ code, reason } as StatusCause);
  if (typeof message === 'string') return { atMs, key, message, cause };
  const known = CONTRACT_STATUSES.find((one) => one === status);
  return known === undefined ? undefined : { atMs, key, status: known, cause };
}
