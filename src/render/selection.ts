import {
  type DocumentNode,
  type FieldNode,
  type FragmentDefinitionNode,
  type GraphQLField,
  GraphQLIncludeDirective,
  type GraphQLObjectType,
  type GraphQLOutputType,
  type GraphQLSchema,
  GraphQLSkipDirective,
  getArgumentValues,
  getDirectiveValues,
  getNamedType,
  isAbstractType,
  isObjectType,
  Kind,
  SchemaMetaFieldDef,
  type SelectionSetNode,
  TypeMetaFieldDef,
} from 'graphql';
import { codedError } from '../schema/errors/coded-error.ts';

/**
 * A selection with everything resolved that a client can write in different ways: fragments are spread,
 * `@skip` and `@include` decided, equal fields merged, variables replaced by their values. Two
 * selections that are equal in this form have equal answers for every state.
 */
export interface SelectedField {
  readonly responseKey: string;
  readonly fieldName: string;
  readonly args: Readonly<Record<string, unknown>>;
  /** Empty for a leaf. */
  readonly fields: readonly SelectedField[];
}

/** The object type of a field's values, which is the only one of an interface; `undefined` for a leaf. */
export function objectTypeOf(
  schema: GraphQLSchema,
  type: GraphQLOutputType,
): GraphQLObjectType | undefined {
  const named = getNamedType(type);
  if (isObjectType(named)) return named;
  return isAbstractType(named) ? schema.getPossibleTypes(named)[0] : undefined;
}

/** As many nodes of a document are looked at, each time that a fragment is spread anew. */
const MOST_NODES = 20_000;

/** A response key, or a contract's name, that is longer than this, in characters, counts as several fields. */
const KEY_CHARACTERS = 32;
/** What a field counts as whose values are longer than those of all others: IME's own message. */
const LONG_FIELDS: Readonly<Record<string, number>> = { raw: 32 };
/**
 * How often what is selected of a list is in an answer, about: a book has five levels, and the schema so many
 * types with so many fields.
 */
const LIST_LENGTHS: Readonly<Record<string, number>> = {
  bestLimits: 5,
  types: 40,
  fields: 8,
  enumValues: 4,
  directives: 5,
};
/** What asks for the schema. */
const META_FIELDS: Readonly<Record<string, GraphQLField<unknown, unknown>>> = {
  [SchemaMetaFieldDef.name]: SchemaMetaFieldDef,
  [TypeMetaFieldDef.name]: TypeMetaFieldDef,
};
/** Fields whose values are a contract's name or ID. */
const NAMES = new Set(['id', 'name', 'contractId']);

/**
 * What a field of an answer costs: the leaves selected below it, or one for a leaf. What makes an answer
 * long counts as more, so that the cost bounds the answer's bytes: lists, long response keys, long values.
 */
export function fieldCost({ fieldName, responseKey, args, fields }: SelectedField): number {
  const keys = Math.floor(responseKey.length / KEY_CHARACTERS);
  if (fields.length === 0) return keys + (LONG_FIELDS[fieldName] ?? 1);
  const below = fields.reduce((cost, field) => cost + fieldCost(field), 0);
  const most = LIST_LENGTHS[fieldName] ?? 1;
  const { depth } = args;
  return keys + below * (typeof depth === 'number' ? Math.min(most, Math.max(1, depth)) : most);
}

/** What a contract costs whose name is so long, besides: its name is written as often as it is selected. */
export function nameCost({ fields }: SelectedField, nameCharacters: number): number {
  const times = Math.floor(nameCharacters / KEY_CHARACTERS);
  if (times === 0) return 0;
  return fields.reduce((cost, { fieldName }) => cost + (NAMES.has(fieldName) ? times : 0), 0);
}

/** What an operation's variables are, after coercion. */
export type VariableValues = Readonly<Record<string, unknown>>;

/**
 * Reads a selection on an object type below which every type is an object type, an interface of one, or a leaf.
 *
 * @throws GraphQLError where an argument's value does not fit, or where it comes to too much
 */
export function selectedFields(
  schema: GraphQLSchema,
  document: DocumentNode,
  type: GraphQLObjectType,
  selectionSet: SelectionSetNode,
  variables: VariableValues,
): SelectedField[] {
  const fragments = new Map<string, FragmentDefinitionNode>();
  for (const definition of document.definitions) {
    if (definition.kind === Kind.FRAGMENT_DEFINITION)
      fragments.set(definition.name.value, definition);
  }
  let visited = 0;
  return read([selectionSet], type);

  function read(
    sets: readonly (SelectionSetNode | undefined)[],
    parent: GraphQLObjectType,
  ): SelectedField[] {
    const nodes = new Map<string, FieldNode[]>();
    // Equal fields are one: what one of them spreads is not spread once more for another.
    const spread = new Set<string>();
    for (const set of sets) if (set !== undefined) collect(set, parent, nodes, spread);
    return Array.from(nodes, ([responseKey, [first, ...others]]) => {
      const node = first as FieldNode;
      const fieldName = node.name.value;
      const definition = META_FIELDS[fieldName] ?? parent.getFields()[fieldName];
      if (definition === undefined) return { responseKey, fieldName, args: {}, fields: [] };
      const below = objectTypeOf(schema, definition.type);
      const sets = [node, ...others].map(({ selectionSet }) => selectionSet);
      return {
        responseKey,
        fieldName,
        args: getArgumentValues(definition, node, variables),
        fields: below ? read(sets, below) : [],
      };
    });
  }

  function isOf(typeName: string, object: GraphQLObjectType): boolean {
    const type = schema.getType(typeName);
    return type === object || (isAbstractType(type) && schema.isSubType(type, object));
  }

  function collect(
    set: SelectionSetNode,
    parent: GraphQLObjectType,
    into: Map<string, FieldNode[]>,
    spread: Set<string>,
  ): void {
    for (const selection of set.selections) {
      if (++visited > MOST_NODES) {
        const message = `expected a selection of at most ${MOST_NODES} fields once its fragments are spread`;
        throw codedError('QUERY_TOO_COMPLEX', message);
      }
      if (getDirectiveValues(GraphQLSkipDirective, selection, variables)?.['if'] === true) continue;
      if (getDirectiveValues(GraphQLIncludeDirective, selection, variables)?.['if'] === false)
        continue;
      if (selection.kind === Kind.FIELD) {
        const responseKey = selection.alias?.value ?? selection.name.value;
        const same = into.get(responseKey);
        if (same) same.push(selection);
        else into.set(responseKey, [selection]);
        continue;
      }
      let fragment: FragmentDefinitionNode | typeof selection | undefined;
      if (selection.kind === Kind.INLINE_FRAGMENT) fragment = selection;
      else if (!spread.has(selection.name.value)) {
        spread.add(selection.name.value);
        fragment = fragments.get(selection.name.value);
      }
      const condition =
        fragment && 'typeCondition' in fragment ? fragment.typeCondition : undefined;
      const applies = condition === undefined || isOf(condition.name.value, parent);
      if (applies && fragment && 'selectionSet' in fragment) {
        collect(fragment.selectionSet, parent, into, spread);
      }
    }
  }
}
