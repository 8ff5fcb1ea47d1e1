import { type FieldKind, OPTIONAL_FIELDS, type Section } from './fields.ts';
import { type JsonCursor, type KeyCodes, keyCodes, UNEXPECTED } from './json-cursor.ts';
import { decimalDigits, wholeDigits } from './numbers.ts';

interface Field {
  /** Our name. */
  readonly name: string;
  /** IME's name. */
  readonly codes: KeyCodes;
  readonly kind: FieldKind;
  readonly isOptional: boolean;
}

/** Counts the fields of a frame that are null and should not be. */
export interface MissingFields {
  fields: number;
}

/** Reads the fields of a section as a cursor comes to them, fastest where they are in the order of the API document. */
export class SectionReader<T extends object, More extends object> {
  readonly #fields: readonly Field[];
  readonly #required: number;
  /** Every field null. What is read begins as a copy of it, so that all sections are of one hidden class. */
  readonly #unread: T & More;

  /** @param more what each section that is read has before its fields */
  constructor(section: Section<T>, more: More) {
    const fields: Field[] = [];
    const unread: Record<string, null> = {};
    for (const name in section) {
      const [imeName, kind] = section[name];
      const isOptional = OPTIONAL_FIELDS.has(imeName);
      fields.push({ name, codes: keyCodes(imeName), kind, isOptional });
      unread[name] = null;
    }
    this.#fields = fields;
    this.#required = fields.filter(({ isOptional }) => !isOptional).length;
    this.#unread = { ...more, ...unread } as T & More;
  }

  /** The section that is next, the caller's own; null where the next value is none, which is then gone over. */
  read(cursor: JsonCursor, missing: MissingFields): (T & More) | null {
    if (!cursor.enterObject()) {
      cursor.skipValue();
      return null;
    }
    const read: T & More = { ...this.#unread };
    const byName = read as Record<string, unknown>;
    let missed = this.#required;
    let likely = 0;
    // One bit for each field: no section has as many as 32.
    let seen = 0;
    for (let isFirst = true; cursor.hasKey(isFirst); isFirst = false) {
      const place = this.#takeField(cursor, likely);
      const field = this.#fields[place];
      if (field === undefined) {
        cursor.key();
        cursor.skipValue();
        continue;
      }
      // Of equal keys the last one counts, and the first may have been counted already: the other reader's.
      if ((seen & (1 << place)) !== 0) throw UNEXPECTED;
      seen |= 1 << place;
      likely = place + 1;
      const text = readField(cursor, field.kind);
      byName[field.name] = text;
      if (field.isOptional) missed += text === null ? 1 : 0;
      else missed -= text === null ? 0 : 1;
    }
    missing.fields += missed;
    return read;
  }

  /** Takes the next key. @returns its field's place, that of `likely` without a search; -1, not taken, where it is none */
  #takeField(cursor: JsonCursor, likely: number): number {
    const expected = this.#fields[likely];
    if (expected !== undefined && cursor.takeKey(expected.codes)) return likely;
    return this.#fields.findIndex(({ codes }) => cursor.takeKey(codes));
  }
}

function readField(cursor: JsonCursor, kind: FieldKind): string | null {
  if (kind !== 'text' && cursor.isAtNumber()) {
    const literal = cursor.number();
    // What a cursor takes for a number is one: only whole ones that are written in another way need a look.
    if (kind === 'decimal' || (cursor.isPlain && literal !== '-0')) return literal;
    return wholeDigits(literal);
  }
  if (!cursor.isAtString()) {
    cursor.skipValue();
    return null;
  }
  const text = cursor.string();
  if (kind === 'text') return text;
  return kind === 'decimal' ? decimalDigits(text) : wholeDigits(text);
}
