import { connect } from 'node:net';
import { describe, expect, onTestFinished, test } from 'vitest';
import type { Gateway } from '../src/app/gateway.ts';
import { preferredMediaType } from '../src/http/accept.ts';
import { TestExchange, testGateway, until } from './kit/gateway.ts';

interface RawAnswer {
  readonly status: number;
  readonly headers: string;
  readonly body: string;
}

/**
 * Sends bytes on a connection of its own and reads so many answers, each of a known length.
 *
 * @param later sent a while after the others, so that it comes by itself
 */
function raw(gateway: Gateway, text: string, answers = 1, later?: string): Promise<RawAnswer[]> {
  return new Promise((resolve, reject) => {
    const socket = connect(Number(new URL(gateway.url).port), '127.0.0.1');
    onTestFinished(() => void socket.destroy());
    let read = Buffer.alloc(0);
    const found: RawAnswer[] = [];
    socket.on('error', reject);
    socket.on('data', (chunk) => {
      read = Buffer.concat([read, chunk]);
      for (;;) {
        const end = read.indexOf('\r\n\r\n');
        if (end === -1) break;
        const headers = read.subarray(0, end).toString('latin1');
        const isChunked = /transfer-encoding: chunked/i.test(headers);
        const length = Number(/content-length: (\d+)/i.exec(headers)?.[1] ?? 0);
        const stop = isChunked ? read.indexOf('0\r\n\r\n', end) + 5 : end + 4 + length;
        if (stop < end || read.length < stop) break;
        found.push({
          status: Number(headers.slice(9, 12)),
          headers,
          body: read.subarray(end + 4, stop).toString('utf8'),
        });
        read = read.subarray(stop);
      }
      if (found.length >= answers) resolve(found);
    });
    socket.on('close', () => resolve(found));
    socket.setNoDelay();
    socket.write(text);
    if (later !== undefined) setTimeout(() => socket.write(later), 100);
  });
}

const QUERY = '{"query":"{ __typename }"}';
const post = (headers: string, target = '/graphql') =>
  `POST ${target} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: ${QUERY.length}\r\n${headers}\r\n${QUERY}`;

describe('an offer to upgrade to anything but a WebSocket', () => {
  test.each([
    'Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAA\r\n',
    'Connection: keep-alive, upgrade\r\nUpgrade: H2C\r\n',
    'Connection: Upgrade\r\nUpgrade: TLS/1.0, h2c\r\n',
    'Connection: Upgrade\r\nUpgrade: nonsense\r\n',
  ])('is ignored and the request answered: %j', async (offer) => {
    const gateway = await testGateway();
    const [health] = await raw(gateway, `GET /health HTTP/1.1\r\nHost: x\r\n${offer}\r\n`);
    expect(health?.status).toBe(200);
    const [query] = await raw(gateway, post(offer));
    expect([query?.status, query?.body]).toEqual([200, expect.stringContaining('"Query"')]);
  });

  test('leaves the connection to the requests that follow, and to a body that comes in pieces', async () => {
    const gateway = await testGateway();
    const offer = 'Connection: Upgrade\r\nUpgrade: h2c\r\n';
    const both = await raw(gateway, post(offer) + post('') + post(offer), 3);
    expect(both.map(({ status }) => status)).toEqual([200, 200, 200]);
    const chunked = `POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n${offer}\r\n${QUERY.length.toString(16)}\r\n${QUERY}\r\n0\r\n\r\n`;
    const [answer, next] = await raw(gateway, chunked + post(''), 2);
    expect(answer?.body).toContain('"Query"');
    expect(next?.body).toContain('"Query"');
    const [late] = await raw(gateway, post(offer).slice(0, -5), 1, QUERY.slice(-5));
    expect([late?.status, late?.body]).toEqual([200, expect.stringContaining('"Query"')]);
    const awaited = post(`${offer}Expect: 100-continue\r\n`).slice(0, -QUERY.length);
    const [goOn, after] = await raw(gateway, awaited, 2, QUERY);
    expect([goOn?.status, after?.status]).toEqual([100, 200]);
  });

  test('is ignored where a WebSocket is offered to what is no GET', async () => {
    const gateway = await testGateway();
    const [answer] = await raw(gateway, post('Connection: Upgrade\r\nUpgrade: websocket\r\n'));
    expect([answer?.status, answer?.body]).toEqual([200, expect.stringContaining('"Query"')]);
  });

  test('by a client that is gone before its turn harms nobody', async () => {
    const market = await new TestExchange().listen();
    const gateway = await testGateway({ IME_URL: market.url });
    const quiet = '/graphql?query={contract(name:"nobody",waitMs:30000){id}}';
    const socket = connect(Number(new URL(gateway.url).port), '127.0.0.1');
    const offer = 'Connection: Upgrade\r\nUpgrade: h2c\r\n';
    socket.write(
      `GET ${quiet} HTTP/1.1\r\nHost: x\r\n\r\nGET /health HTTP/1.1\r\n${offer}Host: x\r\n\r\n`,
    );
    await until(() => gateway.report().contracts.PENDING === 1, 'the first request waits');
    socket.resetAndDestroy();
    const begun = connect(Number(new URL(gateway.url).port), '127.0.0.1');
    begun.write(post(offer).slice(0, -5));
    expect((await fetch(`${gateway.url}/health`)).status).toBe(200);
    begun.resetAndDestroy();
    const [health] = await raw(gateway, 'GET /health HTTP/1.1\r\nHost: x\r\n\r\n');
    expect(health?.status).toBe(200);
  });
});

