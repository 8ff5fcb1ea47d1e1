import { isUtf8 } from 'node:buffer';
import type { IncomingMessage } from 'node:http';
import { HttpFault } from './http-fault.ts';

/** What is first set aside for a body whose length nobody says, in bytes. */
const FIRST_BYTES = 1_024;

/** The client has gone before its request was complete: nobody is left to answer. */
export class ClientGone extends Error {
  override readonly name = 'ClientGone';
}

/**
 * Reads the body of a request into one buffer, however many pieces it comes in.
 *
 * @throws HttpFault 413 where it is longer than `maxBytes`, 400 where it is not UTF-8
 * @throws ClientGone
 */
export async function readBody(request: IncomingMessage, maxBytes: number): Promise<string> {
  const announced = Number(request.headers['content-length'] ?? FIRST_BYTES);
  if (announced > maxBytes) throw tooLong(maxBytes);
  let body = Buffer.allocUnsafe(announced);
  let bytes = 0;
  try {
    // Leaving the loop must not cut the connection that the answer goes over.
    for await (const chunk of request.iterator({
      destroyOnReturn: false,
    }) as AsyncIterable<Buffer>) {
      const needed = bytes + chunk.length;
      if (needed > maxBytes) throw tooLong(maxBytes);
      if (needed > body.length) {
        const wider = Buffer.allocUnsafe(Math.min(maxBytes, Math.max(needed, 2 * body.length)));
        wider.set(body.subarray(0, bytes));
        body = wider;
      }
      body.set(chunk, bytes);
      bytes = needed;
    }
  } catch (error) {
    throw error instanceof HttpFault ? error : new ClientGone();
  }
  const read = body.subarray(0, bytes);
  if (!isUtf8(read)) throw new HttpFault(400, 'expected a body in UTF-8, got other bytes');
  return read.toString('utf8');
}

/** What is still on its way is not read: the connection cannot be used again. */
function tooLong(maxBytes: number): HttpFault {
  return new HttpFault(413, `expected a body of at most ${maxBytes} bytes`, {
    connection: 'close',
  });
}
