import {
  type DocumentNode,
  GraphQLError,
  type GraphQLSchema,
  NoSchemaIntrospectionCustomRule,
  parse,
  specifiedRules,
  type ValidationRule,
  validate,
} from 'graphql';
import { RecentMap } from '../lib/recent-map.ts';
import { codedError } from '../schema/coded-error.ts';
import { type DocumentLimits, sizeRule } from './document-limits.ts';
import { type DocumentRequest, hashOf, type TrustedDocuments } from './trusted-documents.ts';

/** How many documents are remembered. */
const MOST_DOCUMENTS = 1_000;
/** Longer documents are not remembered: a few of them would fill the memory that many short ones need. */
const MOST_REMEMBERED_CHARACTERS = 10_000;

/** A document that can be executed, or what is wrong with it. */
export type PreparedDocument =
  | { readonly document: DocumentNode; readonly errors?: never }
  | {
      readonly document?: never;
      /** Where it can be read and is not valid. */
      readonly parsed?: DocumentNode;
      readonly errors: readonly GraphQLError[];
    };

/** What may be asked for as a document, and what has been: each is parsed and validated once. */
export class Documents {
  readonly #schema: GraphQLSchema;
  readonly #limits: DocumentLimits;
  readonly #trusted: TrustedDocuments | undefined;
  readonly #rules: readonly ValidationRule[];
  readonly #tooComplex: () => void;
  readonly #faults = new WeakMap<DocumentNode, readonly GraphQLError[]>();
  readonly #prepared = new RecentMap<string, PreparedDocument>(MOST_DOCUMENTS);

  /**
   * @param trusted where there are any, only these documents may be executed
   * @param tooComplex called for each document that is larger than it may be
   */
  constructor(
    schema: GraphQLSchema,
    limits: DocumentLimits,
    trusted: TrustedDocuments | undefined,
    tooComplex: () => void,
  ) {
    this.#schema = schema;
    this.#limits = limits;
    this.#trusted = trusted;
    this.#tooComplex = tooComplex;
    this.#rules = [
      ...specifiedRules,
      ...(limits.introspection ? [] : [NoSchemaIntrospectionCustomRule]),
      sizeRule(limits),
    ];
  }

  /** Whether only trusted documents may be executed. */
  get areTrustedOnly(): boolean {
    return this.#trusted !== undefined;
  }

  /** {@link prepare} in the form of graphql-js. @throws GraphQLError where it cannot be read */
  parse(source: string): DocumentNode {
    const prepared = this.prepare(source);
    const document = prepared.document ?? prepared.parsed;
    if (document === undefined) throw prepared.errors?.[0];
    return document;
  }

  /** What is wrong with a document that {@link parse} has given. */
  faultsOf(document: DocumentNode): readonly GraphQLError[] {
    return this.#faults.get(document) ?? [];
  }

  /** The document that a request asks for. @throws GraphQLError where it may not be executed */
  textOf(request: DocumentRequest): string {
    if (this.#trusted !== undefined) return this.#trusted.documentOf(request);
    const { query } = request;
    if (query) return query;
    if (hashOf(request) === undefined) {
      throw codedError('BAD_USER_INPUT', 'query: expected a document, got none');
    }
    // Apollo's client sends the whole document from now on where it is told this.
    throw codedError('PERSISTED_QUERY_NOT_SUPPORTED', 'PersistedQueryNotSupported');
  }

  /** Never throws: what is wrong with the document comes as errors. */
  prepare(source: string): PreparedDocument {
    const known = this.#prepared.get(source);
    if (known !== undefined) {
      // Putting it back at the end makes the one at the front the least recently used.
      this.#prepared.set(source, known);
      return known;
    }
    const prepared = this.#read(source);
    if (prepared.errors?.some(({ extensions }) => extensions['code'] === 'QUERY_TOO_COMPLEX')) {
      this.#tooComplex();
    }
    if (source.length > MOST_REMEMBERED_CHARACTERS) return prepared;
    this.#prepared.set(source, prepared);
    return prepared;
  }

  #read(source: string): PreparedDocument {
    let document: DocumentNode;
    try {
      document = parse(source, { maxTokens: this.#limits.tokens });
    } catch (error) {
      if (!(error instanceof GraphQLError)) {
        // Deep nesting exhausts the parser's stack: the document's fault, not the server's.
        return { errors: [new GraphQLError('Syntax Error: the document cannot be read.')] };
      }
      if (!error.message.includes('tokens')) return { errors: [error] };
      const message = `expected a document of at most ${this.#limits.tokens} tokens`;
      return { errors: [codedError('QUERY_TOO_COMPLEX', message)] };
    }
    try {
      // «Did you mean» would tell the schema word by word.
      const hideSuggestions = !this.#limits.introspection;
      const errors = validate(this.#schema, document, this.#rules, { hideSuggestions });
      if (errors.length === 0) return { document };
      this.#faults.set(document, errors);
      return { parsed: document, errors };
    } catch {
      return { errors: [new GraphQLError('Syntax Error: the document cannot be read.')] };
    }
  }
}
