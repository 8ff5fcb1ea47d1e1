import {
  type DocumentNode,
  type FieldNode,
  type FragmentDefinitionNode,
  GraphQLIncludeDirective,
  type GraphQLObjectType,
  type GraphQLSchema,
  GraphQLSkipDirective,
  getArgumentValues,
  getDirectiveValues,
  getNamedType,
  isObjectType,
  Kind,
  type SelectionSetNode,
} from 'graphql';

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

/** How many leaves are selected below a field. */
export function leafCount({ fields }: SelectedField): number {
  let count = 0;
  for (const field of fields) count += field.fields.length === 0 ? 1 : leafCount(field);
  return count;
}

/** What an operation's variables are, after coercion. */
export type VariableValues = Readonly<Record<string, unknown>>;

/**
 * Reads a selection on an object type below which every type is an object type or a leaf.
 *
 * @throws GraphQLError where an argument's value does not fit
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
  return read([selectionSet], type);

  function read(
    sets: readonly (SelectionSetNode | undefined)[],
    parent: GraphQLObjectType,
  ): SelectedField[] {
    const nodes = new Map<string, FieldNode[]>();
    for (const set of sets) if (set !== undefined) collect(set, parent, nodes, new Set());
    return Array.from(nodes, ([responseKey, [first, ...others]]) => {
      const node = first as FieldNode;
      const fieldName = node.name.value;
      const definition = parent.getFields()[fieldName];
      if (definition === undefined) return { responseKey, fieldName, args: {}, fields: [] };
      const below = getNamedType(definition.type);
      const sets = [node, ...others].map(({ selectionSet }) => selectionSet);
      return {
        responseKey,
        fieldName,
        args: getArgumentValues(definition, node, variables),
        fields: isObjectType(below) ? read(sets, below) : [],
      };
    });
  }

  function collect(
    set: SelectionSetNode,
    parent: GraphQLObjectType,
    into: Map<string, FieldNode[]>,
    spread: Set<string>,
  ): void {
    for (const selection of set.selections) {
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
      const applies = condition === undefined || schema.getType(condition.name.value) === parent;
      if (applies && fragment && 'selectionSet' in fragment) {
        collect(fragment.selectionSet, parent, into, spread);
      }
    }
  }
}
