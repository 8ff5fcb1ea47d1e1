import { type GraphQLObjectType, type GraphQLSchema, getNamedType, isObjectType } from 'graphql';
import { LRUCache } from 'lru-cache';
import type { Principal } from '../access/principal.ts';
import { type ContractKey, contractTextOf } from '../contract/key.ts';
import type { ContractSearch } from '../contract/search.ts';
import type { OperationRequest } from '../documents/operation-request.ts';
import type { ContractState } from '../hub/contract-state.ts';
import type { FieldTexts } from '../render/field-texts.ts';
import { RenderedStates } from '../render/rendered-states.ts';
import { type ContractWriter, contractWriter } from '../render/rendering.ts';
import { fieldCost, nameCost, type SelectedField } from '../render/selection.ts';
import {
  checkedSearch,
  checkedWaitMs,
  contractKeys,
  oneContractKey,
} from '../schema/contract-arguments.ts';
import type { GatewayContext } from '../schema/resolver-context.ts';
import type { Admission } from './admission.ts';
import { type Asker, type OperationGateway, operationContext } from './operation-context.ts';

/** How much memory requests, and selections, are remembered in, in bytes, and how long each may be. */
const MOST_BYTES = 8 * 1024 * 1024;
const MOST_REMEMBERED_CHARACTERS = 10_000;
/** What a request, a contract that it asks for, and a character of a selection's text take, about. */
const REQUEST_BYTES = 1_000;
const KEY_BYTES = 200;
const SELECTION_CHARACTER_BYTES = 20;

/** A field of a query that asks for contracts, ready to be answered. */
interface ContractField {
  /** Its response key, as JSON. */
  readonly head: string;
  readonly isList: boolean;
  /** The contracts asked for; `undefined` for every one that is held. */
  readonly keys: readonly ContractKey[] | undefined;
  readonly selection: Selection;
  /** Which of all contracts are asked for. */
  readonly search: ContractSearch | undefined;
  /** What one contract costs, and the names of all that are asked for besides. */
  readonly cost: number;
  readonly namesCost: number;
}

/** A selection on contracts, and the text of each contract's state that it was last written for. */
class Selection {
  readonly #write: ContractWriter;
  readonly #texts: RenderedStates<string>;
  readonly #renderer: number;

  constructor(write: ContractWriter, texts: RenderedStates<string>) {
    this.#write = write;
    this.#texts = texts;
    this.#renderer = texts.register();
  }

  textOf(state: ContractState, context: GatewayContext): string {
    let text = this.#texts.get(state, this.#renderer);
    if (text === undefined) {
      text = this.#write(state, context);
      this.#texts.set(state, this.#renderer, text);
    }
    return text;
  }
}

/**
 * Answers queries for snapshots that are there already: each contract's selection is written for one
 * reader and serves every other until the contract's next change. What takes more than that, waiting
 * for a first state, an argument with a fault, any other field, is left to graphql-js.
 */
