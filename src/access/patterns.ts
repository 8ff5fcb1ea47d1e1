import type { ContractKey } from '../contract/key.ts';

/** What a pattern may look like, as a phrase that completes «expected …». */
const PATTERN_FORMS = 'name:… or id:… with * for any run of characters, or * for everything';

/**
 * Which contracts somebody may see: patterns over contract keys. `*` stands for any run of characters,
 * a pattern that is only `*` for every contract. Letters are compared as they are, as IME does.
 */
export class ContractPatterns {
  /** Patterns that allow every contract. */
  static readonly ALL = new ContractPatterns(['*']);

  /** The patterns, as they were written. */
  readonly texts: readonly string[];
  readonly #literals = new Set<string>();
  readonly #globs: (readonly string[])[] = [];
  readonly #all: boolean;

  /** @throws TypeError naming the first pattern that is none */
  constructor(texts: readonly string[]) {
    const wrong = texts.find((text) => text !== '*' && !/^(name|id):/.test(text));
    if (wrong !== undefined) {
      throw new TypeError(`expected ${PATTERN_FORMS}, got ${JSON.stringify(wrong)}`);
    }
    this.texts = texts;
    this.#all = texts.includes('*');
    for (const text of texts) {
      if (text.includes('*')) this.#globs.push(text.split('*'));
      else this.#literals.add(text);
    }
  }

  /** Whether every contract may be seen. */
  get allowAll(): boolean {
    return this.#all;
  }

  /** Whether the contract may be seen. */
  allow(key: ContractKey): boolean {
    if (this.#all || this.#literals.has(key)) return true;
    return this.#globs.some((parts) => matches(key, parts));
  }

  /** Whether the same contracts were written down, in the same order. */
  equals(other: ContractPatterns): boolean {
    return JSON.stringify(this.texts) === JSON.stringify(other.texts);
  }
}

/** Whether `text` is `parts` with anything in between: taking each part at its first place suffices. */
function matches(text: string, parts: readonly string[]): boolean {
  const first = parts[0] as string;
  const last = parts.at(-1) as string;
  if (!text.startsWith(first)) return false;
  let at = first.length;
  for (const part of parts.slice(1, -1)) {
    const found = text.indexOf(part, at);
    if (found === -1) return false;
    at = found + part.length;
  }
  return text.length - last.length >= at && text.endsWith(last);
}
