/**
 * Where IME's endpoints are and how one asks for contracts there: paths, parameters, header.
 * Source: `ime-live-data-api.md`, the API document of the HedgeTech IME Live Data service.
 */
import {
  type ContractKey,
  contractKey,
  contractTextOf,
  type KeySpace,
} from '../../contract/key.ts';

/** IME's endpoint of each key space. */
export const ENDPOINT: Record<KeySpace, { path: string; parameter: string; field: string }> = {
  name: {
    path: '/live/data/websocket/contract/name',
    parameter: 'contract_name',
    field: 'contractName',
  },
  id: { path: '/live/data/websocket/contract/id', parameter: 'contract_id', field: 'ContractId' },
};

/** The close code of a refusal, for a bad token and an unknown contract alike. */
export const REFUSED_CLOSE_CODE = 1008;

/** Reads an `IME_URL`: `https` means `wss`, `http` means `ws`, a slash at the end means nothing. */
export function imeBaseUrl(service: URL | string): URL {
  const url = new URL(service);
  url.protocol = url.protocol.replace(/^http/, 'ws');
  url.pathname = url.pathname.replace(/\/+$/, '');
  return url;
}

/** The URL that subscribes to `keys`, all of one key space, in the order given. */
export function subscriptionUrl(base: URL, space: KeySpace, keys: Iterable<ContractKey>): string {
  const parameters: string[] = [];
  for (const key of keys) parameters.push(parameterOf(space, key));
  const origin = `${base.protocol}//${base.host}`;
  return `${origin}${endpointPath(base, space)}?${parameters.join('&')}`;
}

/** Bytes of the request target (path and `?`) that a subscription has before its first contract. */
export function emptyTargetBytes(base: URL, space: KeySpace): number {
  return endpointPath(base, space).length + 1;
}

/** Bytes that `key` adds to a request target, its `&` included. */
export function contractTargetBytes(space: KeySpace, key: ContractKey): number {
  return parameterOf(space, key).length + 1;
}

/** How a token stands in its header: behind `Bearer`, or alone. */
export type AuthorizationForm = 'bearer' | 'raw';

/** The header that carries the access token in the handshake. */
export function authorizationHeader(
  token: string,
  form: AuthorizationForm,
): Record<string, string> {
  return { authorization: form === 'bearer' ? `Bearer ${token}` : token };
}

/** The token of an `Authorization` header, and its form; `undefined` where there is none. */
export function tokenIn(
  header: string | undefined,
): { readonly token: string; readonly form: AuthorizationForm } | undefined {
  if (header === undefined) return undefined;
  const behind = /^Bearer (.+)$/i.exec(header)?.[1];
  return behind === undefined ? { token: header, form: 'raw' } : { token: behind, form: 'bearer' };
}

/** What a client asks for by its request target; `undefined` where the path is none of ours. */
export function parseSubscriptionTarget(
  target: string,
  basePath: string,
): { space: KeySpace; keys: ContractKey[] } | undefined {
  if (!URL.canParse(target, 'ws://ime.invalid')) return undefined;
  const { pathname, searchParams } = new URL(target, 'ws://ime.invalid');
  for (const space of ['name', 'id'] as const) {
    if (pathname !== basePath + ENDPOINT[space].path) continue;
    const texts = searchParams.getAll(ENDPOINT[space].parameter);
    return { space, keys: texts.map((text) => contractKey(space, text)) };
  }
  return undefined;
}

function endpointPath(base: URL, space: KeySpace): string {
  return (base.pathname === '/' ? '' : base.pathname) + ENDPOINT[space].path;
}

function parameterOf(space: KeySpace, key: ContractKey): string {
  return `${ENDPOINT[space].parameter}=${encodeURIComponent(contractTextOf(key))}`;
}