test.each([
  ['GET http://gw.example/health HTTP/1.1', 200],
  ['GET HTTPS://gw.example:443/health?x=1 HTTP/1.1', 200],
  ['GET http://gw.example HTTP/1.1', 200],
  ['GET /health/ HTTP/1.1', 200],
  ['GET /%68ealth HTTP/1.1', 200],
  ['GET /graphql/?query={__typename} HTTP/1.1', 200],
  ['GET http://gw.example/graphql?query={__typename} HTTP/1.1', 200],
  ['OPTIONS * HTTP/1.1', 204],
  ['GET * HTTP/1.1', 400],
  ['POST * HTTP/1.1', 400],
  ['HEAD * HTTP/1.1', 400],
  ['HEAD /health HTTP/1.1', 200],
  ['HEAD /metrics HTTP/1.1', 200],
  ['HEAD / HTTP/1.1', 200],
  ['HEAD /graphql?query={__typename} HTTP/1.1', 200],
  ['POST /health HTTP/1.1', 405],
  ['DELETE /metrics HTTP/1.1', 405],
  ['PUT / HTTP/1.1', 405],
  ['GET /graphql/stream HTTP/1.1', 410],
  ['PUT /graphql/stream HTTP/1.1', 410],
  ['OPTIONS /graphql/stream HTTP/1.1', 204],
  ['GET /%2e%2e/health HTTP/1.1', 404],
  ['GET //health HTTP/1.1', 404],
  ['GET /schema.graphql HTTP/1.1', 200],
])('%s is answered with %i', async (line, status) => {
  const gateway = await testGateway();
  const text = `${line}\r\nHost: x\r\nConnection: close\r\n\r\n`;
  const socket = connect(Number(new URL(gateway.url).port), '127.0.0.1');
  let read = '';
  socket.on('data', (chunk) => {
    read += chunk.toString('utf8');
  });
  socket.write(text);
  await new Promise((resolve) => socket.once('close', resolve));
  expect(Number(read.slice(9, 12)), read.slice(0, 300)).toBe(status);
  if (status === 405) expect(read.toLowerCase()).toContain('\r\nallow: ');
  if (line.startsWith('HEAD')) expect(read.split('\r\n\r\n')[1]).toBe('');
  if (status === 410) expect(read).toContain('/graphql');
});

