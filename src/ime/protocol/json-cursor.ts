const TAB = 0x09;
const NEWLINE = 0x0a;
const RETURN = 0x0d;
const SPACE = 0x20;
const QUOTE = 0x22;
const PLUS = 0x2b;
const COMMA = 0x2c;
const MINUS = 0x2d;
const POINT = 0x2e;
const ZERO = 0x30;
const NINE = 0x39;
const COLON = 0x3a;
const UPPER_E = 0x45;
const OPENING_BRACKET = 0x5b;
const BACKSLASH = 0x5c;
const CLOSING_BRACKET = 0x5d;
const LOWER_E = 0x65;
const OPENING_BRACE = 0x7b;
const CLOSING_BRACE = 0x7d;

/** The words that are values; three of them are Python's and no JSON. */
const WORDS = ['null', 'true', 'false', 'NaN', 'Infinity', '-Infinity'];

/** Values that are nested deeper are left to others: this bounds the stack. */
const MOST_DEPTH = 32;

/** Thrown at all that a {@link JsonCursor} does not read. One for all, for a stack trace is dear and says nothing. */
export const UNEXPECTED = new SyntaxError('expected JSON that a cursor reads');

/** A key as a text has it, quotes and colon included; in a string it would make reading a frame a sixth slower. */
export type KeyCodes = Uint16Array;

/** What {@link JsonCursor.takeKey} compares with, for a key that needs no escapes. */
export function keyCodes(key: string): KeyCodes {
  return Uint16Array.from(`"${key}":`, (character) => character.charCodeAt(0));
}

/**
 * Goes over a JSON text once, from left to right, and makes nothing but the values that it is asked for.
 * Literals of numbers stay as they are written.
 *
 * It goes over nothing that is no JSON, except for Python's `NaN` and `Infinity` where a value may be. Keys
 * with escapes or white space behind them, and deeply nested values, it does not read, though they are JSON.
 */
export class JsonCursor {
  readonly #text: string;
  #at = 0;
  #isPlain = true;

  constructor(text: string) {
    this.#text = text;
  }

  /** Whether the last {@link number} had neither fraction nor exponent. */
  get isPlain(): boolean {
    return this.#isPlain;
  }

