/** Groups and digits of a number in a language. */
export interface NumberStyle {
  readonly group: string;
  readonly decimal: string;
  /** Whether digits are Persian. */
  readonly persianDigits: boolean;
}

const PERSIAN_ZERO = 0x06f0;

/** A text with Persian digits where the style wants them. */
export function withDigits(text: string, { persianDigits }: NumberStyle): string {
  if (!persianDigits) return text;
  return text.replace(/\d/g, (digit) => String.fromCharCode(PERSIAN_ZERO + Number(digit)));
}

/**
 * A number as its digits are, with groups of three: no digit is lost to a float. A fraction of nothing
 * but zeros, as Python's floats have it, is left out.
 *
 * @param digits as the gateway sends them, such as `-1234567.50`; null is shown as a dash
 */
export function formatDigits(digits: string | null | undefined, style: NumberStyle): string {
  if (digits === null || digits === undefined) return '–';
  return groupDigits(digits.replace(/^(-?\d+)\.0+$/, '$1'), style);
}

function groupDigits(digits: string, style: NumberStyle): string {
  const match = /^(-?)(\d+)(?:\.(\d+))?$/.exec(digits);
  if (match === null) return withDigits(digits, style);
  const [, sign = '', whole = '', fraction] = match;
  const grouped = whole.replace(/\B(?=(\d{3})+$)/g, style.group);
  const text = `${sign ? '−' : ''}${grouped}${fraction ? style.decimal + fraction : ''}`;
  return withDigits(text, style);
}

/** A change with its sign, a plus included. */
export function formatChange(digits: string | null | undefined, style: NumberStyle): string {
  const text = formatDigits(digits, style);
  return direction(digits) > 0 ? `+${text}` : text;
}

/** A percentage to two places. */
export function formatPercent(digits: string | null | undefined, style: NumberStyle): string {
  if (digits === null || digits === undefined) return '';
  const rounded = Number(digits)
    .toFixed(2)
    .replace(/^-(0\.00)$/, '$1');
  const sign = direction(rounded) > 0 ? '+' : '';
  // Here zeros at the end stay: two places are what was promised.
  return `${sign}${groupDigits(rounded, style)}${style.persianDigits ? '٪' : '%'}`;
}

/** 1, 0 or -1: whether a number is above, at or below zero. */
export function direction(digits: string | null | undefined): number {
  return digits ? Math.sign(Number(digits)) : 0;
}
