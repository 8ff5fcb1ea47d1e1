import {
  type DocumentNode,
  type ExecutionArgs,
  type ExecutionResult,
  execute,
  type GraphQLSchema,
} from 'graphql';
import type { Logger } from '../observability/log.ts';
import type { GatewayContext } from '../schema/resolver-context.ts';
import { clientError } from './client-error.ts';
import type { RequestVariables } from './operation-request.ts';

/** What an execution needs. */
interface ExecutionFacts {
  readonly schema: GraphQLSchema;
  readonly document: DocumentNode;
  readonly operationName: string | undefined;
  readonly variables: RequestVariables | undefined;
  readonly context: GatewayContext;
  readonly isMutation: boolean;
}

/** A query or a mutation that may be executed. */
export class AdmittedExecution {
  readonly kind = 'execution';
  readonly #facts: ExecutionFacts;

  constructor(facts: ExecutionFacts) {
    this.#facts = facts;
  }

  get isMutation(): boolean {
    return this.#facts.isMutation;
  }

  /** graphql-js executes it. Never rejects for a client's fault. */
  async execute(): Promise<ExecutionResult> {
    const { schema, document, operationName, variables, context } = this.#facts;
    const args: ExecutionArgs = {
      schema,
      document,
      contextValue: context,
      variableValues: variables ?? null,
      operationName: operationName ?? null,
    };
    return execute(args);
  }
}

/** A result as a client is told it. */
export function clientResult({ data, errors }: ExecutionResult, log: Logger): ExecutionResult {
  if (errors === undefined) return { data: data ?? null };
  const told = errors.map((error) => clientError(error, log));
  return data === undefined ? { errors: told } : { data, errors: told };
}