export class SnapshotAnswers {
  readonly #gateway: OperationGateway;
  readonly #schema: GraphQLSchema;
  readonly #admission: Admission;
  readonly #fieldTexts: FieldTexts;
  readonly #texts = new RenderedStates<string>();
  readonly #selections = new LRUCache<string, Selection>({
    maxSize: MOST_BYTES,
    sizeCalculation: (_selection, text) => REQUEST_BYTES + SELECTION_CHARACTER_BYTES * text.length,
  });
  /** What is asked for by requests; nothing for those that must be executed. */
  readonly #requests = new LRUCache<string, readonly ContractField[]>({
    maxSize: MOST_BYTES,
    sizeCalculation: (fields, id) =>
      fields.reduce((bytes, { keys }) => bytes + KEY_BYTES * (keys?.length ?? 0), REQUEST_BYTES) +
      2 * id.length,
  });
  /** Which edition of the documents the requests were admitted by. */
  #documentsEdition = 0;

  constructor(
    gateway: OperationGateway,
    schema: GraphQLSchema,
    admission: Admission,
    fieldTexts: FieldTexts,
  ) {
    this.#gateway = gateway;
    this.#schema = schema;
    this.#admission = admission;
    this.#fieldTexts = fieldTexts;
  }

  /**
   * The answer to a query, as JSON text; `undefined` where it must be admitted and executed.
   *
   * @param id what the same request has in common each time it is made
   * @param read reads the request; called the first time only
   */
  answer(id: string, read: () => OperationRequest, asker: Asker): string | undefined {
    const fields = this.#fields(id, read);
    if (fields === undefined) return undefined;
    let text = '{"data":';
    let before = '{';
    let cost = 0;
    try {
      const principal = asker.who();
      const context = operationContext(this.#gateway, asker);
      for (const field of fields) {
        const states = this.#states(field, principal);
        if (states === undefined) return undefined;
        cost += states.length * field.cost + field.namesCost;
        if (cost > this.#gateway.maxCost) return undefined;
        const texts = states.map((state) => field.selection.textOf(state, context));
        text += before + field.head + (field.isList ? `[${texts.join(',')}]` : texts[0]);
        before = ',';
      }
    } catch {
      // Whatever went wrong, admission or graphql-js says it.
      return undefined;
    }
    return `${text}}}`;
  }

  /** The states that a field answers with; `undefined` where one is not known yet or may not be seen. */
  #states({ keys, search }: ContractField, { contracts }: Principal): ContractState[] | undefined {
    if (keys === undefined) {
      return this.#gateway.hub.states(search).filter(({ key }) => contracts.allow(key));
    }
    const states: ContractState[] = [];
    for (const key of keys) {
      if (!contracts.allow(key)) return undefined;
      const state = this.#gateway.hub.read(key);
      if (state === undefined) return undefined;
      if (state.snapshot === null && state.status !== 'INVALID') return undefined;
      states.push(state);
    }
    return states;
  }

  #fields(id: string, read: () => OperationRequest): readonly ContractField[] | undefined {
    const { documentsEdition } = this.#admission;
    if (documentsEdition !== this.#documentsEdition) {
      this.#documentsEdition = documentsEdition;
      this.#requests.clear();
    }
    if (id.length > MOST_REMEMBERED_CHARACTERS) return undefined;
    let fields = this.#requests.get(id);
    if (fields === undefined) {
      fields = this.#readFields(read) ?? [];
      this.#requests.set(id, fields);
    }
    return fields.length > 0 ? fields : undefined;
  }

  #readFields(read: () => OperationRequest): ContractField[] | undefined {
    const type = this.#schema.getQueryType();
    if (!type) return undefined;
    try {
      const fields = this.#admission.queryFields(read());
      const known = fields?.map((field) => this.#contractField(type, field));
      return known?.length && known.every((field) => field !== undefined) ? known : undefined;
    } catch {
      return undefined;
    }
  }

  /** @throws where an argument has a fault */
  #contractField(type: GraphQLObjectType, field: SelectedField): ContractField | undefined {
    const { fieldName, responseKey, args, fields } = field;
    const contract = getNamedType(type.getFields()[fieldName]?.type);
    if (!isObjectType(contract) || (fieldName !== 'contract' && fieldName !== 'contracts')) {
      return undefined;
    }
    checkedWaitMs(args['waitMs'] as number | null | undefined);
    const selection = this.#selection(contract, fields);
    if (selection === undefined) return undefined;
    const head = `${JSON.stringify(responseKey)}:`;
    const cost = fieldCost(field);
    if (fieldName === 'contract') {
      const key = oneContractKey(args['name'] as string | null, args['id'] as string | null);
      return { head, isList: false, keys: [key], search: undefined, selection, cost, namesCost: 0 };
    }
    const lists = args as { names?: string[] | null; ids?: string[] | null };
    const search = checkedSearch(args);
    if (!lists.names && !lists.ids) {
      return { head, isList: true, keys: undefined, search, selection, cost, namesCost: 0 };
    }
    const { access } = this.#gateway;
    const given = (lists.names?.length ?? 0) + (lists.ids?.length ?? 0);
    // Who asks for too many is told, and counted, by whoever executes it.
    if (given > access.limits.contractsPerSubscription) return undefined;
    const keys = contractKeys(lists, access).map((key) => {
      if (typeof key !== 'string') throw key;
      return key;
    });
    const namesCost = keys.reduce(
      (sum, key) => sum + nameCost(field, contractTextOf(key).length),
      0,
    );
    return { head, isList: true, keys, search, selection, cost, namesCost };
  }

  #selection(type: GraphQLObjectType, fields: readonly SelectedField[]): Selection | undefined {
    const name = JSON.stringify(fields);
    const known = this.#selections.get(name);
    if (known !== undefined) return known;
    const write = contractWriter(type, fields, this.#fieldTexts);
    if (write === undefined) return undefined;
    const selection = new Selection(write, this.#texts);
    this.#selections.set(name, selection);
    return selection;
  }
}
