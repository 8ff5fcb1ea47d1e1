import { createHash } from 'node:crypto';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { get } from 'node:http';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import type { Gateway } from '../src/app/gateway.ts';
import { type Answer, ask, Inbox, UPDATES, wsClient } from './kit/clients.ts';
import { names, TestExchange, testGateway, until } from './kit/gateway.ts';
import { oneOfAddress, RawClient } from './kit/raw.ts';
import { bearer, JWT, token } from './kit/tokens.ts';

const STATUS = '{ status { ready } }';
const SUBSCRIPTION = (name: string) =>
  `subscription { contractUpdates(names: ["${name}"]) { id } }`;
const STREAMS = ['text/event-stream', 'multipart/mixed;subscriptionSpec="1.0", application/json'];

/** The codes of an answer's errors. */
const codesOf = ({ errors }: Answer<unknown>) =>
  errors?.map(({ extensions }) => extensions?.['code']);

/** Opens a streaming response; ended with `end`. */
async function stream(
  gateway: Gateway,
  query: string,
  accept: string,
  headers: Record<string, string> = {},
) {
  const abort = new AbortController();
  const response = await fetch(`${gateway.url}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', accept, ...headers },
    body: JSON.stringify({ query }),
    signal: abort.signal,
  });
  return { response, end: () => abort.abort() };
}

const hits = async (gateway: Gateway, limit: string) => {
  const text = await (await fetch(`${gateway.url}/metrics`)).text();
  return Number(new RegExp(`limit_hits_total\\{limit="${limit}"\\} (\\d+)`).exec(text)?.[1]);
};

describe('connections', () => {
  test('beyond the limit are refused on WebSocket, SSE and multipart, and let in when there is room', async () => {
    const gateway = await testGateway({ MAX_CONNECTIONS: '2' });
    const first = await new RawClient(gateway).init();
    const second = await stream(gateway, SUBSCRIPTION('x'), STREAMS[0] as string);
    expect(second.response.status).toBe(200);
    const third = await new RawClient(gateway).init();
    expect(third.closed?.code).toBe(4429);
    for (const accept of STREAMS) {
      const refused = await stream(gateway, SUBSCRIPTION('x'), accept);
      expect(refused.response.status).toBe(429);
      expect(refused.response.headers.get('retry-after')).toBe('1');
      expect(codesOf((await refused.response.json()) as Answer<unknown>)).toEqual(['RATE_LIMITED']);
    }
    expect((await ask(gateway, STATUS)).status).toBe(200);
    expect(await hits(gateway, 'connections')).toBe(3);
    first.socket.close();
    second.end();
    await until(() => gateway.report().clients === 0, 'both have gone');
    expect((await new RawClient(gateway).init()).closed).toBeUndefined();
  });

  test('of one principal are limited, and others are let in', async () => {
    const gateway = await testGateway({ ...JWT, MAX_CONNECTIONS_PER_PRINCIPAL: '1' });
    const one = bearer(await token({ sub: 'one' }));
    await new RawClient(gateway).init(one);
    expect((await new RawClient(gateway).init(one)).closed?.code).toBe(4429);
    const refused = await stream(gateway, SUBSCRIPTION('x'), STREAMS[1] as string, one);
    expect(refused.response.status).toBe(429);
    const other = await new RawClient(gateway).init(bearer(await token({ sub: 'two' })));
    expect(other.closed).toBeUndefined();
  });

  test('from one address are limited, by what a trusted proxy says', async () => {
    const from = await oneOfAddress();
    expect((await from('203.0.113.1')).closed).toBeUndefined();
    expect((await from('203.0.113.1')).closed?.code).toBe(4429);
    expect((await from('203.0.113.2')).closed).toBeUndefined();
    expect((await from('2001:db8:1:2::1')).closed).toBeUndefined();
    expect((await from('2001:db8:1:2:ffff::7')).closed?.code).toBe(4429);
    expect((await from('10.0.0.1, 203.0.113.3')).closed).toBeUndefined();
    expect((await from('203.0.113.3')).closed?.code).toBe(4429);
  });

  test('do not believe a proxy that was not named', async () => {
    const gateway = await testGateway({ ...JWT, MAX_CONNECTIONS_PER_ADDRESS: '1' });
    const shown = bearer(await token());
    await new RawClient(gateway, { ...shown, 'x-forwarded-for': '203.0.113.1' }).init();
    const second = new RawClient(gateway, { ...shown, 'x-forwarded-for': '203.0.113.2' });
    expect((await second.init()).closed?.code).toBe(4429);
  });

  test('that do not say who they are, or do not finish their request, are ended', async () => {
    const gateway = await testGateway();
    const silent = new RawClient(gateway);
    await silent.until(() => silent.closed !== undefined, 'it is closed');
    expect(silent.closed?.code).toBe(4408);
    const slow = connect(gateway.address.port, '127.0.0.1');
    slow.write('POST /graphql HTTP/1.1\r\nHost: x\r\n');
    let answer = '';
    slow.on('data', (data) => {
      answer += data;
    });
    await new Promise((resolve) => slow.once('close', resolve));
    expect(answer).toMatch(/^HTTP\/1.1 408/);
  }, 60_000);
});

describe('subscriptions', () => {
  test('of one connection are limited, and room comes back', async () => {
    const gateway = await testGateway({ MAX_SUBSCRIPTIONS_PER_CONNECTION: '2' });
    const client = await new RawClient(gateway).init();
    for (const id of ['1', '2', '3']) client.subscribe(id, SUBSCRIPTION(id));
    await client.until(() => client.codes('3').length > 0, 'the third is refused');
    expect(client.codes('3')).toEqual(['TOO_MANY_SUBSCRIPTIONS']);
    expect(client.codes('1')).toEqual([]);
    client.send({ type: 'complete', id: '1' });
    client.subscribe('4', SUBSCRIPTION('4'));
    await client.until(() => client.of('4').length > 0, 'the fourth begins');
    expect(client.codes('4')).toEqual([]);
  });

  test('have a bounded number of contracts, each and together', async () => {
    const market = await new TestExchange().listen();
    const gateway = await testGateway({
      IME_URL: market.url,
      MAX_CONTRACTS_PER_SUBSCRIPTION: '3',
      MAX_CONTRACTS_PER_CONNECTION: '4',
    });
    const client = await new RawClient(gateway).init();
    const list = (...texts: string[]) =>
      `subscription { contractUpdates(names: ${JSON.stringify(texts)}) { id } }`;
    client.subscribe('1', list('a', 'b', 'c', 'd'));
    client.subscribe('2', list('a', 'b', 'c'));
    client.subscribe('3', list('d', 'e'));
    client.subscribe('4', list('d'));
    await client.until(() => client.of('4').length > 0, 'all are answered');
    expect(client.codes('1')).toEqual(['TOO_MANY_CONTRACTS']);
    expect(client.codes('2')).toEqual([]);
    expect(client.codes('3')).toEqual(['TOO_MANY_CONTRACTS']);
    expect(client.codes('4')).toEqual([]);
    for (const accept of STREAMS) {
      const { response, end } = await stream(gateway, list('a', 'b', 'c', 'd'), accept);
      expect(await response.text()).toContain('"code":"TOO_MANY_CONTRACTS"');
      end();
    }
  });

  test('of one principal have a bounded number of contracts and selections', async () => {
    const market = await new TestExchange().listen();
    const gateway = await testGateway({
      ...JWT,
      IME_URL: market.url,
      MAX_CONTRACTS_PER_PRINCIPAL: '1',
      MAX_SELECTIONS_PER_PRINCIPAL: '1',
    });
    const shown = bearer(await token());
    const client = await new RawClient(gateway).init(shown);
    const other = await new RawClient(gateway).init(shown);
    client.subscribe('1', SUBSCRIPTION('a'));
    await client.until(() => client.of('1').length > 0, 'the first begins');
    other.subscribe('2', 'subscription { contractUpdates(names: ["a"]) { status } }');
    other.subscribe('3', SUBSCRIPTION('a'));
    other.subscribe('4', SUBSCRIPTION('b'));
    await other.until(() => other.codes('4').length > 0, 'all are answered');
    expect(other.codes('2')).toEqual(['QUERY_TOO_COMPLEX']);
    expect(other.codes('3')).toEqual([]);
    expect(other.codes('4')).toEqual(['TOO_MANY_CONTRACTS']);
  });

  test('cannot make the gateway ask IME for more than it may', async () => {
    const market = await new TestExchange().listen();
    const gateway = await testGateway({
      IME_URL: market.url,
      MAX_UPSTREAM_CONTRACTS: '3',
      IME_PINNED_NAMES: 'pinned',
    });
    const client = await new RawClient(gateway).init();
    client.subscribe('1', SUBSCRIPTION('a'));
    client.subscribe('2', SUBSCRIPTION('b'));
    client.subscribe('3', SUBSCRIPTION('c'));
    await client.until(() => client.of('3').length > 0, 'all are answered');
    expect(client.codes('3')).toEqual(['TOO_MANY_CONTRACTS']);
    const held = await ask(gateway, '{ contracts(names: ["a", "d"], waitMs: 0) { id } }');
    expect(held.data).toEqual({ contracts: [{ id: 'name:a' }, null] });
    expect(codesOf(held)).toEqual(['TOO_MANY_CONTRACTS']);
    // One that only lingers makes room for one that is wanted.
    client.send({ type: 'complete', id: '1' });
    await until(() => gateway.report().subscriptions === 1, 'one has ended');
    client.subscribe('4', SUBSCRIPTION('c'));
    await client.until(() => client.of('4').length > 0, 'there is room');
    expect(client.codes('4')).toEqual([]);
    expect(gateway.report().contracts).toMatchObject({ PENDING: 3 });
  });

  test('cannot make the gateway ask IME for one unknown contract after the other', async () => {
    const market = await new TestExchange().listen();
    for (const key of names('u1', 'u2', 'u3')) market.unlisted.add(key);
    const gateway = await testGateway({
      ...JWT,
      IME_URL: market.url,
      IME_PINNED_NAMES: 'known',
      MAX_UNKNOWN_CONTRACTS_PER_MINUTE: '2',
    });
    await market.carries(names('known'));
    market.publish('name:known', 1);
    const shown = bearer(await token());
    const client = await new RawClient(gateway).init(shown);
    client.subscribe('1', 'subscription { contractUpdates(names: ["u1", "u2"]) { status } }');
    await client.until(
      () => client.of('1').some(({ type }) => type === 'complete'),
      'both are found to be unknown',
      60_000,
    );
    const refused = await ask(gateway, '{ contract(name: "u3") { id } }', {}, shown);
    expect(codesOf(refused)).toEqual(['RATE_LIMITED']);
    expect(
      codesOf(await ask(gateway, '{ contract(name: "known") { id } }', {}, shown)),
    ).toBeUndefined();
    const other = bearer(await token({ sub: 'other' }));
    expect(
      codesOf(await ask(gateway, '{ contract(name: "u3", waitMs: 0) { id } }', {}, other)),
    ).toBeUndefined();
  }, 90_000);
});

describe('operations', () => {
  test('are limited to a rate on WebSocket and HTTP, with bursts of twice that', async () => {
    const gateway = await testGateway({ MAX_OPERATIONS_PER_SECOND: '5' });
    const client = await new RawClient(gateway).init();
    for (let id = 0; id < 20; id++) client.subscribe(String(id), STATUS);
    await client.until(() => client.of('19').length > 0, 'all are answered');
    const codes = Array.from({ length: 20 }, (_, id) => client.codes(String(id))[0]);
    const refused = codes.filter((code) => code === 'RATE_LIMITED').length;
    expect(refused).toBeGreaterThanOrEqual(8);
    expect(refused).toBeLessThanOrEqual(10);
    expect(client.closed).toBeUndefined();

    const statuses: number[] = [];
    const socket = connect(gateway.address.port, '127.0.0.1');
    let text = '';
    socket.on('data', (data) => {
      text += data;
    });
    const request = `GET /graphql?query=${encodeURIComponent(STATUS)} HTTP/1.1\r\nHost: x\r\n\r\n`;
    for (let count = 0; count < 12; count++) socket.write(request);
    await until(() => {
      statuses.splice(
        0,
        99,
        ...[...text.matchAll(/HTTP\/1.1 (\d+)/g)].map(([, status]) => Number(status)),
      );
      return statuses.length === 12;
    }, 'all are answered');
    socket.destroy();
    expect(statuses.filter((status) => status === 200).length).toBeGreaterThanOrEqual(10);
    expect(statuses).toContain(429);
  });

  test('of a document that is too deep, too long, too costly or has too many aliases are refused', async () => {
    const gateway = await testGateway({
      MAX_DEPTH: '4',
      MAX_TOKENS: '60',
      MAX_ALIASES: '2',
      MAX_COST: '100',
    });
    const tooComplex = [
      '{ contracts { snapshot { bestLimits { level } } status } status { upstream { sockets { state contracts { x } } } } }',
      `{ status { ${'ready '.repeat(60)} } }`,
      '{ a: status { ready } b: status { ready } c: status { ready } }',
      `{ contracts(ids: [${'1 '.repeat(40)}]) { id name status } }`,
      'query { ...A } fragment A on Query { contracts { ...B } } fragment B on Contract { snapshot { ...C } } fragment C on Snapshot { bestLimits { ...D } } fragment D on BestLimit { level }',
    ];
    const client = await new RawClient(gateway).init();
    for (const [place, query] of tooComplex.entries()) {
      const deep = place === 4 ? { MAX_DEPTH: '3' } : {};
      const strict = place === 4 ? await testGateway(deep) : gateway;
      expect(codesOf(await ask(strict, query)), query).toContain('QUERY_TOO_COMPLEX');
      if (strict !== gateway) continue;
      client.subscribe(String(place), query);
      await client.until(() => client.of(String(place)).length > 0, 'it is answered');
      expect(client.codes(String(place))).toContain('QUERY_TOO_COMPLEX');
    }
    const cyclic = '{ ...A } fragment A on Query { status { ready } ...A }';
    expect((await ask(gateway, cyclic)).errors?.[0]?.message).toContain('Cannot spread fragment');
    expect((await ask(gateway, STATUS)).errors).toBeUndefined();
  });

  test('that ask for the schema are refused where it is not for everybody', async () => {
    const open = await testGateway();
    const query = '{ __schema { types { fields { type { ofType { ofType { name } } } } } } }';
    expect((await ask(open, query)).errors).toBeUndefined();
    const closed = await testGateway({ INTROSPECTION: 'off', GRAPHIQL: 'off' });
    expect((await ask(closed, query)).errors?.[0]?.message).toContain('introspection');
    const page = await fetch(`${closed.url}/graphql`, { headers: { accept: 'text/html' } });
    expect(await page.text()).not.toContain('<html');
    const misspelt = await ask(closed, '{ contract(name: "x") { nme } }');
    expect(misspelt.errors?.[0]?.message).toBe('Cannot query field "nme" on type "Contract".');
    expect((await ask(closed, '{ __typename }')).data).toEqual({ __typename: 'Query' });
  });

  test('in batches, compressed or over-long bodies are refused', async () => {
    const gateway = await testGateway({ MAX_BODY_BYTES: '2000', MAX_MESSAGE_BYTES: '2000' });
    const post = (body: string | Buffer, headers: Record<string, string> = {}) =>
      fetch(`${gateway.url}/graphql`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...headers },
        body: body as string,
      });
    const batch = await post(JSON.stringify([{ query: STATUS }, { query: STATUS }]));
    expect(batch.status).toBe(400);
    const bomb = gzipSync(Buffer.alloc(10_000_000, ' '));
    expect((await post(bomb, { 'content-encoding': 'gzip' })).status).toBe(415);
    const long = await post(JSON.stringify({ query: STATUS, variables: { x: 'x'.repeat(3_000) } }));
    expect(long.status).toBe(413);
    const client = await new RawClient(gateway).init();
    client.send(
      JSON.stringify({ id: '1', type: 'subscribe', payload: { query: 'x'.repeat(3_000) } }),
    );
    await client.until(() => client.closed !== undefined, 'it is closed');
    expect(client.closed?.code).toBe(1009);
  });
});

describe('trusted documents', () => {
  const DOCUMENT = 'query Ready { status { ready } }';
  const LIVE = 'subscription Live($names: [String!]) { contractUpdates(names: $names) { id } }';
  const sha = (text: string) => createHash('sha256').update(text).digest('hex');
  const file = () => {
    const path = join(mkdtempSync(join(tmpdir(), 'ime-gateway-')), 'documents.json');
    writeFileSync(
      path,
      JSON.stringify({ [sha(DOCUMENT)]: DOCUMENT, [`sha256:${sha(LIVE)}`]: LIVE }),
    );
    return path;
  };
  const persisted = (text: string) => ({ persistedQuery: { version: 1, sha256Hash: sha(text) } });

  test('are the only ones that are executed, on every transport', async () => {
    const gateway = await testGateway({ TRUSTED_DOCUMENTS: file() });
    const post = async (body: object, accept = 'application/json') => {
      const response = await fetch(`${gateway.url}/graphql`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', accept },
        body: JSON.stringify(body),
      });
      return (await response.json()) as Answer<unknown>;
    };
    const ready = { status: { ready: true } };
    expect((await post({ extensions: persisted(DOCUMENT) })).data).toEqual(ready);
    expect((await post({ query: DOCUMENT })).data).toEqual(ready);
    expect((await post({ documentId: `sha256:${sha(DOCUMENT)}` })).data).toEqual(ready);
    const get = await fetch(
      `${gateway.url}/graphql?extensions=${encodeURIComponent(JSON.stringify(persisted(DOCUMENT)))}`,
      { headers: { accept: 'application/json' } },
    );
    expect(((await get.json()) as Answer<unknown>).data).toEqual(ready);
    const untrusted = [
      { query: STATUS },
      { extensions: persisted(STATUS) },
      { query: STATUS, extensions: persisted(STATUS) },
      { query: '{ __schema { types { name } } }' },
      {},
    ];
    for (const body of untrusted) {
      expect(codesOf(await post(body)), JSON.stringify(body)).toEqual(['UNKNOWN_DOCUMENT']);
      for (const accept of STREAMS) {
        expect(codesOf(await post(body, accept))).toEqual(['UNKNOWN_DOCUMENT']);
      }
    }
    const client = await new RawClient(gateway).init();
    client.subscribe('1', STATUS);
    client.subscribe('2', '', { extensions: persisted(LIVE), variables: { names: ['x'] } });
    client.subscribe('3', '', { extensions: persisted(STATUS) });
    await client.until(
      () => client.of('3').length > 0 && client.of('2').length > 0,
      'all are answered',
    );
    expect(client.codes('1')).toEqual(['UNKNOWN_DOCUMENT']);
    expect(client.codes('3')).toEqual(['UNKNOWN_DOCUMENT']);
    expect(client.of('2')[0]).toMatchObject({
      payload: { data: { contractUpdates: { id: 'name:x' } } },
    });
    for (const accept of STREAMS) {
      const { response, end } = await stream(gateway, LIVE.replace('$names)', '["x"])'), accept);
      expect(codesOf((await response.json()) as Answer<unknown>)).toEqual(['UNKNOWN_DOCUMENT']);
      end();
    }
  });

  test('that are taken away are executed no more, whatever was answered from the cache before', async () => {
    const market = await new TestExchange().listen();
    const path = file();
    const held = '{ contracts { id } }';
    writeFileSync(path, JSON.stringify({ held, other: '{ __typename }' }));
    const gateway = await testGateway({
      IME_URL: market.url,
      IME_PINNED_NAMES: 'A',
      TRUSTED_DOCUMENTS: path,
    });
    for (let time = 0; time < 2; time++) {
      expect((await ask(gateway, held)).data).toEqual({ contracts: [{ id: 'name:A' }] });
    }
    writeFileSync(path, JSON.stringify({ other: '{ __typename }' }));
    gateway.reload();
    expect(codesOf(await ask(gateway, held))).toEqual(['UNKNOWN_DOCUMENT']);
  });

  test('that cannot be used stop the start', async () => {
    const path = file();
    writeFileSync(path, JSON.stringify({ a: '{ nothing }' }));
    await expect(testGateway({ TRUSTED_DOCUMENTS: path })).rejects.toThrow(
      'TRUSTED_DOCUMENTS: expected a JSON map of hash to document, got "a" with: Cannot query field',
    );
  });

  test("are asked of Apollo's client as whole documents where any may be executed", async () => {
    const gateway = await testGateway();
    const response = await fetch(`${gateway.url}/graphql`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ extensions: persisted(DOCUMENT) }),
    });
    expect(codesOf((await response.json()) as Answer<unknown>)).toEqual([
      'PERSISTED_QUERY_NOT_SUPPORTED',
    ]);
  });
});

describe('other pages', () => {
  const evil = { origin: 'https://evil.example' };
  const friend = { origin: 'https://app.example.com' };

  test('may use the gateway only where they are named', async () => {
    const gateway = await testGateway({ CORS_ORIGINS: 'https://app.example.com' });
    const own = { origin: gateway.url };
    for (const headers of [evil, { origin: 'null' }]) {
      expect((await ask(gateway, STATUS, {}, headers)).status).toBe(403);
      const client = new RawClient(gateway, headers);
      await client.until(() => client.refusedWith !== undefined, 'it is refused');
      expect(client.refusedWith).toBe(403);
    }
    for (const headers of [own, friend, {}]) {
      expect((await ask(gateway, STATUS, {}, headers as Record<string, string>)).status).toBe(200);
      const client = await new RawClient(gateway, headers as Record<string, string>).init();
      expect(client.closed).toBeUndefined();
    }
    const preflight = await fetch(`${gateway.url}/graphql`, {
      method: 'OPTIONS',
      headers: {
        ...friend,
        'access-control-request-method': 'POST',
        'access-control-request-headers': 'authorization',
      },
    });
    expect(preflight.status).toBe(204);
    expect(preflight.headers.get('access-control-allow-origin')).toBe('https://app.example.com');
    expect(preflight.headers.get('access-control-allow-headers')).toContain('authorization');
    expect(preflight.headers.get('access-control-allow-credentials')).toBeNull();
    const refused = await fetch(`${gateway.url}/graphql`, { method: 'OPTIONS', headers: evil });
    expect(refused.status).toBe(403);
    expect(refused.headers.get('access-control-allow-origin')).toBeNull();
  });

  test('cannot make a browser ask across origins behind its back', async () => {
    const gateway = await testGateway();
    const path = `/graphql?query=${encodeURIComponent(STATUS)}`;
    // Node's fetch sets these headers itself.
    const statusWith = (mode: string) =>
      new Promise((resolve) => {
        const headers = { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': mode };
        get(`${gateway.url}${path}`, { headers, agent: false }, (response) => {
          response.resume();
          resolve(response.statusCode);
        });
      });
    expect(await statusWith('no-cors')).toBe(403);
    expect(await statusWith('navigate')).toBe(200);
  });

  test('behind a proxy are compared with the host that the browser asked for', async () => {
    const proxied = { origin: 'https://gateway.example', 'x-forwarded-host': 'gateway.example' };
    const trusting = await testGateway({ TRUST_PROXY: '1' });
    expect((await ask(trusting, STATUS, {}, proxied)).status).toBe(200);
    const other = await testGateway();
    expect((await ask(other, STATUS, {}, proxied)).status).toBe(403);
  });
});

describe('a subscription over the gateway that is refused', () => {
  test('does not disturb the others of its connection', async () => {
    const gateway = await testGateway({ MAX_SUBSCRIPTIONS_PER_CONNECTION: '1' });
    const client = wsClient(gateway, { lazy: false });
    const first = new Inbox(client, UPDATES, { names: ['x'] });
    await first.until(({ values }) => values.length > 0, 'the first begins');
    const second = new Inbox(client, UPDATES, { names: ['y'] });
    await second.until(({ errors }) => errors.length > 0, 'the second is refused');
    expect(gateway.report().clients).toBe(1);
  });
});
