import type { IncomingHttpHeaders } from 'node:http';

/**
 * The headers that an operation over a WebSocket came with. A browser cannot set headers on a
 * handshake, so clients send them in the payload of `connection_init`, and GraphiQL sends those of its
 * headers tab with each operation, as `extensions.headers`. The later source wins.
 */
export function operationHeaders(
  handshake: IncomingHttpHeaders,
  connectionParams: Readonly<Record<string, unknown>> | undefined,
  extensions: Readonly<Record<string, unknown>> | null | undefined,
): Headers {
  const headers = new Headers();
  const graphiql = extensions?.['headers'];
  for (const source of [handshake, connectionParams, isRecord(graphiql) ? graphiql : undefined]) {
    for (const [name, value] of Object.entries(source ?? {})) {
      if (typeof value === 'string') setIfValid(headers, name, value);
    }
  }
  return headers;
}

/** Payloads hold more than headers: a name or value that HTTP does not allow is none. */
function setIfValid(headers: Headers, name: string, value: string): void {
  try {
    headers.set(name, value);
  } catch {}
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}
