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
import type { SelectedField } from './selection.ts';

/** Writes a value of a type as JSON text, byte for byte as graphql-js and `JSON.stringify` would. */
type Writer = (value: unknown, context: unknown) => string;

/** Thrown where a plan cannot answer as graphql-js does: an error, or an answer that comes later. */
export class NotPlannable extends Error {}

/** Texts of one object's leaves, by their places in {@link LeafTexts}. */
type Leaves = (string | undefined)[];

/**
 * The leaves of immutable objects as JSON text, each written once however many selections have it. One
 * of these serves plans whose contexts write every leaf alike.
 */
export class LeafTexts {
  readonly #places = new Map<string, number>();
  readonly #leaves = new WeakMap<object, Leaves>();

  /** The place of a type's field. */
  placeOf(type: GraphQLObjectType, fieldName: string): number {
    const name = `${type.name}.${fieldName}`;
    const known = this.#places.get(name);
    if (known !== undefined) return known;
    const place = this.#places.size;
    this.#places.set(name, place);
    return place;
  }

  /** The leaves of an object that have been written so far. */
  of(value: object): Leaves {
    let leaves = this.#leaves.get(value);
    if (leaves === undefined) {
      leaves = [];
      this.#leaves.set(value, leaves);
    }
    return leaves;
  }
}

/** A field of a selection: its response key as JSON, and what writes its value. */
interface Part {
  readonly head: string;
  /** Where the text is kept; `undefined` where it is not the object's alone. */
  readonly place: number | undefined;
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
  texts: LeafTexts,
): Writer {
  const parts = fields.map((field, at) => compileField(type, field, at === 0 ? '{' : ',', texts));
  return (value, context) => {
    const leaves = texts.of(value as object);
    let text = '';
    for (let at = 0; at < parts.length; at++) {
      const { head, place, write } = parts[at] as Part;
      if (place === undefined) {
        text += head + write(value, context);
        continue;
      }
      let leaf = leaves[place];
      if (leaf === undefined) {
        leaf = write(value, context);
        leaves[place] = leaf;
      }
      text += head + leaf;
    }
    return `${text}}`;
  };
}

function compileField(
  type: GraphQLObjectType,
  field: SelectedField,
  before: string,
  texts: LeafTexts,
): Part {
  const head = `${before}${JSON.stringify(field.responseKey)}:`;
  if (field.fieldName === '__typename') {
    const name = JSON.stringify(type.name);
    return { head, place: undefined, write: () => name };
  }
  const definition = type.getFields()[field.fieldName];
  if (definition === undefined)
    throw new NotPlannable(`${type.name}.${field.fieldName} is unknown`);
  const write = compileValue(definition.type, field, texts);
  const { resolve, args: definedArgs } = definition;
  const { fieldName, args } = field;
  const isOwnLeaf = isLeafType(getNamedType(definition.type)) && definedArgs.length === 0;
  const place = isOwnLeaf ? texts.placeOf(type, fieldName) : undefined;
  if (resolve === undefined) {
    return {
      head,
      place,
      write: (parent, context) => write((parent as Record<string, unknown>)[fieldName], context),
    };
  }
  const info = { fieldName } as GraphQLResolveInfo;
  return {
    head,
    place,
    write: (parent, context) => write(resolve(parent, args, context, info), context),
  };
}

function compileValue(type: GraphQLOutputType, field: SelectedField, texts: LeafTexts): Writer {
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
