import type { IncomingMessage } from 'node:http';
import { GraphQLError } from 'graphql';
import { type OperationRequest, readOperationRequest } from '../documents/operation-request.ts';
import { parseExactJson } from '../lib/exact-json.ts';
import { codedError, type ErrorCode } from '../schema/errors/coded-error.ts';
import { HttpFault } from './http-fault.ts';

/** The methods that GraphQL is asked with, as headers list them. */
export const METHODS = 'GET, HEAD, POST, OPTIONS';

/**
 * Refuses what no body can make a GraphQL request of: another method, and a body in another form than JSON.
 *
 * @throws HttpFault
 */
export function checkRequestForm({ method, headers }: IncomingMessage): void {
  if (method === 'GET' || method === 'HEAD') return;
  if (method !== 'POST') {
    const message = `expected one of the methods ${METHODS}, got ${method}`;
    throw new HttpFault(405, message, { allow: METHODS });
  }
  const coding = headers['content-encoding']?.trim().toLowerCase();
  if (coding === undefined && headers['content-type'] === 'application/json') return;
  if (coding !== undefined && coding !== '' && coding !== 'identity') {
    throw new HttpFault(415, 'expected a body without content-encoding', {
      'accept-encoding': 'identity',
    });
  }
  const [type = '', ...parameters] = (headers['content-type'] ?? '').toLowerCase().split(';');
  const charset = parameters
    .map((parameter) => /^\s*charset\s*=\s*"?([^"\s]*)"?\s*$/.exec(parameter)?.[1])
    .find((given) => given !== undefined);
  if (type.trim() !== 'application/json' || !['utf-8', 'utf8', undefined].includes(charset)) {
    const message = 'expected content-type application/json in UTF-8';
    throw new HttpFault(415, message, { accept: 'application/json' });
  }
}

/**
 * Reads a GraphQL request: the query of a GET, the JSON body of a POST.
 *
 * @throws HttpFault where it cannot be read
 */
export function readGraphqlRequest(
  request: IncomingMessage,
  body: string | undefined,
): OperationRequest {
  try {
    const isPost = body !== undefined;
    return readOperationRequest(isPost ? json('the body', body, 'BAD_REQUEST') : inTarget(request));
  } catch (error) {
    if (error instanceof GraphQLError) throw new HttpFault(400, error);
    throw error;
  }
}

/** @throws GraphQLError where a parameter is not the JSON that it should be */
function inTarget({ url = '' }: IncomingMessage): unknown {
  const query = url.indexOf('?');
  const parameters = new URLSearchParams(query === -1 ? '' : url.slice(query));
  const parsed = (name: string, code: ErrorCode) => {
    const text = parameters.get(name);
    return text === null || text === '' ? undefined : json(name, text, code);
  };
  return {
    query: parameters.get('query'),
    operationName: parameters.get('operationName'),
    variables: parsed('variables', 'BAD_USER_INPUT'),
    extensions: parsed('extensions', 'BAD_REQUEST'),
    documentId: parameters.get('documentId'),
  };
}

function json(what: string, text: string, code: ErrorCode): unknown {
  try {
    return parseExactJson(text);
  } catch {
    throw codedError(code, `${what}: expected JSON, got something else`);
  }
}
