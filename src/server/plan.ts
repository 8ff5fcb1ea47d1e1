import {
  type GraphQLObjectType,
  type GraphQLOutputType,
  type GraphQLResolveInfo,
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

/**
 * Compiles a selection to a function that writes a state's answer as JSON text. It calls the schema's own
 * resolvers and serializers and leaves out what makes graphql-js general: promises, paths, errors in
 * their place. Where one of these comes up it throws, and the answer is graphql-js's business.
 */
export function compilePlan(type: GraphQLObjectType, fields: readonly SelectedField[]): Writer {
  const parts = fields.map((field) => compileField(type, field));
  return (value, context) => {
    let text = '{';
    for (const [at, { head, write }] of parts.entries()) {
      text += (at === 0 ? '' : ',') + head + write(value, context);
    }
    return `${text}}`;
  };
}

function compileField(
  type: GraphQLObjectType,
  field: SelectedField,
): { head: string; write: Writer } {
  const head = `${JSON.stringify(field.responseKey)}:`;
  if (field.fieldName === '__typename') {
    const name = JSON.stringify(type.name);
    return { head, write: () => name };
  }
  const definition = type.getFields()[field.fieldName];
  if (definition === undefined)
    throw new NotPlannable(`${type.name}.${field.fieldName} is unknown`);
  const write = compileValue(definition.type, field);
  const { resolve } = definition;
  const { fieldName, args } = field;
  if (resolve === undefined) {
    return {
      head,
      write: (parent, context) => write((parent as Record<string, unknown>)[fieldName], context),
    };
  }
  const info = { fieldName } as GraphQLResolveInfo;
  return { head, write: (parent, context) => write(resolve(parent, args, context, info), context) };
}

function compileValue(type: GraphQLOutputType, field: SelectedField): Writer {
  if (isNonNullType(type)) {
    const write = compileValue(type.ofType, field);
    return (value, context) => {
      if (value === null || value === undefined)
        throw new NotPlannable(`${field.fieldName} is null`);
      return write(value, context);
    };
  }
  if (isListType(type)) {
    const write = compileValue(type.ofType, field);
    return (value, context) => {
      if (value === null || value === undefined) return 'null';
      if (!Array.isArray(value)) throw new NotPlannable(`${field.fieldName} is no array`);
      return `[${value.map((item) => write(item, context)).join(',')}]`;
    };
  }
  const write = isObjectType(type)
    ? compilePlan(type, field.fields)
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
