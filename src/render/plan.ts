import {
  type GraphQLObjectType,
  type GraphQLOutputType,
  type GraphQLResolveInfo,
  getNamedType,
  isLeafType,
  isListType,
  isNonNullType,
  isObjectType,
} from 'graphql';
import { attachment } from '../lib/attachment.ts';
import type { SelectedField } from './selection.ts';

/** Writes a value of a type as JSON text, byte for byte as graphql-js and `JSON.stringify` would. */
type Writer = (value: unknown, context: unknown) => string;

/** Thrown where a plan cannot answer as graphql-js does: an error, or an answer that comes later. */
export class NotPlannable extends Error {}

/** The most different fields with a selection of their own whose texts are kept. */
const MOST_SHARED_FIELDS = 512;

/** Texts of one object's fields, by their places in {@link FieldTexts}. */
type Texts = (string | undefined)[];

/** Where an object's text of a field is kept; nowhere while only one selection has the field. */
interface FieldPlace {
  place: number | undefined;
}

/**
 * The fields of immutable objects as JSON text, each written once for all selections that have it: every
 * leaf, and every field with a selection that another has as well. One of these serves plans whose
 * contexts write every field alike.
 */
export class FieldTexts {
  readonly #places = new Map<string, FieldPlace>();
  /** How many places each type has: texts are numbered by type, so that they stand close together. */
  readonly #taken = new Map<string, number>();
  readonly #texts = attachment<Texts>();
  #shared = 0;

  /** Where a leaf without arguments is kept. */
  ofLeaf({ name }: GraphQLObjectType, fieldName: string): FieldPlace {
    const known = this.#places.get(`${name}.${fieldName}`);
    if (known !== undefined) return known;
    const made: FieldPlace = { place: this.#take(name) };
    this.#places.set(`${name}.${fieldName}`, made);
    return made;
  }

  /** Where a field with arguments or a selection is kept, from the second selection on that has it. */
  ofSelection({ name }: GraphQLObjectType, { fieldName, args, fields }: SelectedField): FieldPlace {
    const written = `${name}.${JSON.stringify([fieldName, args, fields])}`;
    const known = this.#places.get(written);
    if (known === undefined) {
      const made: FieldPlace = { place: undefined };
      if (this.#places.size < 20 * MOST_SHARED_FIELDS) this.#places.set(written, made);
      return made;
    }
    if (known.place === undefined && this.#shared < MOST_SHARED_FIELDS) {
      this.#shared++;
      known.place = this.#take(name);
    }
    return known;
  }

  /** The fields of an object that have been written so far. */
  of(value: object): Texts {
    let texts = this.#texts.get(value);
    if (texts === undefined) {
      texts = [];
      this.#texts.set(value, texts);
    }
    return texts;
  }

  #take(type: string): number {
    const place = this.#taken.get(type) ?? 0;
    this.#taken.set(type, place + 1);
    return place;
  }
}

/** A field of a selection: its response key as JSON, and what writes its value. */
interface Part {
  readonly head: string;
  readonly kept: FieldPlace;
  readonly write: Writer;
}

/**
 * Compiles a selection to a function that writes a state's answer as JSON text. It calls the schema's own
 * resolvers and serializers and leaves out what makes graphql-js general: promises, paths, errors in
 * their place. Where one of these comes up it throws, and the answer is graphql-js's business.
 */
export function compilePlan(
  type: GraphQLObjectType,
  fields: readonly SelectedField[],
  texts: FieldTexts,
): Writer {
  const parts = fields.map((field, at) => compileField(type, field, at === 0 ? '{' : ',', texts));
  return (value, context) => {
    const known = texts.of(value as object);
    let text = '';
    for (let at = 0; at < parts.length; at++) {
      const { head, kept, write } = parts[at] as Part;
      const { place } = kept;
      if (place === undefined) {
        text += head + write(value, context);
        continue;
      }
      let field = known[place];
      if (field === undefined) {
        field = write(value, context);
        known[place] = field;
      }
      text += head + field;
    }
    return `${text}}`;
  };
}

function compileField(
  type: GraphQLObjectType,
  field: SelectedField,
  before: string,
  texts: FieldTexts,
): Part {
  const head = `${before}${JSON.stringify(field.responseKey)}:`;
  if (field.fieldName === '__typename') {
    const name = JSON.stringify(type.name);
    return { head, kept: { place: undefined }, write: () => name };
  }
  const definition = type.getFields()[field.fieldName];
  if (definition === undefined)
    throw new NotPlannable(`${type.name}.${field.fieldName} is unknown`);
  const write = compileValue(definition.type, field, texts);
  const { resolve, args: definedArgs } = definition;
  const { fieldName, args } = field;
  const isOwnLeaf = isLeafType(getNamedType(definition.type)) && definedArgs.length === 0;
  const kept = isOwnLeaf ? texts.ofLeaf(type, fieldName) : texts.ofSelection(type, field);
  if (resolve === undefined) {
    return {
      head,
      kept,
      write: (parent, context) => write((parent as Record<string, unknown>)[fieldName], context),
    };
  }
  const info = { fieldName } as GraphQLResolveInfo;
  return {
    head,
    kept,
    write: (parent, context) => write(resolve(parent, args, context, info), context),
  };
}

function compileValue(type: GraphQLOutputType, field: SelectedField, texts: FieldTexts): Writer {
  if (isNonNullType(type)) {
    const write = compileValue(type.ofType, field, texts);
    return (value, context) => {
      if (value === null || value === undefined)
        throw new NotPlannable(`${field.fieldName} is null`);
      return write(value, context);
    };
  }
  if (isListType(type)) {
    const write = compileValue(type.ofType, field, texts);
    return (value, context) => {
      if (value === null || value === undefined) return 'null';
      if (!Array.isArray(value)) throw new NotPlannable(`${field.fieldName} is no array`);
      return `[${value.map((item) => write(item, context)).join(',')}]`;
    };
  }
  const write = isObjectType(type)
    ? compilePlan(type, field.fields, texts)
    : isLeafType(type)
      ? (value: unknown) => JSON.stringify(type.serialize(value))
      : undefined;
  if (write === undefined) throw new NotPlannable(`${type} is abstract`);
  return (value, context) => {
    if (value === null || value === undefined) return 'null';
    if (value instanceof Promise || value instanceof Error) {
      throw new NotPlannable(`${field.fieldName} is not there yet`);
    }
    return write(value, context);
  };
}
