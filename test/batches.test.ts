import { describe, expect, test } from 'vitest';
import { Inbox, wsClient } from './kit/clients.ts';
import { EventStream } from './kit/events.ts';
import { liveMarket, names, TestExchange, testGateway, until } from './kit/gateway.ts';
import { RawClient } from './kit/raw.ts';
import { bearer, JWT, token } from './kit/tokens.ts';

const NAMES = ['A', 'B', 'C', 'D'];

interface Told {
  readonly contractBatches: readonly {
    readonly id: string;
    readonly cursor: string;
    readonly status: string;
    readonly snapshot: { readonly aggregate: { readonly lastPrice: string } } | null;
  }[];
}

const SELECTION = 'id cursor status snapshot { aggregate { lastPrice } }';
const batches = (args = '', selection = SELECTION, of = `names: ${JSON.stringify(NAMES)}`) =>
  `subscription { contractBatches(${of} ${args}) { ${selection} } }`;

// Their first states do not come in the order of the names.
const market = (settings: Record<string, string> = {}) =>
  liveMarket(NAMES, ['C', 'A', 'D', 'B'], settings);

const said = (values: readonly Told[]) =>
  values.map(({ contractBatches }) =>
    contractBatches
      .map(({ id, snapshot }) => `${id.slice(5)}${snapshot?.aggregate.lastPrice ?? ''}`)
      .join(' '),
  );
const cursorsOf = (values: readonly Told[]) =>
  values.flatMap(({ contractBatches }) => contractBatches.map(({ cursor }) => cursor));
const toldOf = (client: RawClient, id: string) =>
  client.of(id).map(({ payload }) => (payload as { data: Told }).data);

const publishAll = (exchange: TestExchange, price: number) => {
  for (const name of NAMES) exchange.publish(`name:${name}`, price);
};

