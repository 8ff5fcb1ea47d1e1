import {
  type DocumentNode,
  type ExecutionArgs,
  execute,
  type GraphQLError,
  type GraphQLObjectType,
  type GraphQLSchema,
} from 'graphql';
import type { ContractState } from '../hub/contract-state.ts';
import type { GatewayContext } from '../schema/resolver-context.ts';
import type { FieldTexts } from './field-texts.ts';
import { compilePlan, NotPlannable } from './plan.ts';
import type { SelectedField, VariableValues } from './selection.ts';

/** An operation as a client sent it, parsed and valid. */
export interface ClientOperation {
  readonly document: DocumentNode;
  readonly operationName: string | undefined;
  readonly variables: VariableValues | undefined;
}

/** Writes a contract's state as the JSON text of a selection; throws where graphql-js must do it. */
export type ContractWriter = (state: ContractState, context: GatewayContext) => string;

/** A writer for a selection; `undefined` where only graphql-js can write it. */
export function contractWriter(
  type: GraphQLObjectType,
  fields: readonly SelectedField[],
  texts: FieldTexts,
): ContractWriter | undefined {
  try {
    const write = compilePlan(type, fields, texts);
    return (state, context) => write(state, context, state.texts);
  } catch (error) {
    if (error instanceof NotPlannable) return undefined;
    throw error;
  }
}

/** What clients are told of something that was thrown. */
export type ToldError = (error: unknown) => GraphQLError;

/** The whole answer of a subscription for one state, as graphql-js gives it. */
export function executedAnswer(
  schema: GraphQLSchema,
  operation: ClientOperation,
  contextValue: GatewayContext,
  rootValue: unknown,
  toldError: ToldError,
): string {
  const args: ExecutionArgs = {
    schema,
    document: operation.document,
    rootValue,
    contextValue,
    variableValues: operation.variables ?? null,
    operationName: operation.operationName ?? null,
  };
  const result = execute(args);
  if (result instanceof Promise) throw new TypeError('expected an answer at once');
  const { data, errors } = result as { data?: unknown; errors?: readonly unknown[] };
  if (errors === undefined) return JSON.stringify({ data });
  const told = errors.map((error) => toldError(error).toJSON());
  return JSON.stringify({ data, errors: told });
}
