import { decodeJwt } from 'jose';

/** What a header's value may hold. Source: RFC 9110, section 5.5; Node sends it in Latin-1. */
const HEADER_VALUE = /^[\x21-\x7e\x80-\xff](?:[\t\x20-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?$/;
const HEADER_NAME = /^[\w!#$%&'*+.^`|~-]+$/;
/** Headers that the gateway itself gives, or that make a handshake what it is. */
const OWN_HEADERS =
  /^(authorization|connection|content-length|content-type|host|sec-websocket-.*|transfer-encoding|upgrade)$/i;

/** What is wrong with a text as an access token, as a phrase «expected …, got …»; `undefined`: nothing. */
export function tokenFault(token: string): string | undefined {
  if (token === '') return 'expected an access token, got nothing';
  if (HEADER_VALUE.test(token)) return undefined;
  return 'expected an access token, got one with a character that no header can carry';
}

/**
 * Reads further headers: a JSON object of texts.
 *
 * @throws TypeError saying what was expected
 */
export function readHeaders(text: string): Record<string, string> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new TypeError('expected a JSON object of headers, got something else');
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new TypeError('expected a JSON object of headers, got something else');
  }
  for (const [name, given] of Object.entries(value)) {
    const shown = JSON.stringify(name.slice(0, 50));
    if (!HEADER_NAME.test(name)) throw new TypeError(`expected a header's name, got ${shown}`);
    if (OWN_HEADERS.test(name)) throw new TypeError(`expected no ${shown}: the gateway gives it`);
    if (typeof given !== 'string' || !HEADER_VALUE.test(given)) {
      throw new TypeError(`expected a text that a header can carry for ${shown}`);
    }
  }
  return value as Record<string, string>;
}

/** When a token ends, in epoch milliseconds, where it is a JWT that says so. It is read, not verified. */
export function expiryOf(token: string): number | undefined {
  try {
    const { exp } = decodeJwt(token);
    return Number.isFinite(exp) ? Number(exp) * 1_000 : undefined;
  } catch {
    return undefined;
  }
}
