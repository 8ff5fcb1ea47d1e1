import { createHash } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { gzipSync } from 'node:zlib';
import Negotiator from 'negotiator';
import { SAFE_HEADERS } from './safe-headers.ts';

/** What the build has not compressed is compressed when it is made, up to so many bytes. */
const MOST_COMPRESSED_BYTES = 65_536;

/** A page in the codings that it is kept in, by their names in `Content-Encoding`. */
export interface PageBodies {
  readonly identity: Buffer;
  readonly br?: Buffer | undefined;
  readonly gzip?: Buffer | undefined;
}

/** How a page is to be treated. */
export interface PageOptions {
  /** Its content security policy, where it is a document. */
  readonly policy?: string;
}

/** Something that is served as it is, in whichever coding its client takes. */
export class Page {
  readonly #headers: Readonly<Record<string, string>> & { readonly vary: string };
  readonly #bodies: PageBodies;
  readonly #codings: readonly (keyof PageBodies)[];
  readonly #tag: string;

  constructor({ identity, br, gzip }: PageBodies, type: string, { policy }: PageOptions = {}) {
    const isSmall = identity.length <= MOST_COMPRESSED_BYTES;
    const bodies = { identity, br, gzip: gzip ?? (isSmall ? gzipSync(identity) : undefined) };
    this.#bodies = bodies;
    this.#codings = (['br', 'gzip', 'identity'] as const).filter((name) => bodies[name]);
    this.#tag = `"${createHash('sha256').update(identity).digest('base64url').slice(0, 22)}"`;
    this.#headers = {
      ...SAFE_HEADERS,
      'content-type': type,
      'cache-control': 'no-cache',
      vary: 'Accept-Encoding',
      ...(policy === undefined ? {} : { 'content-security-policy': policy }),
    };
  }

  /** Sends it, shortened where the client takes that, or tells that it has not changed. */
  send(request: IncomingMessage, response: ServerResponse): void {
    // The shortest that is taken at all, for clients like all that they name alike.
    const taken = new Negotiator(request).encodings([...this.#codings]);
    const coding = this.#codings.find((name) => taken.includes(name));
    if (coding === undefined) {
      const { vary } = this.#headers;
      const type = 'text/plain; charset=utf-8';
      response.writeHead(406, { ...SAFE_HEADERS, 'content-type': type, vary });
      response.end(`expected accept-encoding to allow one of ${this.#codings.join(', ')}\n`);
      return;
    }
    const body = this.#bodies[coding] ?? this.#bodies.identity;
    // Other bytes are another representation: a cache must not take one for the other.
    const tag = coding === 'identity' ? this.#tag : `${this.#tag.slice(0, -1)}-${coding}"`;
    const headers = { ...this.#headers, etag: tag };
    if (tagsIn(request.headers['if-none-match']).includes(tag)) {
      response.writeHead(304, headers).end();
      return;
    }
    response.writeHead(200, {
      ...headers,
      'content-length': body.length,
      ...(coding === 'identity' ? {} : { 'content-encoding': coding }),
    });
    response.end(request.method === 'HEAD' ? undefined : body);
  }
}

function tagsIn(header: string | undefined): string[] {
  return (header ?? '').split(',').map((tag) => tag.trim().replace(/^W\//, ''));
}
