import type { IncomingMessage, ServerResponse } from 'node:http';

/**
 * Reads the body of a request up to a bound and leaves it where graphql-yoga looks for a body that has
 * been read already: in the request's `body`.
 *
 * @returns whether the request is to be answered; otherwise it has been, with 413, or its client is gone
 */
export async function readBody(
  request: IncomingMessage & { body?: string },
  response: ServerResponse,
  maxBytes: number,
): Promise<boolean> {
  if (request.method === 'GET' || request.method === 'HEAD') return true;
  const chunks: Buffer[] = [];
  let bytes = Number(request.headers['content-length'] ?? 0);
  if (!(bytes > maxBytes)) {
    bytes = 0;
    try {
      for await (const chunk of request as AsyncIterable<Buffer>) {
        bytes += chunk.length;
        if (bytes > maxBytes) break;
        chunks.push(chunk);
      }
    } catch {
      return false;
    }
  }
  if (bytes > maxBytes) {
    const message = `expected a body of at most ${maxBytes} bytes`;
    const extensions = { code: 'BAD_USER_INPUT' };
    // What is still on its way is not read: the connection cannot be used again.
    response.writeHead(413, { 'content-type': 'application/json', connection: 'close' });
    response.end(JSON.stringify({ errors: [{ message, extensions }] }), () => request.destroy());
    return false;
  }
  request.body = Buffer.concat(chunks).toString('utf8');
  return true;
}
