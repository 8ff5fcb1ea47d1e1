import {
  type GraphQLError,
  type GraphQLObjectType,
  type GraphQLSchema,
  getNamedType,
  isObjectType,
} from 'graphql';
import { LRUCache } from 'lru-cache';
import type { ContractState } from '../hub/contract-state.ts';
import type { GatewayContext } from '../schema/resolver-context.ts';
import { FieldTexts } from './field-texts.ts';
import { withoutMarks } from './marks.ts';
import { RenderedStates } from './rendered-states.ts';
import {
  type ClientOperation,
  contractWriter,
  executedAnswer,
  type ToldError,
} from './rendering.ts';
import type { SelectedField } from './selection.ts';

/** How many projections are remembered that nobody uses, and in characters of what they select. */
const MOST_UNUSED = 1_000;
const MOST_UNUSED_CHARACTERS = 1024 * 1024;
const NOTHING = Buffer.alloc(0);

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
  #lastPayload: Buffer = NOTHING;
  readonly #payloads: RenderedStates<Buffer>;
  readonly #renderer: number;
  readonly #usage: (isUsed: boolean) => void;
  readonly #steady: ((state: ContractState) => string) | undefined;
  #lastRead: ContractState | undefined;
  #lastReads = '';
  #users = 0;

  /**
   * @param payloads where all projections keep what they have rendered
   * @param rendered called for each state that is rendered
   * @param usage told of the first user and that the last one has gone
   * @param steady writes what counts as a change of a state, where that is less than the answer
   */
  constructor(
    responseKey: string,
    render: (state: ContractState) => string,
    payloads: RenderedStates<Buffer>,
    rendered: () => void,
    usage: (isUsed: boolean) => void = () => {},
    steady?: (state: ContractState) => string,
  ) {
    this.#responseKey = responseKey;
    this.#render = render;
    this.#payloads = payloads;
    this.#renderer = payloads.register();
    this.#rendered = rendered;
    this.#usage = usage;
    this.#steady = steady;
  }

  /** A subscription sees states through this, until it says {@link release}. */
  acquire(): void {
    if (this.#users++ === 0) this.#usage(true);
  }

  /** A subscription that acquired this has ended. */
  release(): void {
    if (--this.#users > 0) return;
    this.#lastState = undefined;
    this.#lastPayload = NOTHING;
    this.#lastRead = undefined;
    this.#lastReads = '';
    this.#usage(false);
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

  /** A string that differs where the answer does, but for what is no change of a contract. */
  reads(state: ContractState): string {
    if (this.#steady === undefined) return this.payload(state).toString('latin1');
    if (state !== this.#lastRead) {
      this.#lastReads = this.#steady(state);
      this.#lastRead = state;
    }
    return this.#lastReads;
  }

  /** The answer that tells of an error in a contract's place. */
  refusal({ message, extensions }: GraphQLError): Buffer {
    const error = { message, path: [this.#responseKey], extensions };
    return Buffer.from(JSON.stringify({ data: null, errors: [error] }));
  }
}

/**
 * The projections, found by what they select: those in use, and some of those that nobody uses now, for
 * clients come back with what they had.
 */
export class Projections {
  readonly #schema: GraphQLSchema;
  readonly #toldError: ToldError;
  readonly #context: GatewayContext;
  /** The leaves of every state, for whoever writes states with the same context. */
  readonly texts = new FieldTexts();
  readonly #payloads = new RenderedStates<Buffer>();
  readonly #used = new Map<string, Projection>();
  readonly #unused = new LRUCache<string, Projection>({
    max: MOST_UNUSED,
    maxSize: MOST_UNUSED_CHARACTERS,
    sizeCalculation: (_projection, selection) => selection.length,
  });
  #renderings = 0;

  /**
   * @param toldError what clients are told of something that was thrown
   * @param context what states are rendered with: nobody's in particular, for the text is everybody's
   */
  constructor(schema: GraphQLSchema, toldError: ToldError, context: GatewayContext) {
    this.#schema = schema;
    this.#toldError = toldError;
    this.#context = context;
  }

  /** How many states have been rendered, for all projections together. */
  get renderings(): number {
    return this.#renderings;
  }

  /** The projections in use. */
  get size(): number {
    return this.#used.size;
  }

  /**
   * The projection of a subscription, shared with every one that selects the same.
   *
   * @param root the operation's one root field
   * @throws TypeError for anything but a subscription to `contractUpdates`
   */
  of(operation: ClientOperation, root: SelectedField): Projection {
    const { responseKey, fieldName, fields } = root;
    const updates = this.#schema.getSubscriptionType()?.getFields()[fieldName];
    const contract = updates && getNamedType(updates.type);
    if (!isObjectType(contract)) throw new TypeError('expected a subscription to contractUpdates');
    const selection = JSON.stringify([responseKey, fields]);
    const known = this.#used.get(selection) ?? this.#unused.get(selection);
    if (known !== undefined) return known;
    const write = contractWriter(contract, fields, this.texts);
    const head = `{"data":{${JSON.stringify(responseKey)}:`;
    const render = (state: ContractState) => {
      try {
        if (write !== undefined) return `${head}${write(state, this.#context)}}}`;
      } catch {
        // Whatever went wrong, graphql-js says it as the specification wants it said.
      }
      return executedAnswer(this.#schema, operation, this.#context, state, this.#toldError);
    };
    const projection = new Projection(
      responseKey,
      render,
      this.#payloads,
      () => this.#renderings++,
      (isUsed) => this.#noteUsage(selection, projection, isUsed),
      this.#steady(contract, fields, render),
    );
    this.#unused.set(selection, projection);
    return projection;
  }

  /** What writes a selection but for what is no change; `undefined` where that is all of it. */
  #steady(
    contract: GraphQLObjectType,
    fields: readonly SelectedField[],
    render: (state: ContractState) => string,
  ): ((state: ContractState) => string) | undefined {
    const left = withoutMarks(fields);
    if (left === fields) return undefined;
    const write = contractWriter(contract, left, this.texts);
    return (state) => {
      try {
        if (write !== undefined) return write(state, this.#context);
      } catch {
        // What cannot be written is compared as it is told.
      }
      return render(state);
    };
  }

  #noteUsage(selection: string, projection: Projection, isUsed: boolean): void {
    if (isUsed) {
      // One that was let go before its first user came leaves its place to whoever has taken it since.
      if (!this.#used.has(selection)) this.#used.set(selection, projection);
      this.#unused.delete(selection);
    } else {
      if (this.#used.get(selection) !== projection) return;
      this.#used.delete(selection);
      this.#unused.set(selection, projection);
    }
  }
}
