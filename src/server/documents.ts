import {
  type DocumentNode,
  GraphQLError,
  type GraphQLSchema,
  parse,
  specifiedRules,
  validate,
} from 'graphql';

/** How many documents are remembered. */
const MOST_DOCUMENTS = 1_000;
/** Longer documents are not remembered: a few of them would fill the memory that many short ones need. */
const MOST_REMEMBERED_CHARACTERS = 10_000;

/** A document that can be executed, or what is wrong with it. */
export type PreparedDocument =
  | { readonly document: DocumentNode; readonly errors?: never }
  | { readonly document?: never; readonly errors: readonly GraphQLError[] };

/** Parses and validates each document once. */
export class Documents {
  readonly #schema: GraphQLSchema;
  readonly #prepared = new Map<string, PreparedDocument>();

  constructor(schema: GraphQLSchema) {
    this.#schema = schema;
  }

  /** Never throws: what is wrong with the document comes as errors. */
  prepare(source: string): PreparedDocument {
    const known = this.#prepared.get(source);
    if (known !== undefined) {
      // Putting it back at the end makes the one at the front the least recently used.
      this.#prepared.delete(source);
      this.#prepared.set(source, known);
      return known;
    }
    const prepared = this.#read(source);
    if (source.length > MOST_REMEMBERED_CHARACTERS) return prepared;
    this.#prepared.set(source, prepared);
    if (this.#prepared.size > MOST_DOCUMENTS) {
      for (const oldest of this.#prepared.keys()) {
        this.#prepared.delete(oldest);
        break;
      }
    }
    return prepared;
  }

  #read(source: string): PreparedDocument {
    try {
      const document = parse(source);
      const errors = validate(this.#schema, document, specifiedRules);
      return errors.length > 0 ? { errors } : { document };
    } catch (error) {
      if (error instanceof GraphQLError) return { errors: [error] };
      // Deep nesting exhausts the parser's stack: the document's fault, not the server's.
      return { errors: [new GraphQLError('Syntax Error: the document cannot be read.')] };
    }
  }
}
