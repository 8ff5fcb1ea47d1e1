import {
  type GraphQLError,
  type GraphQLSchema,
  getNamedType,
  getOperationAST,
  getVariableValues,
  isObjectType,
  OperationTypeNode,
} from 'graphql';
import type { ContractState } from '../hub/contract-state.ts';
import type { Logger } from '../observability/log.ts';
import type { GatewayContext } from '../schema/resolver-context.ts';
import { FieldTexts } from './plan.ts';
import { RenderedStates } from './rendered-states.ts';
import { type ClientOperation, contractWriter, executedAnswer } from './rendering.ts';
import { type SelectedField, selectedFields } from './selection.ts';

/**
 * What clients see of a contract's states: the selection under `contractUpdates`, shared by all clients
 * who selected the same, in whatever words. A state is rendered once for all of them.
 */
export class Projection {
  readonly #responseKey: string;
  readonly #render: (state: ContractState) => string;
  readonly #rendered: () => void;
  /** Most states are rendered and sent to everybody before the next one comes. */
  #lastState: ContractState | undefined;
  #lastPayload: Buffer = Buffer.alloc(0);
  readonly #payloads: RenderedStates<Buffer>;
  readonly #renderer: number;

  /**
   * @param payloads where all projections keep what they have rendered
   * @param rendered called for each state that is rendered
   */
  constructor(
    responseKey: string,
    render: (state: ContractState) => string,
    payloads: RenderedStates<Buffer>,
    rendered: () => void,
  ) {
    this.#responseKey = responseKey;
    this.#render = render;
    this.#payloads = payloads;
    this.#renderer = payloads.register();
    this.#rendered = rendered;
  }

  /** The answer for a state: the JSON text of an execution result, UTF-8. Never to be written to. */
  payload(state: ContractState): Buffer {
    if (state === this.#lastState) return this.#lastPayload;
    let payload = this.#payloads.get(state, this.#renderer);
    if (payload === undefined) {
      this.#rendered();
      payload = Buffer.from(this.#render(state), 'utf8');
      this.#payloads.set(state, this.#renderer, payload);
    }
    this.#lastState = state;
    this.#lastPayload = payload;
    return payload;
  }

  /** The answer as a string that differs where the answer does, made quickly. */
  reads(state: ContractState): string {
    return this.payload(state).toString('latin1');
  }

  /** The answer that tells of an error in a contract's place. */
  refusal({ message, extensions }: GraphQLError): Buffer {
    const error = { message, path: [this.#responseKey], extensions };
    return Buffer.from(JSON.stringify({ data: null, errors: [error] }));
  }
}

/** The projections in use, found by what they select. */
export class Projections {
  readonly #schema: GraphQLSchema;
  readonly #log: Logger;
  readonly #context: GatewayContext;
  /** The leaves of every state, for whoever writes states with the same context. */
  readonly texts = new FieldTexts();
  readonly #payloads = new RenderedStates<Buffer>();
  readonly #projections = new Map<string, WeakRef<Projection>>();
  readonly #unused = new FinalizationRegistry<string>((selection) => {
    if (this.#projections.get(selection)?.deref() === undefined)
      this.#projections.delete(selection);
  });
  #renderings = 0;

  /** @param context what states are rendered with: nobody's in particular, for the text is everybody's */
  constructor(schema: GraphQLSchema, log: Logger, context: GatewayContext) {
    this.#schema = schema;
    this.#log = log;
    this.#context = context;
  }

  /** How many states have been rendered, for all projections together. */
  get renderings(): number {
    return this.#renderings;
  }

  /** The projections in use. */
  get size(): number {
    return this.#projections.size;
  }

  /**
   * The projection of an operation, shared with every operation that selects the same.
   *
   * @throws TypeError for anything but a subscription to `contractUpdates`
   */
  of(operation: ClientOperation): Projection {
    const [root] = this.#selectedRoots(operation);
    const type = this.#schema.getSubscriptionType();
    const contract = root && type && getNamedType(type.getFields()[root.fieldName]?.type);
    if (!isObjectType(contract)) throw new TypeError('expected a subscription to contractUpdates');
    const { responseKey, fields } = root as SelectedField;
    const selection = JSON.stringify([responseKey, fields]);
    const known = this.#projections.get(selection)?.deref();
    if (known !== undefined) return known;
    const write = contractWriter(contract, fields, this.texts);
    const head = `{"data":{${JSON.stringify(responseKey)}:`;
    const render = (state: ContractState) => {
      try {
        if (write !== undefined) return `${head}${write(state, this.#context)}}}`;
      } catch {
        // Whatever went wrong, graphql-js says it as the specification wants it said.
      }
      return executedAnswer(this.#schema, operation, this.#context, state, this.#log);
    };
    const projection = new Projection(responseKey, render, this.#payloads, () => {
      this.#renderings++;
    });
    this.#projections.set(selection, new WeakRef(projection));
    this.#unused.register(projection, selection);
    return projection;
  }

  #selectedRoots({ document, operationName, variables }: ClientOperation): SelectedField[] {
    const operation = getOperationAST(document, operationName);
    const type = this.#schema.getSubscriptionType();
    if (operation?.operation !== OperationTypeNode.SUBSCRIPTION || !type) return [];
    const { variableDefinitions = [], selectionSet } = operation;
    const values = getVariableValues(this.#schema, variableDefinitions, variables ?? {});
    return selectedFields(this.#schema, document, type, selectionSet, values.coerced ?? {});
  }
}
