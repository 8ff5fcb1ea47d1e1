/** How long to stay away where a service that throttles does not say, in milliseconds. */
const THROTTLED_MS = 30_000;
/** A service that wants to be left alone for longer is asked again all the same, in milliseconds. */
const MOST_THROTTLED_MS = 10 * 60_000;

/**
 * What a Retry-After header asks for: seconds, or a date.
 *
 * @param nowMs epoch milliseconds
 * @returns milliseconds; `undefined` where there is none, or none that can be read
 */
export function retryAfterMs(header: string | null | undefined, nowMs: number): number | undefined {
  if (header === undefined || header === null) return undefined;
  const ms = /^\d+$/.test(header) ? Number(header) * 1000 : Date.parse(header) - nowMs;
  return Number.isFinite(ms) && ms >= 0 ? ms : undefined;
}

/** For how long a service that throttles is left alone, in milliseconds. @param askedMs as it says */
export function throttledForMs(askedMs: number | undefined): number {
  return Math.min(MOST_THROTTLED_MS, askedMs ?? THROTTLED_MS);
}
