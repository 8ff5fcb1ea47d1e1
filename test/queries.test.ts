import { auditServer } from 'graphql-http';
import { describe, expect, test } from 'vitest';
import { ask, Inbox, sseClient, UPDATES, wsClient } from './kit/clients.ts';
import { names, TestExchange, testGateway, until } from './kit/gateway.ts';

describe('GraphQL over HTTP', () => {
  test('passes every audit of graphql-http', async () => {
    const gateway = await testGateway();
    const results = await auditServer({ url: `${gateway.url}/graphql` });
    const failed = results.filter(({ status }) => status !== 'ok');
    expect(failed.map(({ name }) => name)).toEqual([]);
    expect(results).toHaveLength(61);
  });
});

describe('a snapshot query', () => {
  test('asks upstream for what is not cached, once for all aliases, and waits for it', async () => {
    const market = await new TestExchange().listen();
    const gateway = await testGateway({ IME_URL: market.url });
    const asking = ask(
      gateway,
      `{ a: contract(name: "A", waitMs: 20000) { status snapshot { aggregate { lastPrice } } }
         b: contracts(names: ["B", "A"], ids: ["7"], waitMs: 20000) { id snapshot { sequence } } }`,
    );
    await market.carries([...names('A', 'B'), 'id:7']);
    market.publish('name:A', 1);
    market.publish('name:B', 2);
    market.publish('id:7', 3);
    expect(await asking).toEqual({
      status: 200,
      data: {
        a: { status: 'LIVE', snapshot: { aggregate: { lastPrice: '1' } } },
        b: ['name:B', 'name:A', 'id:7'].map((id) => ({ id, snapshot: { sequence: '1' } })),
      },
    });
    expect(market.exchange.dials).toBe(2);
  });

  test('answers PENDING for a contract that stays silent', async () => {
    const market = await new TestExchange().listen();
    const gateway = await testGateway({ IME_URL: market.url });
    const query =
      '{ contract(id: 7, waitMs: 400) { id contractId name status statusReason snapshot { sequence } } }';
    const { data, errors } = await ask<{ contract: object }>(gateway, query);
    expect(errors).toBeUndefined();
    expect(data?.contract).toMatchObject({
      id: 'id:7',
      contractId: '7',
      name: null,
      status: 'PENDING',
      snapshot: null,
    });
    const startedMs = performance.now();
    await ask(gateway, query);
    expect(performance.now() - startedMs).toBeLessThan(300);
  });

  test('is answered from what is there exactly as by graphql-js', async () => {
    const market = await new TestExchange().listen();
    const gateway = await testGateway({ IME_URL: market.url, IME_PINNED_NAMES: 'A,B' });
    await market.carries(names('A', 'B'));
    for (const key of names('A', 'B')) market.publish(key, '12345678901234567891.50');
    await until(() => gateway.report().contracts.LIVE === 2, 'both are live');
    const post = async (body: object, accept: string) => {
      const response = await fetch(`${gateway.url}/graphql`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', accept },
        body: JSON.stringify(body),
      });
      return [response.status, response.headers.get('content-type'), await response.text()];
    };
    const bodies = [
      { query: '{ contracts { id status } }' },
      {
        query:
          '{ a: contract(name: "A") { ...F } b: contracts(names: ["B", "A", "B"]) { ...F } } fragment F on Contract { id snapshot { bestLimits(depth: 2) { level buyPrice } aggregate { lastPrice } spread midPrice publishedAt } }',
      },
      {
        query:
          'query ($n: [String!], $d: Int, $s: Boolean!) { contracts(names: $n) { id snapshot @include(if: $s) { bestLimits(depth: $d) { level } } __typename } }',
        variables: { n: ['A'], d: 1, s: true },
      },
      {
        query:
          'query ($n: [String!], $d: Int, $s: Boolean!) { contracts(names: $n) { id snapshot @include(if: $s) { bestLimits(depth: $d) { level } } __typename } }',
        variables: { n: ['B'], d: 3, s: false },
      },
      {
        query: 'query X { contracts { name } } query Y { contract(name: "A") { contractId } }',
        operationName: 'Y',
      },
      // What cannot be answered so is answered as ever.
      { query: '{ contract(name: "A") { id } status { ready } }' },
      { query: '{ contract { id } }' },
      { query: '{ contracts(names: ["A", ""]) { id } }' },
      {
        query:
          'query ($d: Int!) { contract(name: "A") { id snapshot { bestLimits(depth: $d) { level } } } }',
        variables: { d: 'x' },
      },
      { query: '{ contract(name: "A", waitMs: -1) { id } }' },
    ];
    for (const body of bodies) {
      for (const type of ['application/json', 'application/graphql-response+json']) {
        const slow = await post(body, `${type};q=0.9`);
        const fast = await post(body, type);
        const again = await post(body, type);
        expect(fast, JSON.stringify(body)).toEqual(slow);
        expect(again).toEqual(slow);
      }
    }
    market.publish('name:A', '2');
    await until(() => gateway.report().upstream.messages === 3, 'the change has come');
    expect((await post(bodies[0] as object, 'application/json'))[2]).toContain('"name:A"');
    const changed = await ask(gateway, '{ contract(name: "A") { snapshot { sequence } } }');
    expect(changed.data).toEqual({ contract: { snapshot: { sequence: '2' } } });
  });

  test('shows every field of a contract', async () => {
    const market = await new TestExchange().listen();
    const gateway = await testGateway({ IME_URL: market.url, IME_PINNED_NAMES: 'A' });
    await market.carries(names('A'));
    market.publish('name:A', '88.0', '2026-05-23T15:10:00.000001');
    const { data } = await ask(
      gateway,
      `{ contract(name: "A") { status statusReason snapshot {
           sequence timestamp publishedAt spread midPrice lastPriceChange lastPriceChangePercent
           bestLimits(depth: 1) { level buyQuantity buyPrice sellQuantity sellPrice }
           allowedPriceRange { minAllowedPrice maxAllowedPrice }
           contractInfo { openInterest openInterestChanges } } } }`,
    );
    expect(data).toEqual({
      contract: {
        status: 'LIVE',
        statusReason: null,
        snapshot: {
          sequence: '1',
          timestamp: '2026-05-23T15:10:00.000001',
          publishedAt: '2026-05-23T15:10:00.000001+03:30',
          spread: '2',
          midPrice: '100',
          lastPriceChange: '8',
          lastPriceChangePercent: '10',
          bestLimits: [
            { level: 1, buyQuantity: '1', buyPrice: '99', sellQuantity: '4', sellPrice: '101' },
          ],
          allowedPriceRange: { minAllowedPrice: '1', maxAllowedPrice: '9999999999' },
          contractInfo: { openInterest: '7', openInterestChanges: '-2' },
        },
      },
    });
  });
});

