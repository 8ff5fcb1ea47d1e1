import {
  type DocumentNode,
  type ExecutionArgs,
  type ExecutionResult,
  execute,
  type GraphQLSchema,
} from 'graphql';
import type { Principal } from '../access/principal.ts';
import type { RequestVariables } from '../documents/operation-request.ts';
import type { Logger } from '../observability/log.ts';
import type { PlannedQueries } from '../render/planned-query.ts';
import type { SelectedField } from '../render/selection.ts';
import type { GatewayContext } from '../schema/resolver-context.ts';
import { clientError } from './client-error.ts';

/** What an execution needs. */
interface ExecutionFacts {
  readonly schema: GraphQLSchema;
  readonly queries: PlannedQueries;
  /** Its root fields. */
  readonly fields: readonly SelectedField[];
  readonly document: DocumentNode;
  readonly operationName: string | undefined;
  readonly variables: RequestVariables | undefined;
  readonly context: GatewayContext;
  readonly isMutation: boolean;
  readonly mostBytes: number;
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

  /** How long its answer may be, about, in bytes. */
  get mostBytes(): number {
    return this.#facts.mostBytes;
  }

  /**
   * Executes it, where that goes by plans. Never rejects for a client's fault.
   *
   * @returns its result as JSON text; `undefined` where it is to be executed by {@link execute}
   */
  async answer(log: Logger): Promise<string | undefined> {
    const { queries, fields, isMutation } = this.#facts;
    if (isMutation) return undefined;
    return this.#asMayBeSeen(() =>
      queries.answer(fields, this.#args, (error) => clientError(error, log)),
    );
  }

  /** graphql-js executes it. Never rejects for a client's fault. */
  async execute(): Promise<ExecutionResult> {
    const run = async () => execute({ ...this.#args, schema: this.#facts.schema });
    return this.#facts.isMutation ? run() : this.#asMayBeSeen(run);
  }

  /**
   * One field is read at once while another waits, and who asks may see less when all are answered: then they
   * are read anew, for which nothing has to be waited any more.
   */
  async #asMayBeSeen<T>(run: () => Promise<T>): Promise<T> {
    for (;;) {
      const before = this.#principal;
      const result = await run();
      if (this.#principal === before) return result;
    }
  }

  /** Who asks, as of now; another one where what they may see has changed. */
  get #principal(): Principal | undefined {
    try {
      return this.#facts.context.principal;
    } catch {
      // They are not let in any more: each field says so by itself.
      return undefined;
    }
  }

  get #args(): Omit<ExecutionArgs, 'schema'> {
    const { document, operationName, variables, context } = this.#facts;
    return {
      document,
      contextValue: context,
      variableValues: variables ?? null,
      operationName: operationName ?? null,
    };
  }
}

/** A result as a client is told it. */
export function clientResult({ data, errors }: ExecutionResult, log: Logger): ExecutionResult {
  if (errors === undefined) return { data: data ?? null };
  const told = errors.map((error) => clientError(error, log));
  return data === undefined ? { errors: told } : { data, errors: told };
}
