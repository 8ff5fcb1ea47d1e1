import type { ServerResponse } from 'node:http';
import type { GraphQLError } from 'graphql';

/** Answers with JSON that nobody may keep. */
export function sendJson(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, {
    'content-type': 'application/json; charset=utf-8',
    'cache-control': 'no-store',
  });
  response.end(`${JSON.stringify(body)}\n`);
}

/** Answers a GraphQL request that is not executed. */
export function sendError(response: ServerResponse, status: number, error: GraphQLError): void {
  if (response.headersSent) {
    response.destroy();
    return;
  }
  sendJson(response, status, { errors: [error.toJSON()] });
}
