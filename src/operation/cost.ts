import {
  type DocumentNode,
  type GraphQLSchema,
  getNamedType,
  getOperationAST,
  getVariableValues,
  isObjectType,
} from 'graphql';
import {
  leafCount,
  type SelectedField,
  selectedFields,
  type VariableValues,
} from '../render/selection.ts';

/**
 * What an operation costs: for each of its fields the number of leaves selected below it, times the
 * contracts that it asks for.
 *
 * @param held how many contracts a field without a list answers with
 * @throws GraphQLError where an argument's value does not fit
 */
export function operationCost(
  schema: GraphQLSchema,
  document: DocumentNode,
  operationName: string | undefined,
  variables: VariableValues | undefined,
  held: number,
): number {
  const operation = getOperationAST(document, operationName);
  const type = operation && schema.getRootType(operation.operation);
  if (!operation || !type) return 0;
  const { variableDefinitions = [], selectionSet } = operation;
  const values = getVariableValues(schema, variableDefinitions, variables ?? {});
  // What is wrong with the variables is told by whoever executes the operation.
  if (values.coerced === undefined) return 0;
  let cost = 0;
  for (const field of selectedFields(schema, document, type, selectionSet, values.coerced)) {
    const isList = field.fieldName === 'contracts' || field.fieldName === 'contractUpdates';
    const below = getNamedType(type.getFields()[field.fieldName]?.type);
    cost += (isObjectType(below) ? leafCount(field) : 1) * (isList ? contractsOf(field, held) : 1);
  }
  return cost;
}

function contractsOf({ fieldName, args }: SelectedField, held: number): number {
  const lists = [args['names'], args['ids']].filter((list) => Array.isArray(list));
  if (lists.length === 0) return fieldName === 'contracts' ? held : 1;
  return lists.reduce((sum, list) => sum + list.length, 0);
}
