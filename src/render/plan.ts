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
import type { ObjectTexts } from '../hub/object-texts.ts';
import type { FieldTexts, SharedField } from './field-texts.ts';
import type { SelectedField } from './selection.ts';

/**
 * Writes a value of a type as JSON text, byte for byte as graphql-js and `JSON.stringify` would.
 *
 * @param texts what is kept of the object that the value was read from
 * @param index where the value stands in a list; 0 where it is in none
 */
type ValueWriter = (value: unknown, context: unknown, texts: ObjectTexts, index: number) => string;

/** Writes an object as JSON text. */
type ObjectWriter = (value: object, context: unknown, texts: ObjectTexts) => string;

/** Thrown where a plan cannot answer as graphql-js does: an error, or an answer that comes later. */
export class NotPlannable extends Error {}

/** No leaf whose text is kept. */
const NO_LEAF = -1;

/** A field of a selection: its response key as JSON, and what writes its value. */
interface Part {
  readonly head: string;
  /** Where its text is kept; `NO_LEAF` for what is not a leaf of its own. */
  readonly leaf: number;
  /** What its text is kept by, where it is no leaf. */
  readonly shared: SharedField | undefined;
  readonly write: ObjectWriter;
}

/**
 * Compiles a selection to a function that writes an object's answer as JSON text. It calls the schema's
 * own resolvers and serializers and leaves out what makes graphql-js general: promises, paths, errors in
 * their place. Where one of these comes up it throws, and the answer is graphql-js's business.
 *
 * @throws NotPlannable for a selection that only graphql-js can answer
 */
export function compilePlan(
  type: GraphQLObjectType,
  fields: readonly SelectedField[],
  fieldTexts: FieldTexts,
): ObjectWriter {
  const parts = fields.map((field, at) =>
    compileField(type, field, at === 0 ? '{' : ',', fieldTexts),
  );
  return (value, context, texts) => {
    let text = '';
    for (let at = 0; at < parts.length; at++) {
      const { head, leaf, shared, write } = parts[at] as Part;
      let field: string | undefined;
      if (leaf !== NO_LEAF) {
        field = texts.leaves[leaf];
        if (field === undefined) {
          field = write(value, context, texts);
          texts.leaves[leaf] = field;
        }
      } else if (shared?.isShared) {
        field = texts.ofSelection(shared);
        if (field === undefined) {
          field = write(value, context, texts);
          texts.keep(shared, field);
        }
      } else {
        field = write(value, context, texts);
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
  fieldTexts: FieldTexts,
): Part {
  const head = `${before}${JSON.stringify(field.responseKey)}:`;
  if (field.fieldName === '__typename') {
    const name = JSON.stringify(type.name);
    return { head, leaf: NO_LEAF, shared: undefined, write: () => name };
  }
  const definition = type.getFields()[field.fieldName];
  if (definition === undefined)
    throw new NotPlannable(`${type.name}.${field.fieldName} is unknown`);
  const place = fieldTexts.placeOf(type, field.fieldName);
  const write = compileValue(definition.type, field, place, fieldTexts);
  const { resolve, args: definedArgs } = definition;
  const { fieldName, args } = field;
  const isOwnLeaf = isLeafType(getNamedType(definition.type)) && definedArgs.length === 0;
  const leaf = isOwnLeaf ? place : NO_LEAF;
  const shared = isOwnLeaf ? undefined : fieldTexts.sharedOf(type, field);
  if (resolve === undefined) {
    return {
      head,
      leaf,
      shared,
      write: (parent, context, texts) =>
        write((parent as Record<string, unknown>)[fieldName], context, texts, 0),
    };
  }
  const info = { fieldName } as GraphQLResolveInfo;
  return {
    head,
    leaf,
    shared,
    write: (parent, context, texts) =>
      write(resolve(parent, args, context, info), context, texts, 0),
  };
}

/** @param place that of the field whose value it is */
function compileValue(
  type: GraphQLOutputType,
  field: SelectedField,
  place: number,
  fieldTexts: FieldTexts,
): ValueWriter {
  if (isNonNullType(type)) {
    const write = compileValue(type.ofType, field, place, fieldTexts);
    return (value, context, texts, index) => {
      if (value === null || value === undefined)
        throw new NotPlannable(`${field.fieldName} is null`);
      return write(value, context, texts, index);
    };
  }
  if (isListType(type)) {
    const write = compileValue(type.ofType, field, place, fieldTexts);
    return (value, context, texts) => {
      if (value === null || value === undefined) return 'null';
      if (!Array.isArray(value)) throw new NotPlannable(`${field.fieldName} is no array`);
      return `[${value.map((item, index) => write(item, context, texts, index)).join(',')}]`;
    };
  }
  const write = compileNamed(type, field, place, fieldTexts);
  return (value, context, texts, index) => {
    if (value === null || value === undefined) return 'null';
    if (value instanceof Promise || value instanceof Error) {
      throw new NotPlannable(`${field.fieldName} is not there yet`);
    }
    return write(value, context, texts, index);
  };
}

function compileNamed(
  type: GraphQLOutputType,
  field: SelectedField,
  place: number,
  fieldTexts: FieldTexts,
): ValueWriter {
  if (isLeafType(type)) return (value) => JSON.stringify(type.serialize(value));
  if (!isObjectType(type)) throw new NotPlannable(`${type} is abstract`);
  const write = compilePlan(type, field.fields, fieldTexts);
  return (value, context, texts, index) => {
    const object = value as object;
    return write(object, context, texts.below(place, index, object));
  };
}
