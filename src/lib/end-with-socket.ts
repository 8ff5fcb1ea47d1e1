import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

/** The responses that end with each connection. */
const responsesOf = new WeakMap<Socket, Set<ServerResponse>>();

/**
 * Ends a response with its connection. Node does so by itself for the response whose turn it is; those of
 * requests behind it in a pipeline would neither close nor be written, and whoever waits for their end would
 * wait for ever.
 */
export function endWithSocket(response: ServerResponse): void {
  const { socket } = response.req;
  if (socket.destroyed) {
    end(response);
    return;
  }
  let responses = responsesOf.get(socket);
  if (responses === undefined) {
    const ending = new Set<ServerResponse>();
    socket.once('close', () => {
      for (const one of ending) end(one);
    });
    responses = ending;
    responsesOf.set(socket, responses);
  }
  responses.add(response);
  response.once('close', () => responses.delete(response));
}

/** Does what Node does for a response that has a socket; of one that has none it tells nobody. */
function end(response: ServerResponse): void {
  response.destroy();
  response.emit('close');
}
