/** The two key spaces of IME. Nothing maps one to the other. */
export type KeySpace = 'name' | 'id';

/**
 * One contract as IME addresses it: `name:<contract name>` or `id:<contract ID>`.
 *
 * The text behind the colon is exactly what the client sent. Letter forms that look alike
 * (ي/ی, ك/ک, with or without ZWNJ) are different contracts upstream, so nothing is normalised.
 */
export type ContractKey = `name:${string}` | `id:${string}`;

/** The most characters (Unicode code points) that a contract name or ID may have. */
const MAX_CONTRACT_TEXT_CHARACTERS = 256;

/** The key of `text` in `space`. Does not check `text`: see {@link contractTextFault}. */
export function contractKey(space: KeySpace, text: string): ContractKey {
  return `${space}:${text}`;
}

/** The key that a text is itself: what `Contract.id` says; `undefined` for any other text. */
export function globalKey(text: string): ContractKey | undefined {
  return /^(?:name|id):/.test(text) ? (text as ContractKey) : undefined;
}

/** The key of what a client gives as an ID: the `id` of a contract, or a contract ID of IME. */
export function keyOfId(text: string): ContractKey {
  return globalKey(text) ?? contractKey('id', text);
}

/** The key space of a key. */
export function keySpaceOf(key: ContractKey): KeySpace {
  return key.startsWith('id:') ? 'id' : 'name';
}

/** The contract name or ID of a key, as the client sent it. */
export function contractTextOf(key: ContractKey): string {
  return key.slice(key.indexOf(':') + 1);
}

/**
 * What is wrong with `text` as a contract name or ID, as a phrase «expected …, got …»,
 * or `undefined` where it can be asked of IME.
 */
export function contractTextFault(text: string): string | undefined {
  if (text === '') return 'expected at least 1 character, got an empty text';
  // A code point takes one or two UTF-16 units: short texts need not be counted.
  const characters = text.length > MAX_CONTRACT_TEXT_CHARACTERS ? [...text].length : text.length;
  if (characters > MAX_CONTRACT_TEXT_CHARACTERS) {
    return `expected at most ${MAX_CONTRACT_TEXT_CHARACTERS} characters, got ${characters}`;
  }
  if (/\p{Cc}/u.test(text)) return 'expected no control characters, got one';
  // A lone surrogate cannot be percent-encoded, so it cannot be part of an upstream URL.
  if (!text.isWellFormed()) return 'expected well-formed Unicode, got a lone surrogate';
  return undefined;
}
