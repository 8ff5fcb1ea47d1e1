import { describe, expect, test } from 'vitest';
import { type ContractKey, contractKey, contractTextOf } from '../src/contract/key.ts';
import {
  ask,
  type ContractUpdate,
  Inbox,
  pricesOf,
  sseClient,
  UPDATES,
  wsClient,
} from './kit/clients.ts';
import { marketState, names, TEHRAN, TestExchange, testGateway, until } from './kit/gateway.ts';

describe('the first update', () => {
  test.each(['graphql-ws', 'graphql-sse'] as const)(
    'of the simulator arrives over %s',
    async (transport) => {
      const gateway = await testGateway();
      const client = transport === 'graphql-ws' ? wsClient(gateway) : sseClient(gateway);
      const inbox = new Inbox<ContractUpdate>(client, UPDATES, { names: ['Gold Bar DE05'] });
      await inbox.until(({ values }) => values.length > 0, 'the first value arrives');
      expect(inbox.values[0]?.contractUpdates.id).toBe('name:Gold Bar DE05');
      await inbox.until((box) => pricesOf(box).length > 2, 'the contract moves');
      expect(inbox.errors).toEqual([]);
    },
  );
});

test('every published number is delivered once, in order, with all its digits', async () => {
  const odd = [
    'a b',
    'a&b=c',
    '100%',
    'a+b#c',
    'سکه تمام',
    'نیم\u200cسکه',
    'ي',
    'ی',
    'x'.repeat(256),
  ];
  const keys: ContractKey[] = [
    ...names(...odd),
    ...['007', '7', 'id&x'].map((id) => contractKey('id', id)),
  ];
  const each = 225;
  const market = await new TestExchange().listen();
  const gateway = await testGateway({ IME_URL: market.url });
  const inbox = new Inbox<ContractUpdate>(wsClient(gateway), UPDATES, {
    names: odd,
    ids: ['007', '7', 'id&x'],
    initial: false,
  });
  await market.carries(keys);
  const huge = 12345678901234567891n;
  for (let update = 0; update < each; update++) {
    for (const key of keys) market.publish(key, `${huge + BigInt(update)}.50`);
    await new Promise((resolve) => setImmediate(resolve));
  }
  await inbox.until(({ values }) => values.length >= each * keys.length, 'all 2,700 have arrived');
  for (const key of keys) {
    const expected = Array.from({ length: each }, (_, update) => `${huge + BigInt(update)}.50`);
    expect(pricesOf(inbox, key)).toEqual(expected);
  }
  expect(inbox.values).toHaveLength(2_700);
  const { data } = await ask(
    gateway,
    '{ contract(name: "100%") { snapshot { aggregate { totalValue } } } }',
  );
  expect(data).toEqual({
    contract: { snapshot: { aggregate: { totalValue: '12345678901234567891' } } },
  });
});

test('a hundred clients on forty contracts share one upstream socket for each endpoint', async () => {
  const gateway = await testGateway();
  const { data } = await ask<{ contracts: { id: ContractKey }[] }>(gateway, '{ contracts { id } }');
  const keys = data?.contracts.map(({ id }) => id) ?? [];
  expect(keys).toHaveLength(80);
  const of = (space: string) => keys.filter((key) => key.startsWith(space)).map(contractTextOf);
  const inboxes = Array.from(
    { length: 100 },
    () =>
      new Inbox<ContractUpdate>(wsClient(gateway), UPDATES, { names: of('name:'), ids: of('id:') }),
  );
  await Promise.all(
    inboxes.map((inbox) =>
      inbox.until(
        ({ values }) =>
          new Set(
            values
              .filter(({ contractUpdates }) => contractUpdates.status === 'LIVE')
              .map(({ contractUpdates }) => contractUpdates.id),
          ).size === 80,
        'all contracts are live',
      ),
    ),
  );
  const { upstream, clients, subscriptions } = gateway.report();
  expect(upstream.sockets.map(({ endpoint, contracts }) => [endpoint, contracts])).toEqual([
    ['NAME', 40],
    ['ID', 40],
  ]);
  expect(clients).toBe(100);
  expect(subscriptions).toBe(100);
});

test('junk from upstream that names no contract changes nothing but counters', async () => {
  const market = await new TestExchange().listen();
  const gateway = await testGateway({ IME_URL: market.url });
  const inbox = new Inbox<ContractUpdate>(wsClient(gateway), UPDATES, {
    names: ['A'],
    initial: false,
  });
  await market.carries(names('A'));
  market.publish('name:A', 1);
  await inbox.until((box) => pricesOf(box).length === 1, 'the first state arrives');
  const junk = [
    '',
    '{"contractName":',
    '[]',
    '{"contractName":"FOREIGN","timestamp":"2026-05-23T15:10:00","data":{}}',
    '{"ContractId":"A","timestamp":"2026-05-23T15:10:00","data":{}}',
    '{"contractName":["A"],"timestamp":"2026-05-23T15:10:00","data":{}}',
    Buffer.from([1, 2, 3]),
  ];
  for (const frame of junk) market.exchange.broadcast(frame);
  market.publish('name:A', 2);
  await inbox.until((box) => pricesOf(box).length === 2, 'the next state arrives');
  expect(pricesOf(inbox)).toEqual(['1', '2']);
  expect(inbox.values.map(({ contractUpdates }) => contractUpdates.snapshot?.sequence)).toEqual([
    '1',
    '2',
  ]);
  expect(gateway.report().upstream).toMatchObject({
    droppedFrames: junk.length,
    messages: 2,
    dials: 1,
  });
});

