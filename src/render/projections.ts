import {
  type GraphQLObjectType,
  type GraphQLSchema,
  getNamedType,
  getNullableType,
  isListType,
  isObjectType,
} from 'graphql';
import { LRUCache } from 'lru-cache';
import type { ContractState } from '../hub/contract-state.ts';
import type { GatewayContext } from '../schema/resolver-context.ts';
import { BatchProjection } from './batch-projection.ts';
import { FieldTexts } from './field-texts.ts';
import { withoutMarks } from './marks.ts';
import { NotPlannable } from './plan.ts';
import { Projection } from './projection.ts';
import { readsSince } from './reads-since.ts';
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
  /** IME's own message of each state, byte for byte. */
  readonly messages = new Projection(
    'message',
    'message',
    ({ snapshot }) => snapshot?.raw ?? '',
    this.#payloads,
    () => this.#renderings++,
  );

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
   * @throws TypeError for anything but a subscription to contracts
   */
  of(operation: ClientOperation, root: SelectedField): Projection {
    const { responseKey, fieldName, fields } = root;
    const updates = this.#schema.getSubscriptionType()?.getFields()[fieldName];
    const contract = updates && getNamedType(updates.type);
    if (!isObjectType(contract)) throw new TypeError('expected a subscription to contracts');
    const isBatch = isListType(getNullableType(updates?.type));
    const selection = JSON.stringify([responseKey, fields, ...(isBatch ? ['batch'] : [])]);
    const known = this.#used.get(selection) ?? this.#unused.get(selection);
    if (known !== undefined) return known;
    const head = `{"data":{${JSON.stringify(responseKey)}:`;
    const write = this.#writer(contract, fields);
    const executed = (root: unknown) =>
      executedAnswer(this.#schema, operation, this.#context, root, this.#toldError);
    const answer = (state: ContractState) => {
      try {
        return `${head}${write(state)}}}`;
      } catch {
        // Whatever went wrong, graphql-js says it as the specification wants it said.
        return executed(state);
      }
    };
    const parts: ConstructorParameters<typeof Projection> = [
      selection,
      responseKey,
      isBatch ? write : answer,
      this.#payloads,
      () => this.#renderings++,
      (isUsed) => this.#noteUsage(selection, projection, isUsed),
      this.#steady(contract, fields, isBatch ? (state) => executed([state]) : answer),
      readsSince(withoutMarks(fields)),
    ];
    const projection: Projection = isBatch
      ? new BatchProjection(parts, head, executed)
      : new Projection(...parts);
    this.#unused.set(selection, projection);
    return projection;
  }

  /** Writes a selection on a contract; throws where only graphql-js can. */
  #writer(
    contract: GraphQLObjectType,
    fields: readonly SelectedField[],
  ): (state: ContractState) => string {
    const write = contractWriter(contract, fields, this.texts);
    return (state) => {
      if (write === undefined) throw new NotPlannable('only graphql-js can answer it');
      return write(state, this.#context);
    };
  }

  /** What writes a selection but for what is no change; `undefined` where that is all of it. */
  #steady(
    contract: GraphQLObjectType,
    fields: readonly SelectedField[],
    told: (state: ContractState) => string,
  ): ((state: ContractState) => string) | undefined {
    const left = withoutMarks(fields);
    if (left === fields) return undefined;
    const write = this.#writer(contract, left);
    return (state) => {
      try {
        return write(state);
      } catch {
        // What cannot be written is compared as it is told.
        return told(state);
      }
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
