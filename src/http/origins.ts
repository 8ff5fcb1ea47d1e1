import type { IncomingMessage } from 'node:http';
import type { ClientAddresses } from '../listener/client-address.ts';
import { METHODS } from './graphql-request.ts';

const PREFLIGHT_MAX_AGE_S = 600;
/** How many headers a preflight may ask for, and how long a header's name may be, in characters. */
const MOST_HEADERS = 50;
const HEADER_NAME = /^[\w!#$%&'*+.^`|~-]{1,100}$/;
/**
 * No cookie is ever used, so that no page can act with what a browser has kept of somebody. Where a request
 * comes from only proxies may say, and what is the browser's own no page sets.
 */
const NEVER_ALLOWED =
  /^(?:(?:set-)?cookie2?|forwarded|x-forwarded-.*|x-real-ip|host|origin|referer|connection|upgrade|keep-alive|te|trailer|transfer-encoding|content-length|access-control-.*|proxy-.*|sec-.*)$/;
/** A host as it stands in `Host`: nothing that could be read as another part of a URL. */
const HOST = /^(?:\[[0-9a-f:.]+\]|[^\s/?#@\\:[\]]+)(?::\d*)?$/i;
/** An origin as browsers send it: no path, no user. */
const ORIGIN = /^https?:\/\/[^\s/?#@\\]+$/i;

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

  /**
   * The headers that let a page of another origin read the answer.
   *
   * @param methods those that a page may ask with, as headers list them
   */
  headers(request: IncomingMessage, methods = METHODS): Record<string, string> {
    const { origin } = request.headers;
    const isPreflight = request.method === 'OPTIONS';
    const vary = {
      vary: isPreflight ? 'Origin, Access-Control-Request-Headers' : 'Origin',
    };
    if (origin === undefined || !this.#isAllowed(origin)) return vary;
    const asked = askedHeaders(request);
    return {
      ...vary,
      'access-control-allow-origin': origin,
      'access-control-expose-headers': 'retry-after, x-request-id',
      ...(isPreflight && {
        'access-control-allow-methods': methods,
        'access-control-max-age': String(PREFLIGHT_MAX_AGE_S),
        ...(asked !== '' && { 'access-control-allow-headers': asked }),
      }),
    };
  }

  #isAllowed(origin: string): boolean {
    return this.#allowed.has('*') || this.#allowed.has(origin);
  }

  /**
   * The port that goes with an origin's scheme need not be named, on either side. Where a proxy that is
   * believed says that its client came by TLS, a page that did not is another one.
   */
  #isOwn(origin: string, request: IncomingMessage): boolean {
    const host = this.#addresses.hostOf(request);
    if (host === undefined || !HOST.test(host)) return false;
    if (!ORIGIN.test(origin) || !URL.canParse(origin)) return false;
    const { protocol, host: originHost } = new URL(origin);
    if (protocol === 'http:' && this.#addresses.protocolOf(request) === 'https') return false;
    const own = `${protocol}//${host}`;
    return URL.canParse(own) && new URL(own).host === originHost;
  }
}

/** What a preflight asks for, as far as any header may be sent. */
function askedHeaders({ headers }: IncomingMessage): string {
  const asked = String(headers['access-control-request-headers'] ?? '').split(',', MOST_HEADERS);
  const names = asked.map((name) => name.trim().toLowerCase());
  return names.filter((name) => HEADER_NAME.test(name) && !NEVER_ALLOWED.test(name)).join(', ');
}