test('the schema can be had as text, and not where it may not be asked for', async () => {
  const gateway = await testGateway();
  const response = await fetch(`${gateway.url}/schema.graphql`);
  expect(response.headers.get('content-type')).toContain('text/plain');
  expect(await response.text()).toContain('type Subscription {');
  const tag = response.headers.get('etag') ?? '';
  const again = await fetch(`${gateway.url}/schema.graphql`, { headers: { 'if-none-match': tag } });
  expect(again.status).toBe(304);
  const closed = await testGateway({ INTROSPECTION: 'off' });
  expect((await fetch(`${closed.url}/schema.graphql`)).status).toBe(404);
});

describe('a page', () => {
  const ask = (gateway: Gateway, path: string, headers: string) =>
    raw(gateway, `GET ${path} HTTP/1.1\r\nHost: x\r\n${headers}\r\n`);

  test('is sent in the shortest coding that its client takes, compressed long before', async () => {
    const gateway = await testGateway();
    for (const [accept, coding] of [
      ['gzip, deflate, br', 'br'],
      ['gzip', 'gzip'],
      ['br;q=0, gzip;q=0.5', 'gzip'],
      ['br;q=0, gzip;q=0', undefined],
      ['identity', undefined],
      ['*', 'br'],
      ['identity;q=0, *', 'br'],
      ['gzip, identity;q=0', 'gzip'],
    ] as const) {
      const response = await fetch(`${gateway.url}/graphiql/graphiql.js`, {
        headers: { 'accept-encoding': accept },
      });
      expect(response.headers.get('content-encoding') ?? undefined, accept).toBe(coding);
      expect(response.headers.get('vary')).toContain('Accept-Encoding');
      expect(Number(response.headers.get('content-length'))).toBeLessThan(coding ? 1_500_000 : 1e7);
      await response.body?.cancel();
    }
  });

  test('is not sent in a coding that its client refuses', async () => {
    const gateway = await testGateway();
    for (const path of ['/', '/graphiql/graphiql.js', '/schema.graphql']) {
      for (const accept of [
        'identity;q=0',
        '*;q=0',
        'identity;q=0, deflate',
        'br;q=0,gzip;q=0,*;q=0',
      ]) {
        const [answer] = await ask(gateway, path, `Accept-Encoding: ${accept}\r\n`);
        expect([answer?.status, answer?.headers], accept).toEqual([
          406,
          expect.stringMatching(/^vary: Accept-Encoding\r?$/im),
        ]);
      }
      const zipped = await fetch(`${gateway.url}${path}`, {
        headers: { 'accept-encoding': 'gzip, identity;q=0' },
      });
      expect([zipped.status, zipped.headers.get('content-encoding')], path).toEqual([200, 'gzip']);
      expect((await zipped.text()).length).toBeGreaterThan(100);
    }
  });

  test('of GraphiQL weighs at most 2 MB on the wire, with everything that it loads', async () => {
    const gateway = await testGateway();
    const files = [
      'graphiql.js',
      'graphiql.css',
      'editor-worker.js',
      'json-worker.js',
      'graphql-worker.js',
    ];
    let bytes = 0;
    for (const file of files) {
      const response = await fetch(`${gateway.url}/graphiql/${file}`, {
        method: 'HEAD',
        headers: { 'accept-encoding': 'gzip, deflate, br' },
      });
      expect(response.status, file).toBe(200);
      bytes += Number(response.headers.get('content-length'));
    }
    expect(bytes).toBeGreaterThan(1_000_000);
    expect(bytes).toBeLessThan(2_000_000);
  });

  const BROWSER =
    'Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8\r\n';
  test.each([
    ['/graphql', BROWSER, 'text/html'],
    ['/graphql?query=%7B__typename%7D', BROWSER, 'text/html'],
    [
      '/graphql?query=subscription%7BcontractUpdates(names:%5B%22A%22%5D)%7Bid%7D%7D',
      BROWSER,
      'text/html',
    ],
    ['/graphql?query=%7B__typename%7D', 'Accept: */*\r\n', 'application/json'],
    ['/graphql?query=%7B__typename%7D', '', 'application/json'],
    [
      '/graphql?query=%7B__typename%7D',
      'Accept: text/html;q=0.5, application/json\r\n',
      'application/json',
    ],
    [
      '/graphql?query=%7B__typename%7D',
      'Accept: application/json;q=0.1, text/html;q=0\r\n',
      'application/json',
    ],
  ])('%s for a client with %j is %s', async (path, accept, type) => {
    const [answer] = await ask(await testGateway(), path, accept);
    expect(answer?.status).toBe(200);
    expect(answer?.headers.toLowerCase()).toContain(`content-type: ${type}`);
  });
});