describe('bad input', () => {
  test.each([
    ['{ contract { id } }', 'name: expected exactly one of name and id, got neither'],
    [
      '{ contract(name: "a", id: 1) { id } }',
      'name: expected exactly one of name and id, got both',
    ],
    ['{ contract(name: "") { id } }', 'name: expected at least 1 character'],
    [
      `{ contract(name: "${'x'.repeat(257)}") { id } }`,
      'name: expected at most 256 characters, got 257',
    ],
    ['{ contract(name: "a\\u0007") { id } }', 'name: expected no control characters'],
    [
      '{ contract(name: "a", waitMs: -1) { id } }',
      'waitMs: expected 0 to 30000 milliseconds, got -1',
    ],
    ['{ contracts(names: []) { id } }', 'names: expected at least one name, got an empty list'],
    ['{ contracts(ids: []) { id } }', 'ids: expected at least one ID, got an empty list'],
    ['{ contracts(names: ["a", ""]) { id } }', 'names[1]: expected at least 1 character'],
  ])('%.60s is answered as BAD_USER_INPUT', async (query, message) => {
    const gateway = await testGateway();
    const { errors } = await ask(gateway, query);
    expect(errors?.[0]?.message).toContain(message);
    expect(errors?.[0]?.extensions).toMatchObject({ code: 'BAD_USER_INPUT' });
  });

  test('with one of several contracts leaves null in its place', async () => {
    const gateway = await testGateway();
    const { data, errors } = await ask<{ contracts: unknown[] }>(
      gateway,
      '{ contracts(names: ["Gold Bar DE05", ""], waitMs: 0) { id } }',
    );
    expect(data?.contracts).toEqual([{ id: 'name:Gold Bar DE05' }, null]);
    expect(errors?.map(({ path }) => path)).toEqual([['contracts', 1]]);
  });

  test('with faults in a list that many fields ask for says each of them in its place', async () => {
    const gateway = await testGateway();
    const given = ['Gold Bar DE05', '', 'a\u0007', ''];
    const { data, errors } = await ask<Record<string, unknown[]>>(
      gateway,
      `query ($n: [String!]) {
        a: contracts(names: $n, waitMs: 0) { id }
        b: contracts(names: $n, waitMs: 0) { id }
        c: contract(name: "", waitMs: 0) { id }
      }`,
      { n: given },
    );
    const list = [{ id: 'name:Gold Bar DE05' }, null, null, null];
    expect(data).toEqual({ a: list, b: list, c: null });
    const fault = (line: number, path: readonly (string | number)[], said: string) => ({
      message: `${path.length > 1 ? `names[${path[1]}]` : 'name'}: ${said}`,
      locations: [{ line, column: 9 }],
      path,
      extensions: {
        code: 'BAD_USER_INPUT',
        argument: path.length > 1 ? `names[${path[1]}]` : 'name',
      },
    });
    const empty = 'expected at least 1 character, got an empty text';
    const control = 'expected no control characters, got one';
    const listed = (key: string, line: number) => [
      fault(line, [key, 1], empty),
      fault(line, [key, 2], control),
      fault(line, [key, 3], empty),
    ];
    expect(errors).toEqual([fault(4, ['c'], empty), ...listed('a', 2), ...listed('b', 3)]);
  });

  test('of ten thousand contracts is answered as TOO_MANY_CONTRACTS', async () => {
    const gateway = await testGateway();
    const many = Array.from({ length: 10_000 }, (_, place) => `n${place}`);
    const query = 'query ($names: [String!]) { contracts(names: $names) { id } }';
    const { errors } = await ask(gateway, query, { names: many });
    expect(errors?.[0]?.extensions).toMatchObject({ code: 'TOO_MANY_CONTRACTS', limit: 500 });
    const inbox = new Inbox(wsClient(gateway), UPDATES, { names: many });
    await inbox.until((box) => box.errors.length > 0, 'the subscription is refused');
    expect(inbox.errors[0]).toMatchObject({ extensions: { code: 'TOO_MANY_CONTRACTS' } });
  });

  test('larger than the bound of a body is answered with 413', async () => {
    const gateway = await testGateway({ MAX_BODY_BYTES: '2000' });
    const answer = await ask(gateway, `{ status { ready } } #${'x'.repeat(2_000)}`);
    expect(answer.status).toBe(413);
    const chunks = async function* () {
      for (let chunk = 0; chunk < 50; chunk++) yield Buffer.alloc(1_000, 'x');
    };
    const streamed = await fetch(`${gateway.url}/graphql`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: chunks() as unknown as BodyInit,
      duplex: 'half',
    } as RequestInit).then(
      (response) => response.status,
      () => 'cut',
    );
    expect([413, 'cut']).toContain(streamed);
    expect((await ask(gateway, '{ status { ready } }')).status).toBe(200);
  });

  test.each(['graphql-ws', 'graphql-sse'] as const)(
    'over %s is answered for its operation and leaves the connection open',
    async (transport) => {
      const gateway = await testGateway();
      const client = transport === 'graphql-ws' ? wsClient(gateway) : sseClient(gateway);
      const good = new Inbox(client, UPDATES, { names: ['Gold Bar DE05'] });
      await good.until(({ values }) => values.length > 0, 'a good subscription runs');
      for (const [query, variables] of [
        ['subscription {', {}],
        ['subscription { nonsense }', {}],
        [UPDATES, {}],
        [UPDATES, { names: [] }],
        [UPDATES, { names: [''] }],
        [UPDATES, { names: [7] }],
        ['subscription { contractUpdates { id } }', {}],
        [`{ ${'a { '.repeat(20_000)}`, {}],
      ] as const) {
        const bad = new Inbox(client, query, variables);
        await bad.until(({ errors }) => errors.length > 0, `${query.slice(0, 40)} is refused`);
      }
      const before = good.values.length;
      await good.until(({ values }) => values.length > before + 2, 'the good one goes on');
      expect(good.errors).toEqual([]);
    },
  );
});
