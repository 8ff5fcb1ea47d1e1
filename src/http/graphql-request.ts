import type { IncomingMessage } from 'node:http';
import type { VariableValues } from '../render/selection.ts';

/** A GraphQL request as HTTP carries it. */
export interface GraphqlRequest {
  readonly query: string | undefined;
  readonly operationName: string | undefined;
  readonly variables: VariableValues | undefined;
  readonly extensions: Readonly<Record<string, unknown>> | undefined;
  readonly documentId: unknown;
}

/**
 * Reads a request from its query or its JSON body.
 *
 * @returns `undefined` where it is in no form that is well known; graphql-yoga then says what is wrong
 */
export function readGraphqlRequest(
  request: IncomingMessage,
  body: string | undefined,
): GraphqlRequest | undefined {
  try {
    if (request.method === 'GET') return fromQuery(request.url ?? '');
    const type = request.headers['content-type'] ?? '';
    if (request.method !== 'POST' || !/^application\/json\b/i.test(type)) return undefined;
    return fromObject(JSON.parse(body ?? ''));
  } catch {
    return undefined;
  }
}

function fromQuery(url: string): GraphqlRequest | undefined {
  const query = url.indexOf('?');
  if (query === -1) return undefined;
  const parameters = new URLSearchParams(url.slice(query));
  const json = (name: string) => {
    const text = parameters.get(name);
    return text === null || text === '' ? undefined : JSON.parse(text);
  };
  return fromObject({
    query: parameters.get('query') ?? undefined,
    operationName: parameters.get('operationName') ?? undefined,
    variables: json('variables'),
    extensions: json('extensions'),
    documentId: parameters.get('documentId') ?? undefined,
  });
}

function fromObject(value: unknown): GraphqlRequest | undefined {
  if (!isRecord(value)) return undefined;
  const { query, operationName, variables, extensions, documentId } = value;
  const wellFormed =
    isMissingOr(query, (given) => typeof given === 'string') &&
    isMissingOr(operationName, (given) => typeof given === 'string') &&
    isMissingOr(variables, isRecord) &&
    isMissingOr(extensions, isRecord);
  if (!wellFormed) return undefined;
  return {
    query: (query ?? undefined) as string | undefined,
    operationName: (operationName || undefined) as string | undefined,
    variables: (variables ?? undefined) as VariableValues | undefined,
    extensions: (extensions ?? undefined) as Record<string, unknown> | undefined,
    documentId,
  };
}

function isMissingOr(value: unknown, holds: (value: unknown) => boolean): boolean {
  return value === undefined || value === null || holds(value);
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
