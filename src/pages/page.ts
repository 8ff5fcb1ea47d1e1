import { createHash } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { gzipSync } from 'node:zlib';
import { SAFE_HEADERS } from './safe-headers.ts';

/** Something that browsers are served: made once, sent as it is. */
export class Page {
  readonly #headers: Readonly<Record<string, string>>;
  readonly #body: Buffer;
  /** Made when the first browser asks for it: a large page takes a while. */
  #zipped: Buffer | undefined;
  readonly #tag: string;

  /**
   * @param policy its content security policy, where it is a document
   * @param cacheSeconds for how long it may be kept without being asked for again
   */
  constructor(body: Buffer, type: string, policy?: string, cacheSeconds = 0) {
    this.#body = body;
    this.#tag = `"${createHash('sha256').update(body).digest('base64url').slice(0, 22)}"`;
    this.#headers = {
      ...SAFE_HEADERS,
      'content-type': type,
      'cache-control': cacheSeconds > 0 ? `public, max-age=${cacheSeconds}, immutable` : 'no-cache',
      etag: this.#tag,
      vary: 'Accept-Encoding',
      ...(policy === undefined ? {} : { 'content-security-policy': policy }),
    };
  }

  /** Sends it, shortened where the browser allows that, or tells that it has not changed. */
  send(request: IncomingMessage, response: ServerResponse): void {
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      response.writeHead(405, { ...SAFE_HEADERS, allow: 'GET, HEAD' }).end();
      return;
    }
    if (request.headers['if-none-match'] === this.#tag) {
      response.writeHead(304, this.#headers).end();
      return;
    }
    const zip = /\bgzip\b/.test(String(request.headers['accept-encoding'] ?? ''));
    if (zip) this.#zipped ??= gzipSync(this.#body);
    const body = (zip ? this.#zipped : undefined) ?? this.#body;
    response.writeHead(200, {
      ...this.#headers,
      'content-length': body.length,
      ...(zip ? { 'content-encoding': 'gzip' } : {}),
    });
    response.end(request.method === 'HEAD' ? undefined : body);
  }
}

/** The hashes by which a policy allows the scripts that stand in a document. */
export function scriptHashes(html: string): string {
  const scripts = [...html.matchAll(/<script\b[^>]*>([\s\S]*?)<\/script>/g)];
  return scripts
    .map(([, text = '']) => `'sha256-${createHash('sha256').update(text).digest('base64')}'`)
    .join(' ');
}
