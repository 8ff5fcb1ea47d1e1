import { readFileSync } from 'node:fs';
import { type GraphQLError, type GraphQLSchema, parse, validate } from 'graphql';
import { errorText, SettingFault } from '../access/refused.ts';
import { codedError } from '../schema/errors/coded-error.ts';
import type { OperationRequest } from './operation-request.ts';

/**
 * The documents that may be executed, where not every one may: a map of hashes to documents, asked for
 * in the form that Apollo's and urql's persisted queries have, by `documentId`, or by their own text.
 */
export class TrustedDocuments {
  readonly #byHash: ReadonlyMap<string, string>;
  readonly #texts: ReadonlySet<string>;

  /** @param documents documents by their hashes */
  constructor(documents: Readonly<Record<string, string>>) {
    this.#byHash = new Map(
      Object.entries(documents).map(([hash, text]) => [hash.replace(/^sha256:/, ''), text]),
    );
    this.#texts = new Set(this.#byHash.values());
  }

  /** @throws SettingFault where the file cannot be used */
  static read(path: string, schema: GraphQLSchema): TrustedDocuments {
    const fault = (got: string) =>
      new SettingFault('TRUSTED_DOCUMENTS', `expected a JSON map of hash to document, got ${got}`);
    let documents: unknown;
    try {
      documents = JSON.parse(readFileSync(path, 'utf8'));
    } catch (error) {
      throw fault(errorText(error));
    }
    if (typeof documents !== 'object' || documents === null || Array.isArray(documents)) {
      throw fault('something else');
    }
    const wrong = Object.entries(documents).find(([, text]) => typeof text !== 'string');
    if (wrong !== undefined) throw fault(`no document for ${JSON.stringify(wrong[0])}`);
    for (const [hash, text] of Object.entries(documents as Record<string, string>)) {
      const [error] = faultsOf(text, schema);
      if (error !== undefined) throw fault(`${JSON.stringify(hash)} with: ${error.message}`);
    }
    return new TrustedDocuments(documents as Record<string, string>);
  }

  /** The document asked for. @throws GraphQLError where it is not among those trusted */
  documentOf(request: OperationRequest): string {
    const hash = hashOf(request);
    const named = hash === undefined ? undefined : this.#byHash.get(hash);
    if (named !== undefined) return named;
    const { query } = request;
    if (hash === undefined && query && this.#texts.has(query)) return query;
    throw codedError('UNKNOWN_DOCUMENT', 'expected one of the documents that this gateway trusts');
  }
}

function faultsOf(text: string, schema: GraphQLSchema): readonly GraphQLError[] {
  try {
    return validate(schema, parse(text));
  } catch (error) {
    return [error as GraphQLError];
  }
}

/** The hash that a request names its document by; `undefined` where it names none. */
export function hashOf({ documentId, extensions }: OperationRequest): string | undefined {
  const persisted = extensions?.['persistedQuery'];
  const hash =
    typeof persisted === 'object' && persisted !== null && 'sha256Hash' in persisted
      ? persisted.sha256Hash
      : documentId;
  return typeof hash === 'string' ? hash.replace(/^sha256:/, '') : undefined;
}