describe('contractBatches', () => {
  test('begins with one message, and then brings the newest of each in the order of change', async () => {
    const [exchange, gateway] = await market();
    const inbox = new Inbox<Told>(wsClient(gateway), batches('everyMs: 300'));
    await inbox.until(({ values }) => values.length === 1, 'it begins');
    for (const [name, price] of [
      ['A', 2],
      ['B', 2],
      ['A', 3],
    ] as const) {
      exchange.publish(`name:${name}`, price);
    }
    const startMs = performance.now();
    await inbox.until(({ values }) => values.length === 2, 'its time has come');
    expect(said(inbox.values)).toEqual(['C1 A1 D1 B1', 'B2 A3']);
    expect(performance.now() - startMs).toBeGreaterThan(50);
    const cursors = cursorsOf(inbox.values);
    expect(cursors).toEqual([...new Set(cursors)].sort());
  });

  test('sends the first change after silence at once, and is quiet while nothing changes', async () => {
    const [exchange, gateway] = await market();
    const inbox = new Inbox<Told>(wsClient(gateway), batches('everyMs: 60000 initial: false'));
    await until(() => gateway.report().subscriptions === 1, 'it is open');
    const startMs = performance.now();
    exchange.publish('name:A', 2);
    await inbox.until(({ values }) => values.length === 1, 'it comes at once');
    expect(performance.now() - startMs).toBeLessThan(5_000);
    const other = new Inbox<Told>(wsClient(gateway), batches('everyMs: 0'));
    await other.until(({ values }) => values.length === 1, 'another one begins');
    publishAll(exchange, 3);
    await other.until((one) => said(one.values).join(' ').includes('D3'), 'it goes on');
    expect(said(inbox.values)).toEqual(['A2']);
  });

  test('has at least everyMs between two messages, however much changes', async () => {
    const [exchange, gateway] = await market();
    const times: number[] = [];
    const client = await new RawClient(gateway).init();
    client.socket.on('message', () => times.push(performance.now()));
    client.subscribe('1', batches('everyMs: 100'));
    const startMs = performance.now();
    for (let price = 2; performance.now() - startMs < 1_000; price++) {
      publishAll(exchange, price);
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
    const tookMs = performance.now() - startMs;
    expect(times.length).toBeLessThanOrEqual(Math.ceil(tookMs / 100) + 1);
    expect(times.length).toBeGreaterThan(3);
    for (const { contractBatches } of toldOf(client, '1')) {
      const ids = contractBatches.map(({ id }) => id);
      expect(new Set(ids).size).toBe(ids.length);
    }
  });

  test('resumes by a cursor, on server-sent events by the id of the last one', async () => {
    const [exchange, gateway] = await market();
    const stream = new EventStream(gateway.url, batches());
    await stream.until(() => stream.events.length === 1, 'it begins');
    expect(stream.lastEventId).toBe(cursorsOf(stream.results<Told>()).at(-1));
    stream.close();
    for (const name of ['D', 'A', 'D']) exchange.publish(`name:${name}`, 2);
    const late = new EventStream(gateway.url, batches(), {
      'last-event-id': stream.lastEventId ?? '',
    });
    await late.until(() => late.events.length >= 1, 'it resumes');
    exchange.publish('name:B', 3);
    await late.until(() => said(late.results<Told>()).join(' ').includes('B3'), 'it goes on');
    expect(said(late.results<Told>()).join(' ')).toBe('A2 D2 B3');
    const since = stream.lastEventId;
    const inbox = new Inbox<Told>(wsClient(gateway), batches(`since: "${since}" initial: false`));
    await inbox.until(({ values }) => values.length === 1, 'it resumes');
    expect(said(inbox.values)).toEqual(['A2 D2 B3']);
    const known = new Inbox<Told>(
      wsClient(gateway),
      batches(`since: "${cursorsOf(inbox.values).at(-1)}"`),
    );
    await until(() => gateway.report().subscriptions === 3, 'another one is open');
    exchange.publish('name:C', 4);
    await known.until(({ values }) => values.length === 1, 'it goes on');
    expect(said(known.values)).toEqual(['C4']);
  });

  test('with changesOnly leaves out what reads as it did when it was sent last', async () => {
    const [exchange, gateway] = await market();
    const inbox = new Inbox<Told>(
      wsClient(gateway),
      batches('everyMs: 200 changesOnly: true', `${SELECTION} x: snapshot { receivedAt }`),
    );
    await inbox.until(({ values }) => values.length === 1, 'it begins');
    exchange.publish('name:B', 1);
    // There and back again.
    for (const price of [2, 1]) exchange.publish('name:A', price);
    await new Promise((resolve) => setTimeout(resolve, 300));
    exchange.publish('name:C', 2);
    await inbox.until(({ values }) => values.length === 2, 'one has changed');
    expect(said(inbox.values)).toEqual(['C1 A1 D1 B1', 'C2']);
  });

  test('of all contracts is told of those that come and go, and no more than may be seen', async () => {
    const [exchange, gateway] = await market({ ...JWT, IME_LINGER_MS: '50' });
    const client = await new RawClient(gateway, bearer(await token())).init();
    client.subscribe('all', batches('everyMs: 20', 'id cursor status statusCode', 'all: true'));
    await client.until(() => client.of('all').length === 1, 'it begins');
    expect(toldOf(client, 'all')[0]?.contractBatches).toHaveLength(4);
    client.subscribe('X', 'subscription { contractUpdates(names: ["X"]) { id } }');
    await client.until(() => JSON.stringify(toldOf(client, 'all')).includes('name:X'), 'it joins');
    client.send({ id: 'X', type: 'complete' });
    await client.until(() => JSON.stringify(toldOf(client, 'all')).includes('RELEASED'), 'it goes');
    const narrow = await token({ contracts: ['name:A'] });
    // Gathered before, and not to be told any more.
    publishAll(exchange, 5);
    client.subscribe('r', `mutation { renewAuthorization(token: "${narrow}") { contracts } }`);
    await client.until(() => client.of('r').length === 2, 'it is renewed');
    const before = client.messages.length;
    publishAll(exchange, 6);
    await client.until(() => client.messages.length > before, 'it goes on');
    expect(JSON.stringify(client.messages.slice(before))).not.toMatch(/name:[BCDX]/);
  });

  test('tells of contracts that are refused, and completes where all are', async () => {
    const exchange = await new TestExchange().listen();
    for (const name of ['gone 1', 'gone 2']) exchange.unlisted.add(`name:${name}`);
    const gateway = await testGateway({ IME_URL: exchange.url, IME_PINNED_NAMES: 'listed' });
    await exchange.carries(names('listed'));
    const query = batches('everyMs: 60000', SELECTION, 'names: ["gone 1", "gone 2"]');
    const inbox = new Inbox<Told>(wsClient(gateway), query);
    await inbox.until(({ completed }) => completed, 'it is complete');
    const stream = new EventStream(gateway.url, query);
    await stream.until(() => stream.hasEnded, 'it is complete');
    for (const values of [inbox.values, stream.results<Told>()]) {
      const last = values.at(-1)?.contractBatches.map(({ status }) => status);
      expect(last).toEqual(['INVALID', 'INVALID']);
    }
    expect(stream.events.at(-1)?.type).toBe('complete');
    await until(() => gateway.report().subscriptions === 0, 'nothing is left');
  });

  test.each([-1, 1, 9, 60_001])('wants no batch every %i ms', async (everyMs) => {
    const [, gateway] = await market();
    const client = await new RawClient(gateway).init();
    client.subscribe('1', batches(`everyMs: ${everyMs}`));
    await client.until(() => client.of('1').length === 1, 'it is refused');
    expect(client.codes('1')).toEqual(['BAD_USER_INPUT']);
  });

  test('makes nobody a slow reader by a beginning that is longer than the buffer', async () => {
    const many = Array.from({ length: 300 }, (_, at) => `contract ${at}`);
    const exchange = await new TestExchange().listen();
    const gateway = await testGateway({
      IME_URL: exchange.url,
      IME_PINNED_NAMES: many.join(','),
      CLIENT_BUFFER_BYTES: '16384',
    });
    await exchange.carries(names(...many));
    for (const name of many) exchange.publish(`name:${name}`, 1);
    await until(() => gateway.report().contracts.LIVE === many.length, 'all are live');
    const client = await new RawClient(gateway).init();
    const FULL = `${SELECTION} raw: snapshot { raw bestLimits { level buyPrice sellPrice } }`;
    client.socket.pause();
    for (const id of ['1', '2', '3', '4', '5', '6', '7', '8']) {
      client.subscribe(id, batches('everyMs: 10', FULL, 'all: true'));
    }
    client.subscribe(
      'one',
      'subscription { contractUpdates(names: ["contract 0"]) { id snapshot { sequence } } }',
    );
    await until(() => gateway.report().subscriptions === 9, 'all are open');
    // What comes one by one is not conflated, though more than the bound is unsent.
    for (let price = 2; price <= 20; price++) exchange.publish('name:contract 0', price);
    await new Promise((resolve) => setTimeout(resolve, 100));
    client.socket.resume();
    await client.until(() => client.of('8').length >= 1, 'all begin');
    await client.until(() => client.of('one').length === 20, 'each has come');
    for (const id of ['1', '2', '8']) {
      expect(toldOf(client, id)[0]?.contractBatches).toHaveLength(300);
    }
    const metrics = await (await fetch(`${gateway.url}/metrics`)).text();
    expect(metrics).toContain('ime_gateway_conflated_updates_total 0');
  });

  test('brings a slow reader the newest states only', async () => {
    const [exchange, gateway] = await market({ CLIENT_BUFFER_BYTES: '16384' });
    const client = await new RawClient(gateway).init();
    client.subscribe('1', batches('everyMs: 0', `${SELECTION} raw: snapshot { raw }`));
    await client.until(() => client.of('1').length === 1, 'it begins');
    client.socket.pause();
    let price = 2;
    for (; price < 3_000; price++) {
      publishAll(exchange, price);
      if (price % 3 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    const last = String(price - 1);
    await until(() => gateway.report().upstream.messages >= 4 * (price - 1), 'all are read');
    client.socket.resume();
    await client.until(() => said(toldOf(client, '1')).join(' ').includes(`D${last}`), 'it reads');
    const cursors = cursorsOf(toldOf(client, '1'));
    expect(cursors).toEqual([...new Set(cursors)].sort());
    expect(toldOf(client, '1').length).toBeLessThan(3_000);
  });
});
