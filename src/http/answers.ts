import type { IncomingMessage, ServerResponse } from 'node:http';
import type { GraphQLError } from 'graphql';
import { AccessRefused, AccessUnavailable } from '../access/refused.ts';
import type { Logger } from '../observability/log.ts';
import { clientErrors, codeOf } from '../operation/client-error.ts';
import { preferredMediaType } from './accept.ts';
import { HttpFault } from './http-fault.ts';

/** The media type of answers that do not stream, as GraphQL over HTTP has them; the older one first. */
export const RESULT_TYPES = ['application/json', 'application/graphql-response+json'] as const;

/** Answers with JSON that nobody may keep. */
export function sendJson(
  response: ServerResponse,
  status: number,
  body: unknown,
  type = 'application/json',
): void {
  response.writeHead(status, {
    'content-type': `${type}; charset=utf-8`,
    'cache-control': 'no-store',
  });
  response.end(`${JSON.stringify(body)}\n`);
}

/** Answers a GraphQL request that is not executed, always as JSON: no stream has anything to tell then. */
export function sendRefusal(
  request: IncomingMessage,
  response: ServerResponse,
  thrown: unknown,
  log: Logger,
): void {
  if (response.headersSent || response.destroyed) {
    response.destroy();
    return;
  }
  const fault = thrown instanceof HttpFault ? thrown : undefined;
  const errors = clientErrors(fault?.error ?? thrown, log);
  const type = preferredMediaType(request.headers.accept, RESULT_TYPES);
  const status = fault?.status ?? statusOf(thrown, errors[0], type === 'application/json');
  for (const [name, value] of Object.entries(fault?.headers ?? {})) response.setHeader(name, value);
  if (status === 401) response.setHeader('www-authenticate', 'Bearer');
  if (status === 429 || status === 503) response.setHeader('retry-after', '1');
  sendJson(response, status, { errors: errors.map((error) => error.toJSON()) }, type);
  // A body that is not read to its end leaves a connection on which nothing else can come.
  if (fault?.headers['connection'] === 'close') response.once('finish', () => request.destroy());
}

/**
 * @param lenient whether the client takes the older media type, in which a request that can be read is
 *   answered with 200. Source: GraphQL over HTTP, section 6.4.1.
 */
function statusOf(thrown: unknown, error: GraphQLError | undefined, lenient: boolean): number {
  if (thrown instanceof AccessUnavailable) return 503;
  if (thrown instanceof AccessRefused) return 401;
  switch (error && codeOf(error)) {
    case 'UNAUTHENTICATED':
      return 401;
    case 'FORBIDDEN':
      return 403;
    case 'RATE_LIMITED':
      return 429;
    case 'SERVICE_RESTARTING':
      return 503;
    case 'INTERNAL_SERVER_ERROR':
      return 500;
    case 'BAD_REQUEST':
      return 400;
    default:
      return lenient ? 200 : 400;
  }
}
