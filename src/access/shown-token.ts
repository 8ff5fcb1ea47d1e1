import type { IncomingHttpHeaders } from 'node:http';
import { bearerToken } from './authenticator.ts';

type Payload = Readonly<Record<string, unknown>> | null | undefined;

/** The token in the headers of a request. */
export function tokenOfHeaders(headers: IncomingHttpHeaders): string | undefined {
  return bearerToken(headers.authorization);
}

/**
 * The token in the payload of `connection_init`, as `Authorization` or `authorization`, by itself or
 * among `headers`: a browser cannot set headers on a handshake.
 */
export function tokenOfInit(payload: Payload): string | undefined {
  return authorizationIn(payload) ?? authorizationIn(recordIn(payload, 'headers'));
}

/** The token that GraphiQL sends with each operation: its headers tab, as `extensions.headers`. */
export function tokenOfOperation(extensions: Payload): string | undefined {
  return authorizationIn(recordIn(extensions, 'headers'));
}

function authorizationIn(payload: Payload): string | undefined {
  for (const [name, value] of Object.entries(payload ?? {})) {
    if (name.toLowerCase() === 'authorization' && typeof value === 'string') {
      return bearerToken(value);
    }
  }
  return undefined;
}

function recordIn(payload: Payload, name: string): Payload {
  const value = payload?.[name];
  return typeof value === 'object' && value !== null ? (value as Payload) : undefined;
}
