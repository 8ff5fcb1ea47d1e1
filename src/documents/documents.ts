import {
  type DocumentNode,
  GraphQLError,
  type GraphQLSchema,
  NoSchemaIntrospectionCustomRule,
  OverlappingFieldsCanBeMergedRule,
  parse,
  SingleFieldSubscriptionsRule,
  specifiedRules,
  type ValidationRule,
  validate,
} from 'graphql';
import { LRUCache } from 'lru-cache';
import { codedError, type ErrorCode, placedError } from '../schema/errors/coded-error.ts';
import { type DocumentLimits, longName, sizeRule, tooManyEqualFields } from './document-limits.ts';
import type { OperationRequest } from './operation-request.ts';
import { hashOf, type TrustedDocuments } from './trusted-documents.ts';

/** How much memory documents are kept in, in bytes, and how much of it one may take. */
const MOST_BYTES = 32 * 1024 * 1024;
const MOST_BYTES_EACH = MOST_BYTES / 16;
/** What a document's tree takes for each character of its text: 65 to 240 bytes, measured. */
const TREE_BYTES_A_CHARACTER = 250;
const FAULT_BYTES = 2_000;

/** As many faults of a document are told: the first few say what is wrong. */
const MOST_ERRORS = 10;

/** A document that can be executed, or what is wrong with it; each error has its code. */
export type PreparedDocument =
  | { readonly document: DocumentNode; readonly errors?: never }
  | { readonly document?: never; readonly errors: readonly GraphQLError[] };

/** Rules that are not asked with the others. */
const RULES_ELSEWHERE: readonly ValidationRule[] = [
  // Which root field a subscription has is known with its variables: admission counts them.
  SingleFieldSubscriptionsRule,
  // Compares every two fragments, also those that are not there: only a document without other faults is worth it.
  OverlappingFieldsCanBeMergedRule,
];

/** What may be asked for as a document, and what has been: each is parsed and validated once. */
export class Documents {
  readonly #schema: GraphQLSchema;
  readonly #limits: DocumentLimits;
  #trusted: TrustedDocuments | undefined;
  #edition = 0;
  readonly #rules: readonly ValidationRule[];
  readonly #prepared = new LRUCache<string, PreparedDocument>({
    maxSize: MOST_BYTES,
    maxEntrySize: MOST_BYTES_EACH,
    sizeCalculation: ({ document, errors = [] }, source) =>
      2 * source.length +
      (document ? TREE_BYTES_A_CHARACTER * source.length : 0) +
      FAULT_BYTES * (1 + errors.length),
  });

  /** @param trusted where there are any, only these documents may be executed */
  constructor(
    schema: GraphQLSchema,
    limits: DocumentLimits,
    trusted: TrustedDocuments | undefined,
  ) {
    this.#schema = schema;
    this.#limits = limits;
    this.#trusted = trusted;
    this.#rules = [
      ...specifiedRules.filter((rule) => !RULES_ELSEWHERE.includes(rule)),
      ...(limits.introspection ? [] : [NoSchemaIntrospectionCustomRule]),
      sizeRule(limits),
    ];
  }

  /** From now on only these documents may be executed. */
  trust(trusted: TrustedDocuments): void {
    this.#trusted = trusted;
    this.#edition++;
  }

  /** Changes with what may be executed: what was found out about documents before counts no more. */
  get edition(): number {
    return this.#edition;
  }

  /** The document that a request asks for. @throws GraphQLError where it may not be executed */
  textOf(request: OperationRequest): string {
    if (this.#trusted !== undefined) return this.#trusted.documentOf(request);
    const { query } = request;
    const hash = hashOf(request);
    // Apollo's client sends an empty query, or none, with a hash.
    if (query || (typeof query === 'string' && hash === undefined)) return query;
    if (hash === undefined) {
      throw codedError('BAD_REQUEST', 'query: expected a document, got none');
    }
    // Apollo's client sends the whole document from now on where it is told this.
    throw codedError('PERSISTED_QUERY_NOT_SUPPORTED', 'PersistedQueryNotSupported');
  }

  /** Never throws: what is wrong with the document comes as errors. */
  prepare(source: string): PreparedDocument {
    const known = this.#prepared.get(source);
    if (known !== undefined) return known;
    const prepared = this.#read(source);
    this.#prepared.set(source, prepared);
    return prepared;
  }

  #read(source: string): PreparedDocument {
    let document: DocumentNode;
    try {
      document = parse(source, { maxTokens: this.#limits.tokens });
    } catch (error) {
      // Deep nesting exhausts the parser's stack: the document's fault, not the server's.
      if (!(error instanceof GraphQLError)) return UNREADABLE;
      if (!error.message.includes('tokens')) return faulty('GRAPHQL_PARSE_FAILED', [error]);
      const message = `expected a document of at most ${this.#limits.tokens} tokens`;
      return { errors: [codedError('QUERY_TOO_COMPLEX', message)] };
    }
    const fault = longName(document) ?? tooManyEqualFields(document, this.#limits);
    if (fault !== undefined) return { errors: [fault] };
    try {
      // «Did you mean» would tell the schema word by word.
      const options = { hideSuggestions: !this.#limits.introspection, maxErrors: MOST_ERRORS };
      for (const rules of [this.#rules, [OverlappingFieldsCanBeMergedRule]]) {
        const errors = validate(this.#schema, document, rules, options);
        if (errors.length > 0) return faulty('GRAPHQL_VALIDATION_FAILED', errors);
      }
      return { document };
    } catch {
      return UNREADABLE;
    }
  }
}

const UNREADABLE: PreparedDocument = {
  errors: [codedError('GRAPHQL_PARSE_FAILED', 'Syntax Error: the document cannot be read.')],
};

/** The errors without anything of their document, each with a code. */
function faulty(code: ErrorCode, errors: readonly GraphQLError[]): PreparedDocument {
  return {
    errors: errors
      .slice(0, MOST_ERRORS)
      .map((error) => placedError(error.message, { code, ...error.extensions }, error)),
  };
}
