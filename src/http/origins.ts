import type { IncomingMessage } from 'node:http';
import type { ClientAddresses } from './client-address.ts';

const PREFLIGHT_MAX_AGE_S = 600;
const ALLOWED_HEADERS =
  'authorization, content-type, accept, x-request-id, x-graphql-event-stream-token, apollo-require-preflight';

/** Which web pages may use the gateway: its own, and those of the origins it was told. */
export class Origins {
  readonly #allowed: ReadonlySet<string>;
  readonly #addresses: ClientAddresses;

  /** @param allowed origins such as `https://app.example.com`; `*` for every page */
  constructor(allowed: readonly string[], addresses: ClientAddresses) {
    this.#allowed = new Set(allowed);
    this.#addresses = addresses;
  }

  /**
   * Whether the page that a request comes from may make it. What comes from no page at all, as from an
   * app or a script, may; so may somebody who follows a link from another page.
   */
  allow(request: IncomingMessage): boolean {
    const { origin } = request.headers;
    if (origin !== undefined) return this.#isAllowed(origin) || this.#isOwn(origin, request);
    if (request.headers['sec-fetch-site'] !== 'cross-site') return true;
    return request.headers['sec-fetch-mode'] === 'navigate' || this.#allowed.has('*');
  }

  /** The headers that let a page of another origin read the answer. No cookie is ever used. */
  headers(request: IncomingMessage): Record<string, string> {
    const { origin } = request.headers;
    const vary = { vary: 'Origin' };
    if (origin === undefined || !this.#isAllowed(origin)) return vary;
    return {
      ...vary,
      'access-control-allow-origin': origin,
      'access-control-expose-headers': 'retry-after, x-request-id',
      ...(request.method === 'OPTIONS'
        ? {
            'access-control-allow-methods': 'GET, POST, PUT, DELETE, OPTIONS',
            'access-control-allow-headers': ALLOWED_HEADERS,
            'access-control-max-age': String(PREFLIGHT_MAX_AGE_S),
          }
        : {}),
    };
  }

  #isAllowed(origin: string): boolean {
    return this.#allowed.has('*') || this.#allowed.has(origin);
  }

  #isOwn(origin: string, request: IncomingMessage): boolean {
    const host = this.#addresses.hostOf(request);
    return (
      host !== undefined && URL.canParse(origin) && new URL(origin).host === host.toLowerCase()
    );
  }
}
