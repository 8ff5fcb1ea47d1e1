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
  const body = await gather(request, Buffer.allocUnsafe(announced), maxBytes);
  if (!isUtf8(body)) throw new HttpFault(400, 'expected a body in UTF-8, got other bytes');
  return body.toString('utf8');
}

/** By events: an iterator over the request would take as long as everything else that is done for one. */
function gather(request: IncomingMessage, first: Buffer, maxBytes: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    let body = first;
    let bytes = 0;
    const settle = () => {
      request.off('data', take).off('end', end).off('close', gone).off('error', gone);
    };
    const take = (chunk: Buffer) => {
      const needed = bytes + chunk.length;
      if (needed > maxBytes) {
        settle();
        request.pause();
        reject(tooLong(maxBytes));
        return;
      }
      if (needed > body.length) {
        const wider = Buffer.allocUnsafe(Math.min(maxBytes, Math.max(needed, 2 * body.length)));
        wider.set(body.subarray(0, bytes));
        body = wider;
      }
      body.set(chunk, bytes);
      bytes = needed;
    };
    const end = () => {
      settle();
      resolve(body.subarray(0, bytes));
    };
    const gone = () => {
      settle();
      reject(new ClientGone());
    };
    request.on('data', take).on('end', end).on('close', gone).on('error', gone);
    if (request.destroyed) gone();
  });
}

/** What is still on its way is not read: the connection cannot be used again. */
function tooLong(maxBytes: number): HttpFault {
  return new HttpFault(413, `expected a body of at most ${maxBytes} bytes`, {
    connection: 'close',
  });
}
