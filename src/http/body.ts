import { isUtf8 } from 'node:buffer';
import type { IncomingMessage } from 'node:http';
import { CollectedBytes } from '../lib/collected-bytes.ts';
import { HttpFault } from './http-fault.ts';

/** What is first set aside for a body whose length nobody says, in bytes. */
const FIRST_BYTES = 1_024;
/** In how many pieces a body may come: each takes more than a microsecond, however short it is. */
const MOST_PIECES = 16_384;

/** The client has gone before its request was complete: nobody is left to answer. */
export class ClientGone extends Error {
  override readonly name = 'ClientGone';
}

/**
 * Reads the body of a request into one buffer, however many pieces it comes in: each piece when it comes, for
 * a stream that is read less eagerly keeps thousands of them.
 *
 * @throws HttpFault 413 where it is longer than `maxBytes` or in too many pieces, 400 where it is not UTF-8
 * @throws ClientGone
 */
export async function readBody(request: IncomingMessage, maxBytes: number): Promise<string> {
  const announced = Number(request.headers['content-length'] ?? FIRST_BYTES);
  if (announced > maxBytes) throw tooMuch(`${maxBytes} bytes`);
  const body = new CollectedBytes(announced, maxBytes);
  let pieces = 0;
  await new Promise<void>((resolve, reject) => {
    const take = (piece: Buffer) => {
      const isTooLong = body.length + piece.length > maxBytes;
      if (isTooLong || ++pieces > MOST_PIECES) {
        // Not destroyed: the answer goes over the same connection.
        request.off('data', take).pause();
        reject(tooMuch(isTooLong ? `${maxBytes} bytes` : `${MOST_PIECES} pieces`));
      } else body.add(piece);
    };
    const gone = () => reject(new ClientGone());
    request.on('error', gone).on('close', gone).on('end', resolve).on('data', take);
    if (request.destroyed) gone();
  });
  if (!isUtf8(body.bytes)) throw new HttpFault(400, 'expected a body in UTF-8, got other bytes');
  return body.bytes.toString('utf8');
}

/** What is still on its way is not read: the connection cannot be used again. */
function tooMuch(most: string): HttpFault {
  return new HttpFault(413, `expected a body of at most ${most}`, { connection: 'close' });
}
