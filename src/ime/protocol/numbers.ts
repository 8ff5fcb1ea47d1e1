/** A JSON number literal: sign, whole digits, fraction, exponent. */
const JSON_NUMBER = /^(-?)(0|[1-9]\d*)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/;
/** A whole number in its canonical digits, behind which only zeros may be. */
const CANONICAL = /^(?:0|-?[1-9]\d*)(?:\.0+)?$/;
/** A whole number of more digits than this is no count of anything; an exponent must not expand it. */
const MOST_WHOLE_DIGITS = 400;

/** `literal` where it is a JSON number literal, however large; null where it is anything else. */
export function decimalDigits(literal: string): string | null {
  return JSON_NUMBER.test(literal) ? literal : null;
}

/**
 * The digits of the whole number that a JSON number literal stands for, however written: `1000.0`,
 * `1.5e3` and `1e+16` are whole, `-0.0` is `0`. Null for a fraction, for what is no JSON number, and
 * for an exponent that would make more than 400 digits.
 */
export function wholeDigits(literal: string): string | null {
  if (CANONICAL.test(literal)) {
    const point = literal.indexOf('.');
    return point === -1 ? literal : literal.slice(0, point);
  }
  const match = JSON_NUMBER.exec(literal);
  if (match === null) return null;
  const [, sign = '', whole = '', fraction = '', exponent = '0'] = match;
  const digits = (whole + fraction).replace(/^0+/, '');
  if (digits === '') return '0';
  const shift = Number(exponent) - fraction.length;
  if (shift >= 0) {
    if (shift > 0 && digits.length + shift > MOST_WHOLE_DIGITS) return null;
    return sign + digits + '0'.repeat(shift);
  }
  // Only zeros may stand behind the point, and something must be left before it.
  const kept = digits.length + shift;
  return kept > 0 && /^0+$/.test(digits.slice(kept)) ? sign + digits.slice(0, kept) : null;
}