test.each([
  [undefined, 'a/a'],
  ['*/*', 'a/a'],
  ['b/b', 'b/b'],
  ['B/B', 'b/b'],
  ['a/a;q=0, */*', 'b/b'],
  ['a/*;q=0.5, b/b;q=0.4', 'a/a'],
  ['b/b;charset=utf-8, a/a;q=0.9', 'a/a'],
  ['a/a;q=0', undefined],
  ['c/c', undefined],
  ['', 'a/a'],
])('accept %j prefers %j of a/a and b/b', (accept, preferred) => {
  expect(preferredMediaType(accept, ['a/a', 'b/b'])).toBe(preferred);
});

describe('the origin of a page', () => {
  const withOrigin = async (settings: Record<string, string>, headers: Record<string, string>) => {
    const gateway = await testGateway(settings);
    const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
    const text = `POST /graphql HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: ${QUERY.length}\r\n${lines.join('')}\r\n${QUERY}`;
    const [answer] = await raw(gateway, text);
    return answer?.status;
  };

  test.each([
    ['gw.example:443', 'https://gw.example', 200],
    ['gw.example', 'https://gw.example', 200],
    ['gw.example:80', 'http://gw.example', 200],
    ['GW.example', 'http://gw.example', 200],
    ['gw.example:4000', 'http://gw.example:4000', 200],
    ['[::1]:4000', 'http://[::1]:4000', 200],
    ['gw.example:443', 'http://gw.example', 403],
    ['gw.example', 'https://evil.example', 403],
    ['gw.example', 'null', 403],
    ['gw.example', 'https://gw.example/path', 403],
    ['user@gw.example', 'https://gw.example', 403],
    ['gw.example', 'file://gw.example', 403],
    ['gw.example:8443', 'https://gw.example', 403],
  ])('to host %s, from %s: %i', async (host, origin, status) => {
    expect(await withOrigin({}, { host, origin })).toBe(status);
  });

  test('is compared with the host that a trusted proxy was asked for, and only a trusted one', async () => {
    const forwarded = {
      host: '10.0.0.1:4000',
      'x-forwarded-host': 'gw.example:443',
      origin: 'https://gw.example',
    };
    expect(await withOrigin({ TRUST_PROXY: 'loopback' }, forwarded)).toBe(200);
    expect(await withOrigin({}, forwarded)).toBe(403);
    const plain = { ...forwarded, 'x-forwarded-host': 'gw.example', origin: 'http://gw.example' };
    const tls = { ...plain, 'x-forwarded-proto': 'https' };
    expect(await withOrigin({ TRUST_PROXY: 'loopback' }, plain)).toBe(200);
    expect(await withOrigin({ TRUST_PROXY: 'loopback' }, tls)).toBe(403);
  });

  test('is compared with the host of a whole URL, where the target is one', async () => {
    const gateway = await testGateway();
    const from = (origin: string) =>
      raw(gateway, post(`Origin: ${origin}\r\n`, 'http://gw.example/graphql'));
    expect((await from('http://gw.example'))[0]?.status).toBe(200);
    expect((await from('http://x'))[0]?.status).toBe(403);
  });

  test('may send what it asks for, but no cookie, where it is allowed', async () => {
    const gateway = await testGateway({ CORS_ORIGINS: 'https://app.example.com' });
    const preflight = async (origin: string, asked: string) =>
      (
        await raw(
          gateway,
          `OPTIONS /graphql HTTP/1.1\r\nHost: x\r\nOrigin: ${origin}\r\nAccess-Control-Request-Method: POST\r\nAccess-Control-Request-Headers: ${asked}\r\n\r\n`,
        )
      )[0];
    const asked =
      'apollographql-client-name, traceparent,baggage, sentry-trace, Cookie, b a d, X-Forwarded-For, host, x-own';
    const allowed = await preflight('https://app.example.com', asked);
    expect(allowed?.status).toBe(204);
    expect(allowed?.headers).toMatch(
      /access-control-allow-headers: apollographql-client-name, traceparent, baggage, sentry-trace, x-own\r\n/i,
    );
    expect(allowed?.headers).toMatch(/access-control-allow-origin: https:\/\/app.example.com\r\n/i);
    expect(allowed?.headers).toMatch(/vary: Origin, Access-Control-Request-Headers/i);
    const refused = await preflight('https://evil.example', asked);
    expect(refused?.headers).not.toMatch(/access-control-allow/i);
    expect(refused?.headers).toMatch(/vary: Origin/i);
  });
});

