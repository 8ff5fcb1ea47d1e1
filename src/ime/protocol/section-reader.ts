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
  /** A bit of its own among its section's fields, which are fewer than 32. */
  readonly bit: number;
  /** The field that came behind it last time; to begin with that of the API document. */
  follower: Field | undefined;
}

/** Counts the fields of a frame that are null and should not be. */
export interface MissingFields {
  fields: number;
}

/** Reads the fields of a section as a cursor comes to them, fastest where they come in the order of last time. */
export class SectionReader<T extends object, More extends object> {
  readonly #fields: readonly Field[];
  readonly #required: number;
  /** The field that came first last time. */
  #first: Field | undefined;
  /** Every field null. What is read begins as a copy of it, so that all sections are of one hidden class. */
  readonly #unread: T & More;

  /** @param more what each section that is read has before its fields */
  constructor(section: Section<T>, more: More) {
    const fields: Field[] = [];
    const unread: Record<string, null> = {};
    for (const name in section) {
      const [imeName, kind] = section[name];
      const isOptional = OPTIONAL_FIELDS.has(imeName);
      const codes = keyCodes(imeName);
      const bit = 1 << fields.length;
      // Not by spreading: V8 reads what that makes slower, a frame by a tenth.
      fields.push({ name, codes, kind, isOptional, bit, follower: undefined });
      unread[name] = null;
    }
    this.#fields = fields;
    this.#first = fields[0];
    for (const [place, field] of fields.entries()) field.follower = fields[place + 1];
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
    let last: Field | undefined;
    let seen = 0;
    for (let isFirst = true; cursor.hasKey(isFirst); isFirst = false) {
      const field = this.#takeField(cursor, last);
      if (field === undefined) {
        cursor.key();
        cursor.skipValue();
        continue;
      }
      // Of equal keys the last one counts, and the first may have been counted already: the other reader's.
      if ((seen & field.bit) !== 0) throw UNEXPECTED;
      seen |= field.bit;
      last = field;
      const text = readField(cursor, field.kind);
      byName[field.name] = text;
      if (field.isOptional) missed += text === null ? 1 : 0;
      else missed -= text === null ? 0 : 1;
    }
    missing.fields += missed;
    return read;
  }

  /** Takes the next key, behind that of `last`. @returns its field; `undefined`, and none taken, where it has none */
  #takeField(cursor: JsonCursor, last: Field | undefined): Field | undefined {
    const likely = last === undefined ? this.#first : last.follower;
    if (likely !== undefined && cursor.takeKey(likely.codes)) return likely;
    const found = this.#fields.find(({ codes }) => cursor.takeKey(codes));
    if (found !== undefined) {
      if (last === undefined) this.#first = found;
      else last.follower = found;
    }
    return found;
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
