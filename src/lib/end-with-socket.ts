import type { ServerResponse } from 'node:http';

/**
 * Ends a response with its connection. Node does so by itself for the response whose turn it is; those of
 * requests behind it in a pipeline would neither close nor be written, and whoever waits for their end would
 * wait for ever.
 */
export function endWithSocket(response: ServerResponse): void {
  const { socket } = response.req;
  const end = () => response.destroy();
  socket.once('close', end);
  response.once('close', () => socket.off('close', end));
}
