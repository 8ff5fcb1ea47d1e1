import type { IncomingMessage } from 'node:http';

/** What nearly every target looks like: nothing is left to be done with it. */
const NORMAL = /^(?:\/[\w-]+(?:\.\w+)*)+$/;
const ABSOLUTE = /^(?:http|ws)s?:\/\/([^/?#]*)/i;
const UNRESERVED = /%(2[dD]|2[eE]|3\d|4[1-9a-fA-F]|5[0-9aAfF]|6[1-9a-fA-F]|7[0-9aAeE])/g;

/**
 * Brings the target of a request into the form that everything else reads: the path and query alone, however
 * it was written. Source: RFC 9112, section 3.2; RFC 3986, section 6.2.2.2.
 *
 * @returns its path; one slash at its end, and percent-encoding that no character needs, do not count
 */
export function normalizeTarget(request: IncomingMessage): string {
  const given = request.url ?? '/';
  if (NORMAL.test(given)) return given;
  const [absolute = '', host] = ABSOLUTE.exec(given) ?? [];
  // The host of a whole URL counts, whatever `Host` says.
  if (host !== undefined) request.headers.host = host;
  let target = given.slice(absolute.length);
  if (!target.startsWith('/') && target !== '*') target = `/${target}`;
  request.url = target;
  const end = target.search(/[?#]/);
  const path = (end === -1 ? target : target.slice(0, end)).replaceAll(UNRESERVED, (encoded) =>
    decodeURIComponent(encoded),
  );
  return path.length > 1 && path.endsWith('/') && !path.endsWith('//') ? path.slice(0, -1) : path;
}
