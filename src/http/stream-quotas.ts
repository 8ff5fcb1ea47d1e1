import type { ConnectionQuota } from '../access/quota.ts';

const TOKEN_HEADER = 'x-graphql-event-stream-token';

/**
 * The quotas of graphql-sse's single-connection streams, by the token that ties the operations, which come
 * as requests of their own, to their stream.
 */
export class StreamQuotas {
  readonly #quotas = new Map<string, ConnectionQuota>();

  /** The quota of the stream that a request belongs to; `undefined` where it is not open. */
  of(headers: Headers, url: string): ConnectionQuota | undefined {
    const token = headers.get(TOKEN_HEADER) ?? tokenIn(url);
    return token === undefined ? undefined : this.#quotas.get(token);
  }

  /** A stream opens. @returns forgets it */
  opened(
    header: string | readonly string[] | undefined,
    url: string,
    quota: ConnectionQuota,
  ): () => void {
    const token = typeof header === 'string' ? header : tokenIn(url);
    if (token === undefined) return () => {};
    this.#quotas.set(token, quota);
    return () => {
      if (this.#quotas.get(token) === quota) this.#quotas.delete(token);
    };
  }
}

function tokenIn(url: string): string | undefined {
  const query = url.indexOf('?');
  if (query === -1) return undefined;
  return new URLSearchParams(url.slice(query)).get('token') ?? undefined;
}
