/** A string, or a whole number of so many digits that it may not fit a binary float. */
const STRING_OR_LONG_NUMBER = /"[^"\\]*(?:\\.[^"\\]*)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g;
const MANY_DIGITS = /\d{16}|\d[eE]\+?\d/;

/**
 * Reads JSON as `JSON.parse` does, but a whole number beyond 2^53 comes as the text of its digits: an ID
 * that a client writes as a number must not silently become another one.
 *
 * @throws SyntaxError where it is not JSON
 */
export function parseExactJson(text: string): unknown {
  // First of all, for in what is no JSON a text may have no end, and looking for it takes quadratic time.
  const read: unknown = JSON.parse(text);
  if (!MANY_DIGITS.test(text)) return read;
  return JSON.parse(
    text.replace(STRING_OR_LONG_NUMBER, (token) => {
      if (token.startsWith('"') || token.includes('.')) return token;
      const value = Number(token);
      return Number.isSafeInteger(value) || !Number.isFinite(value) ? token : `"${token}"`;
    }),
  );
}
