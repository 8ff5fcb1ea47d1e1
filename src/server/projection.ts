import {
  type DocumentNode,
  type ExecutionArgs,
  execute,
  type GraphQLSchema,
  getNamedType,
  getOperationAST,
  getVariableValues,
  isObjectType,
  OperationTypeNode,
} from 'graphql';
import type { ContractState } from '../hub/contract-state.ts';
import type { GatewayContext } from '../schema/context.ts';
import type { ServerGateway } from './context.ts';
import { clientError } from './errors.ts';
import { compilePlan, NotPlannable } from './plan.ts';
import { type SelectedField, selectedFields, type VariableValues } from './selection.ts';

/** A subscription operation as a client sent it, parsed and valid. */
export interface SubscriptionOperation {
  readonly document: DocumentNode;
  readonly operationName: string | undefined;
  readonly variables: VariableValues | undefined;
  readonly context: GatewayContext;
}

/**
 * What clients see of a contract's states: the selection under `contractUpdates`, shared by all clients
 * who selected the same, in whatever words. A state is rendered once for all of them.
 */
export class Projection {
  readonly #render: (state: ContractState) => string;
  /** Most states are rendered and sent to everybody before the next one comes. */
  #lastState: ContractState | undefined;
  #lastPayload: Buffer = Buffer.alloc(0);
  readonly #payloads = new WeakMap<ContractState, Buffer>();
  #renderings = 0;

  constructor(render: (state: ContractState) => string) {
    this.#render = render;
  }

  /** How many states have been rendered. */
  get renderings(): number {
    return this.#renderings;
  }

  /** The answer for a state: the JSON text of an execution result, UTF-8. Never to be written to. */
  payload(state: ContractState): Buffer {
    if (state === this.#lastState) return this.#lastPayload;
    let payload = this.#payloads.get(state);
    if (payload === undefined) {
      this.#renderings++;
      payload = Buffer.from(this.#render(state), 'utf8');
      this.#payloads.set(state, payload);
    }
    this.#lastState = state;
    this.#lastPayload = payload;
    return payload;
  }
}

/** The projections in use, found by what they select. */
export class Projections {
  readonly #schema: GraphQLSchema;
  readonly #gateway: ServerGateway;
  readonly #projections = new Map<string, WeakRef<Projection>>();
  readonly #unused = new FinalizationRegistry<string>((selection) => {
    if (this.#projections.get(selection)?.deref() === undefined)
      this.#projections.delete(selection);
  });

  constructor(schema: GraphQLSchema, gateway: ServerGateway) {
    this.#schema = schema;
    this.#gateway = gateway;
  }

  /**
   * The projection of an operation, shared with every operation that selects the same.
   *
   * @throws TypeError for anything but a subscription to `contractUpdates`
   */
  of(operation: SubscriptionOperation): Projection {
    const [root] = this.#selectedRoots(operation);
    const type = this.#schema.getSubscriptionType();
    const contract = root && type && getNamedType(type.getFields()[root.fieldName]?.type);
    if (!isObjectType(contract)) throw new TypeError('expected a subscription to contractUpdates');
    const { responseKey, fields } = root as SelectedField;
    const selection = JSON.stringify([responseKey, fields]);
    const known = this.#projections.get(selection)?.deref();
    if (known !== undefined) return known;
    const plan = this.#plan(contract, fields);
    const head = `{"data":{${JSON.stringify(responseKey)}:`;
    const projection = new Projection((state) => {
      try {
        if (plan !== undefined) return `${head}${plan(state, operation.context)}}}`;
      } catch {
        // Whatever went wrong, graphql-js says it as the specification wants it said.
      }
      return this.#execute(operation, state);
    });
    this.#projections.set(selection, new WeakRef(projection));
    this.#unused.register(projection, selection);
    return projection;
  }

  #plan(type: Parameters<typeof compilePlan>[0], fields: readonly SelectedField[]) {
    try {
      return compilePlan(type, fields);
    } catch (error) {
      if (error instanceof NotPlannable) return undefined;
      throw error;
    }
  }

  #execute(operation: SubscriptionOperation, rootValue: ContractState): string {
    const args: ExecutionArgs = {
      schema: this.#schema,
      document: operation.document,
      rootValue,
      contextValue: operation.context,
      variableValues: operation.variables ?? null,
      operationName: operation.operationName ?? null,
    };
    const result = execute(args);
    if (result instanceof Promise) throw new TypeError('expected an answer at once');
    const { data, errors } = result as { data?: unknown; errors?: readonly unknown[] };
    if (errors === undefined) return JSON.stringify({ data });
    const told = errors.map((error) => clientError(error, this.#gateway.log).toJSON());
    return JSON.stringify({ data, errors: told });
  }

  #selectedRoots({ document, operationName, variables }: SubscriptionOperation): SelectedField[] {
    const operation = getOperationAST(document, operationName);
    const type = this.#schema.getSubscriptionType();
    if (operation?.operation !== OperationTypeNode.SUBSCRIPTION || !type) return [];
    const { variableDefinitions = [], selectionSet } = operation;
    const values = getVariableValues(this.#schema, variableDefinitions, variables ?? {});
    return selectedFields(this.#schema, document, type, selectionSet, values.coerced ?? {});
  }
}