test('a contract whose messages cannot be read says so once, and goes on with the next that can', async () => {
  const market = await new TestExchange().listen();
  const gateway = await testGateway({ IME_URL: market.url });
  const inbox = new Inbox<{
    contractUpdates: { status: string; statusCode: string | null; snapshot: object | null };
  }>(
    wsClient(gateway),
    'subscription { contractUpdates(names: ["A"]) { status statusCode snapshot { sequence } } }',
  );
  await market.carries(names('A'));
  const broken = '{"contractName":"A","timestamp":1,"data":{}}';
  market.exchange.broadcast(broken);
  await inbox.until(({ values }) => values.length === 2, 'it is told before its first state');
  market.publish('name:A', 1);
  market.exchange.broadcast(broken);
  market.exchange.broadcast(broken);
  await inbox.until(({ values }) => values.length === 4, 'it is told after it');
  expect(gateway.report().reasons).toEqual([]);
  expect(gateway.report().upstream.problems).toEqual([
    'The messages of 1 contract cannot be read.',
  ]);
  market.publish('name:A', 2);
  await inbox.until(({ values }) => values.length === 5, 'it goes on');
  expect(
    inbox.values.map(({ contractUpdates: { status, statusCode } }) => [status, statusCode]),
  ).toEqual([
    ['PENDING', 'AWAITING_STATE'],
    ['PENDING', 'UNREADABLE'],
    ['LIVE', null],
    ['STALE', 'UNREADABLE'],
    ['LIVE', null],
  ]);
  expect(gateway.report().upstream.problems).toEqual([]);
});

test('a partial or empty message keeps the sections that were known', async () => {
  const market = await new TestExchange().listen();
  const gateway = await testGateway({ IME_URL: market.url });
  const inbox = new Inbox<ContractUpdate>(wsClient(gateway), UPDATES, { names: ['A'] });
  await market.carries(names('A'));
  market.publish('name:A', 5);
  const empty = { bestLimits: null, aggregate: null, allowedPriceRange: null, contractInfo: null };
  market.exchange.publish(['name:A'], TEHRAN.toLocal(Date.now()), empty);
  const info = { openInterest: '99', openInterestChanges: null };
  market.exchange.publish(['name:A'], TEHRAN.toLocal(Date.now()), { ...empty, contractInfo: info });
  await inbox.until((box) => pricesOf(box).length === 3, 'all three arrive');
  expect(pricesOf(inbox)).toEqual(['5', '5', '5']);
  expect(gateway.report().upstream.partialMessages).toBe(2);
  const { data } = await ask(
    gateway,
    '{ contract(name: "A") { snapshot { bestLimits { level } contractInfo { openInterest openInterestChanges } } } }',
  );
  const bestLimits = marketState('5').bestLimits?.map(({ level }) => ({ level }));
  expect(data).toEqual({
    contract: {
      snapshot: { bestLimits, contractInfo: { openInterest: '99', openInterestChanges: null } },
    },
  });
});

test('a subscription of nothing but unknown contracts tells each of them and completes', async () => {
  const market = await new TestExchange().listen();
  market.unlisted.add('name:X').add('name:Y');
  const gateway = await testGateway({ IME_URL: market.url, IME_PINNED_NAMES: 'A' });
  await market.carries(names('A'));
  const inbox = new Inbox<ContractUpdate>(wsClient(gateway), UPDATES, { names: ['X', 'Y'] });
  const mixed = new Inbox<ContractUpdate>(wsClient(gateway), UPDATES, { names: ['A', 'X'] });
  await inbox.until(({ completed }) => completed, 'the subscription completes');
  const last = new Map(inbox.values.map(({ contractUpdates: { id, status } }) => [id, status]));
  expect(last).toEqual(
    new Map([
      ['name:X', 'INVALID'],
      ['name:Y', 'INVALID'],
    ]),
  );
  market.publish('name:A', 1);
  await mixed.until((box) => pricesOf(box).length > 0, 'the good contract goes on');
  expect(mixed.completed).toBe(false);
});

test('a subscription that ends lets its contract linger, and then nothing is left upstream', async () => {
  const market = await new TestExchange().listen();
  const gateway = await testGateway({ IME_URL: market.url, IME_LINGER_MS: '50' });
  const inbox = new Inbox<ContractUpdate>(wsClient(gateway), UPDATES, { names: ['A'] });
  await market.carries(names('A'));
  inbox.unsubscribe();
  await until(() => market.exchange.subscriptions.length === 0, 'the upstream socket is closed');
  expect(gateway.report().contracts.PENDING).toBe(0);
});

test('server-sent events can be read with nothing but fetch', async () => {
  const gateway = await testGateway();
  const query = 'subscription { contractUpdates(names: ["Gold Bar DE05"]) { id } }';
  const response = await fetch(`${gateway.url}/graphql?query=${encodeURIComponent(query)}`, {
    headers: { accept: 'text/event-stream' },
  });
  expect(response.headers.get('content-type')).toContain('text/event-stream');
  const reader = (response.body as ReadableStream<Uint8Array>).getReader();
  let text = '';
  while (!text.includes('"id":"name:Gold Bar DE05"')) {
    const { value, done } = await reader.read();
    expect(done).toBe(false);
    text += Buffer.from(value ?? []).toString('utf8');
  }
  expect(text).toContain('event: next');
  await reader.cancel();
  await until(() => gateway.report().subscriptions === 0, 'the subscription ends with its client');
});