  /** Enters the object that is next. @returns false, and stays, where the next value is none */
  enterObject(): boolean {
    if (this.#skipSpace() !== OPENING_BRACE) return false;
    this.#at++;
    return true;
  }

  /**
   * Goes to the next key of the object that was entered, or leaves the object where there is none.
   *
   * @param isFirst whether none of its keys was read yet
   * @returns whether there is one, to be taken by {@link takeKey} or {@link key}
   */
  hasKey(isFirst: boolean): boolean {
    const code = this.#skipSpace();
    if (isFirst && code !== CLOSING_BRACE) return true;
    this.#at++;
    if (code === CLOSING_BRACE) return false;
    if (code !== COMMA) throw UNEXPECTED;
    this.#skipSpace();
    return true;
  }

  /** Goes to the value of the next key, where that is this one. */
  takeKey(codes: KeyCodes): boolean {
    const text = this.#text;
    const start = this.#at;
    const { length } = codes;
    for (let place = 0; place < length; place++) {
      if (text.charCodeAt(start + place) !== codes[place]) return false;
    }
    this.#at = start + length;
    this.#skipSpace();
    return true;
  }

  /** Goes to the value of the next key. @returns the key */
  key(): string {
    const start = this.#at;
    if (!this.isAtString() || this.#skipString()) throw UNEXPECTED;
    const end = this.#at;
    if (this.#text.charCodeAt(end) !== COLON) throw UNEXPECTED;
    this.#at++;
    this.#skipSpace();
    return this.#text.slice(start + 1, end - 1);
  }

  /** Whether the value of the key just taken is a string. */
  isAtString(): boolean {
    return this.#text.charCodeAt(this.#at) === QUOTE;
  }

  /** Whether the value of the key just taken is a number. */
  isAtNumber(): boolean {
    const code = this.#text.charCodeAt(this.#at);
    return isDigit(code) || (code === MINUS && isDigit(this.#text.charCodeAt(this.#at + 1)));
  }

  /** The string that is next. */
  string(): string {
    const start = this.#at;
    const hasEscapes = this.#skipString();
    if (hasEscapes) return JSON.parse(this.#text.slice(start, this.#at)) as string;
    return this.#text.slice(start + 1, this.#at - 1);
  }

  /** The literal of the number that is next. */
  number(): string {
    const start = this.#at;
    this.#skipNumber();
    return this.#text.slice(start, this.#at);
  }

  /** Goes behind the next value, whatever it is. @param depth how deep it is nested in values that are skipped */
  skipValue(depth = 0): void {
    const code = this.#skipSpace();
    if (code === QUOTE) this.string();
    else if (code === OPENING_BRACE) this.#skipObject(depth + 1);
    else if (code === OPENING_BRACKET) this.#skipArray(depth + 1);
    else if (this.isAtNumber()) this.#skipNumber();
    else {
      const word = WORDS.find((candidate) => this.#text.startsWith(candidate, this.#at));
      if (word === undefined) throw UNEXPECTED;
      this.#at += word.length;
    }
  }

  /** Makes sure that nothing but white space is left. */
  expectEnd(): void {
    this.#skipSpace();
    if (this.#at < this.#text.length) throw UNEXPECTED;
  }

  #skipObject(depth: number): void {
    if (depth > MOST_DEPTH) throw UNEXPECTED;
    this.#at++;
    for (let isFirst = true; this.hasKey(isFirst); isFirst = false) {
      this.key();
      this.skipValue(depth);
    }
  }

  #skipArray(depth: number): void {
    if (depth > MOST_DEPTH) throw UNEXPECTED;
    this.#at++;
    if (this.#skipSpace() === CLOSING_BRACKET) {
      this.#at++;
      return;
    }
    for (let code = COMMA; code !== CLOSING_BRACKET; this.#at++) {
      if (code !== COMMA) throw UNEXPECTED;
      this.skipValue(depth);
      code = this.#skipSpace();
    }
  }

  /** @returns the code that is next then; `NaN` at the end */
  #skipSpace(): number {
    const code = this.#text.charCodeAt(this.#at);
    if (code > SPACE) return code;
    // Python's one space is not worth a loop.
    const next = code === SPACE ? this.#text.charCodeAt(this.#at + 1) : SPACE;
    if (next <= SPACE || Number.isNaN(next)) return this.#skipSomeSpace();
    this.#at++;
    return next;
  }

  #skipSomeSpace(): number {
    const text = this.#text;
    let at = this.#at;
    let code = text.charCodeAt(at);
    while (code === SPACE || code === NEWLINE || code === TAB || code === RETURN) {
      code = text.charCodeAt(++at);
    }
    this.#at = at;
    return code;
  }

  /** @returns whether it has escapes, which are not looked at */
  #skipString(): boolean {
    const text = this.#text;
    let hasEscapes = false;
    for (let at = this.#at + 1; at < text.length; at++) {
      const code = text.charCodeAt(at);
      if (code === QUOTE) {
        this.#at = at + 1;
        return hasEscapes;
      }
      if (code < SPACE) throw UNEXPECTED;
      if (code === BACKSLASH) {
        hasEscapes = true;
        at++;
      }
    }
    throw UNEXPECTED;
  }

  #skipNumber(): void {
    const text = this.#text;
    let at = this.#at;
    if (text.charCodeAt(at) === MINUS) at++;
    at = text.charCodeAt(at) === ZERO ? at + 1 : this.#afterDigits(at);
    let code = text.charCodeAt(at);
    this.#isPlain = code !== POINT && code !== LOWER_E && code !== UPPER_E;
    if (code === POINT) {
      at = this.#afterDigits(at + 1);
      code = text.charCodeAt(at);
    }
    if (code === LOWER_E || code === UPPER_E) {
      const sign = text.charCodeAt(at + 1);
      at = this.#afterDigits(sign === PLUS || sign === MINUS ? at + 2 : at + 1);
    }
    this.#at = at;
  }

  /** Where the digits that begin at `at` are over; there must be one. */
  #afterDigits(at: number): number {
    const text = this.#text;
    let end = at;
    while (isDigit(text.charCodeAt(end))) end++;
    if (end === at) throw UNEXPECTED;
    return end;
  }
}

function isDigit(code: number): boolean {
  return code >= ZERO && code <= NINE;
}
