import { backoffMs } from '../../lib/backoff.ts';
import { throttledForMs } from '../../lib/retry-after.ts';
import { REFUSED_CLOSE_CODE } from '../protocol/endpoints.ts';
import type { SocketEnd } from './socket.ts';

/**
 * What the end of a connection means for those who wanted it:
 *
 * - `transient`: the service or the path to it failed; try again with backoff
 * - `unreachable`: the same, before anything answered; a try costs nobody anything
 * - `throttled`: wait as long as the service says
 * - `tooLong`: the request target is longer than the service reads
 * - `token`: the access token is refused
 * - `wrongUrl`: there is no such endpoint
 * - `protocol`: the service broke the WebSocket protocol; try again with backoff
 * - `ambiguous`: the token or one of the contracts is refused
 */
export type FailureClass =
  | 'transient'
  | 'unreachable'
  | 'throttled'
  | 'tooLong'
  | 'token'
  | 'wrongUrl'
  | 'protocol'
  | 'ambiguous';

/** Every {@link FailureClass}. */
export const FAILURE_CLASSES: readonly FailureClass[] = [
  'transient',
  'unreachable',
  'throttled',
  'tooLong',
  'token',
  'wrongUrl',
  'protocol',
  'ambiguous',
];

const PROTOCOL_CLOSE_CODES = new Set([1002, 1003, 1007, 1009]);

/** What an end means. Source of the table: measured against FastAPI services, with and without nginx. */
export function classifyEnd(end: SocketEnd): FailureClass {
  switch (end.kind) {
    case 'silent':
      return 'transient';
    case 'error':
      if (end.code?.startsWith('WS_ERR')) return 'protocol';
      return end.code === 'ECONNREFUSED' ? 'unreachable' : 'transient';
    case 'close':
      if (end.code === REFUSED_CLOSE_CODE) return 'ambiguous';
      return PROTOCOL_CLOSE_CODES.has(end.code) ? 'protocol' : 'transient';
    case 'http':
      return classifyStatus(end.status, end.bodyEmpty);
  }
}

function classifyStatus(status: number, bodyEmpty: boolean): FailureClass {
  switch (status) {
    case 400:
    case 414:
    case 431:
      return 'tooLong';
    case 401:
      return 'token';
    case 403:
      return bodyEmpty ? 'ambiguous' : 'token';
    case 404:
      return 'wrongUrl';
    case 429:
      return 'throttled';
    case 502:
    case 503:
    case 504:
      return 'unreachable';
    default:
      return 'transient';
  }
}

/** For how long a service that throttles wants no dial, in milliseconds. */
export function noDialForMs(end: SocketEnd): number {
  return throttledForMs(end.kind === 'http' ? end.retryAfterMs : undefined);
}

/** How often an endpoint that does not exist is tried again. */
const WRONG_URL_RETRY_MS = 5 * 60_000;

/**
 * How long to wait after a failure before the next dial.
 *
 * @param attempt how many dials in a row have failed before this one
 * @returns milliseconds
 */
export function redialAfterMs(failureClass: FailureClass, end: SocketEnd, attempt: number): number {
  if (failureClass === 'wrongUrl') return WRONG_URL_RETRY_MS;
  if (failureClass === 'throttled') return noDialForMs(end);
  return backoffMs(attempt, failureClass === 'unreachable');
}

/** Whether IME was asked and said no: to the token, or to what was asked for. */
export function isRefusal(failureClass: FailureClass): boolean {
  return failureClass === 'ambiguous' || failureClass === 'token' || failureClass === 'tooLong';
}

/** An end in words for a log line or a status. */
export function describeEnd(end: SocketEnd): string {
  switch (end.kind) {
    case 'silent':
      return `nothing came in for ${(end.forMs / 1000).toFixed(1)} s, not even a pong`;
    case 'error':
      return end.message || end.code || 'the connection failed';
    case 'close':
      return `closed with ${end.code}${end.reason === '' ? '' : ` (${end.reason.slice(0, 100)})`}`;
    case 'http':
      return `answered HTTP ${end.status}${end.bodyEmpty ? ' with an empty body' : ''}`;
  }
}