test('a page of an allowed origin can read what has become of /graphql/stream', async () => {
  const gateway = await testGateway({ CORS_ORIGINS: 'https://app.example.com' });
  const asked = async (method: string, origin: string, more = '') =>
    (
      await raw(
        gateway,
        `${method} /graphql/stream HTTP/1.1\r\nHost: x\r\nOrigin: ${origin}\r\n${more}\r\n`,
      )
    )[0];
  const preflight = await asked(
    'OPTIONS',
    'https://app.example.com',
    'Access-Control-Request-Method: PUT\r\nAccess-Control-Request-Headers: x-graphql-event-stream-token\r\n',
  );
  expect(preflight?.status).toBe(204);
  expect(preflight?.headers).toMatch(/access-control-allow-methods: .*PUT/i);
  expect(preflight?.headers).toMatch(/access-control-allow-headers: x-graphql-event-stream-token/i);
  const gone = await asked('PUT', 'https://app.example.com');
  expect(gone?.status).toBe(410);
  expect(gone?.headers).toMatch(/access-control-allow-origin: https:\/\/app.example.com\r\n/i);
  const other = await asked('PUT', 'https://evil.example');
  expect(other?.status).toBe(410);
  expect(other?.headers).not.toMatch(/access-control-allow/i);
});

describe('a WebSocket', () => {
  const dial = async (gateway: Gateway, path: string, more: string) => {
    const [answer] = await raw(
      gateway,
      `GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n${more}\r\n`,
    );
    return answer;
  };
  const OFFER = 'Sec-WebSocket-Protocol: graphql-transport-ws\r\n';

  test.each([
    ['/graphql', `Upgrade: websocket\r\n${OFFER}`, 101],
    ['/graphql/', `Upgrade: WebSocket\r\n${OFFER}`, 101],
    ['http://gw.example/graphql', `Upgrade: websocket\r\n${OFFER}`, 101],
    [
      '/graphql',
      'Upgrade: websocket\r\nSec-WebSocket-Protocol: graphql-ws, graphql-transport-ws\r\n',
      101,
    ],
    ['/graphql', 'Upgrade: websocket\r\nSec-WebSocket-Protocol: graphql-ws\r\n', 400],
    ['/graphql', 'Upgrade: websocket\r\n', 400],
    ['/graphql', `Upgrade: websocket\r\n${OFFER}Origin: https://evil.example\r\n`, 403],
    ['/other', `Upgrade: websocket\r\n${OFFER}`, 404],
    ['/health', `Upgrade: websocket\r\n${OFFER}`, 400],
    ['/', `Upgrade: websocket\r\n${OFFER}`, 400],
    ['/graphql/stream', `Upgrade: websocket\r\n${OFFER}`, 410],
  ])('at %s with %j is answered with %i and a word', async (path, more, status) => {
    const answer = await dial(await testGateway(), path, more);
    expect(answer?.status).toBe(status);
    if (status !== 101) expect(JSON.parse(answer?.body ?? '').error).toMatch(/\w+ \w+/);
  });
});
