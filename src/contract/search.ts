import { LRUCache } from 'lru-cache';
import { type ContractKey, contractTextOf } from './key.ts';

/** Names are folded once: whoever searches looks at all of them. */
const folded = new LRUCache<ContractKey, string>({ max: 20_000 });

/** U+200C is the half-space; the others of its kind are as invisible. */
const INVISIBLE = /[\u200b-\u200f\u2060\ufeff\u00ad]/g;

/** A text in which letters and digits that read alike are the same. */
function fold(text: string): string {
  return text
    .toLowerCase()
    .replace(/[۰-۹]/g, (digit) => String(digit.charCodeAt(0) - 0x6f0))
    .replace(/[٠-٩]/g, (digit) => String(digit.charCodeAt(0) - 0x660))
    .replace(/[يى]/g, 'ی')
    .replace(/ك/g, 'ک')
    .replace(INVISIBLE, '');
}

/**
 * Finds contracts by words of a person: each of them is somewhere in the name or ID, whatever the case of letters,
 * the digits, the forms of ی and ک, and half-spaces. It only finds: what is asked of IME is never changed.
 */
export class ContractSearch {
  readonly #words: readonly string[];

  /** @param text words with spaces or half-spaces in between; without any, everything is found */
  constructor(text: string) {
    const words = text.replace(INVISIBLE, ' ').split(/\s+/u).map(fold);
    this.#words = [...new Set(words)].filter((word) => word !== '');
  }

  finds(key: ContractKey): boolean {
    let text = folded.get(key);
    if (text === undefined) {
      text = fold(contractTextOf(key));
      folded.set(key, text);
    }
    for (const word of this.#words) if (!text.includes(word)) return false;
    return true;
  }
}
