import type { GraphQLObjectType } from 'graphql';
import { LRUCache } from 'lru-cache';
import type { SelectedField } from './selection.ts';

/** How much is remembered of fields with a selection of their own, in characters of how they read. */
const MOST_CHARACTERS = 4 * 1024 * 1024;
/** What one of them takes besides. */
const ENTRY_CHARACTERS = 100;

/** A field with arguments or a selection of its own. What it reads as is kept once two selections have it. */
export interface SharedField {
  isShared: boolean;
}

/**
 * Where the texts of fields are kept, for every selection that has them: every leaf, and every field with a
 * selection that another has as well. One of these serves plans whose contexts write every field alike.
 */
export class FieldTexts {
  /** Leaves and fields of objects are numbered by type, so that what is kept of one stands close together. */
  readonly #places = new Map<string, number>();
  readonly #taken = new Map<string, number>();
  /** Those not used for longest are let go: whoever has one of them still shares it with others who do. */
  readonly #shared = new LRUCache<string, SharedField>({
    maxSize: MOST_CHARACTERS,
    sizeCalculation: (_field, text) => text.length + ENTRY_CHARACTERS,
  });

  /** The place of a leaf without arguments, or of what is below a field. */
  placeOf({ name }: GraphQLObjectType, fieldName: string): number {
    const field = `${name}.${fieldName}`;
    const known = this.#places.get(field);
    if (known !== undefined) return known;
    const place = this.#taken.get(name) ?? 0;
    this.#taken.set(name, place + 1);
    this.#places.set(field, place);
    return place;
  }

  /** What stands for a field with arguments or a selection: the same for every selection that has it. */
  sharedOf({ name }: GraphQLObjectType, { fieldName, args, fields }: SelectedField): SharedField {
    const text = `${name}.${JSON.stringify([fieldName, args, fields])}`;
    const known = this.#shared.get(text);
    if (known !== undefined) {
      known.isShared = true;
      return known;
    }
    const made: SharedField = { isShared: false };
    this.#shared.set(text, made);
    return made;
  }
}
