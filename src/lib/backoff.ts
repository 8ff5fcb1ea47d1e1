const BASE_MS = 500;
const CAP_MS = 30_000;
const UNREACHABLE_CAP_MS = 3_000;
const LEAST_MS = 250;

/**
 * How long to wait before try number `attempt` (0 for the first after something worked) of a dial or a login,
 * with full jitter so that many gateways do not return in step.
 *
 * Where nothing answered at all (connection refused, 502 to 504) the cap is 3 s: such a try reaches no
 * service, and data must be back within 5 s of the service's return.
 *
 * @param random from 0 up to 1
 * @returns milliseconds
 */
export function backoffMs(attempt: number, unreachable: boolean, random = Math.random()): number {
  const cap = unreachable ? UNREACHABLE_CAP_MS : CAP_MS;
  return Math.max(LEAST_MS, random * Math.min(cap, BASE_MS * 2 ** attempt));
}
