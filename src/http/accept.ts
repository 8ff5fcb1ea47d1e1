import Negotiator from 'negotiator';

/**
 * The media type that an `Accept` header likes best of those offered; ties go to the order offered.
 *
 * @returns `undefined` where it allows none of them
 */
export function preferredMediaType(
  accept: string | undefined,
  offered: readonly string[],
): string | undefined {
  if (accept === undefined || accept === '*/*') return offered[0];
  // An empty header says as little as none.
  return new Negotiator({ headers: { accept: accept?.trim() || undefined } }).mediaType([
    ...offered,
  ]);
}
