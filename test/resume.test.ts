import { describe, expect, onTestFinished, test } from 'vitest';
import type { Gateway } from '../src/app/gateway.ts';
import { ask, Inbox, sseClient, wsClient } from './kit/clients.ts';
import { EventStream } from './kit/events.ts';
import { liveMarket, names, TestExchange, testGateway, until } from './kit/gateway.ts';
import { RawClient } from './kit/raw.ts';

const NAMES = ['A', 'B', 'C', 'D'];

interface Told {
  readonly contractUpdates: {
    readonly id: string;
    readonly cursor: string;
    readonly status: string;
    readonly snapshot: { readonly aggregate: { readonly lastPrice: string } } | null;
  };
}

const SELECTION = 'id cursor status snapshot { sequence aggregate { lastPrice } }';
const updates = (args: string, selection = SELECTION) =>
  `subscription { contractUpdates(names: ${JSON.stringify(NAMES)} ${args}) { ${selection} } }`;

// Their first states do not come in the order of the names.
const market = (settings: Record<string, string> = {}) =>
  liveMarket(NAMES, ['C', 'A', 'D', 'B'], settings);

const said = (inbox: { values: readonly Told[] }) =>
  inbox.values.map(
    ({ contractUpdates: { id, snapshot } }) =>
      `${id.slice(5)}${snapshot?.aggregate.lastPrice ?? ''}`,
  );
const cursors = (inbox: { values: readonly Told[] }) =>
  inbox.values.map(({ contractUpdates }) => contractUpdates.cursor);
const isStrictlyGrowing = (texts: readonly string[]) =>
  texts.every((text, at) => at === 0 || text > (texts[at - 1] ?? ''));

/** Follows until so many updates have come, and ends. */
async function read(gateway: Gateway, query: string, count: number) {
  const client = wsClient(gateway);
  const inbox = new Inbox<Told>(client, query);
  await inbox.until(({ values }) => values.length >= count, `${count} updates have come`);
  inbox.unsubscribe();
  return inbox;
}

describe('a cursor', () => {
  test('is of fixed width, and grows along a stream from its first burst on', async () => {
    const [exchange, gateway] = await market();
    const inbox = new Inbox<Told>(wsClient(gateway), updates(''));
    await inbox.until(({ values }) => values.length === 4, 'it begins');
    expect(said(inbox)).toEqual(['C1', 'A1', 'D1', 'B1']);
    for (const name of ['B', 'A', 'B']) exchange.publish(`name:${name}`, 2);
    exchange.exchange.drop();
    await inbox.until(({ values }) => values.length === 11, 'each changes its status too');
    expect(inbox.values.slice(7).map(({ contractUpdates }) => contractUpdates.status)).toEqual(
      Array(4).fill('STALE'),
    );
    expect(isStrictlyGrowing(cursors(inbox))).toBe(true);
    expect(new Set(cursors(inbox).map((cursor) => cursor.length)).size).toBe(1);
    expect(new Set(cursors(inbox).map((cursor) => cursor.split(':')[0])).size).toBe(1);
    expect(cursors(inbox)[0]).toMatch(/^[0-9a-f]{8}:\d{16}$/);
  });

  test('is one of a contract too of which nothing has come yet', async () => {
    const [, gateway] = await market();
    const query = 'subscription { contractUpdates(names: ["new 1", "new 2"]) { cursor } }';
    const inbox = await read(gateway, query, 2);
    const { data } = await ask<{ contract: { cursor: string } }>(
      gateway,
      '{ contract(name: "B", waitMs: 0) { cursor } }',
    );
    expect(isStrictlyGrowing([data?.contract.cursor ?? '', ...cursors(inbox)])).toBe(true);
  });

  test('has another epoch after a restart of the gateway, and begins with everything there', async () => {
    const [exchange, gateway] = await market();
    const before = cursors(await read(gateway, updates(''), 4));
    await gateway.close();
    const next = await testGateway({ IME_URL: exchange.url, IME_PINNED_NAMES: NAMES.join(',') });
    await exchange.carries(names(...NAMES));
    await until(
      () => next.report().upstream.sockets.some(({ state }) => state === 'settled'),
      'it is connected',
    );
    for (const name of NAMES) exchange.publish(`name:${name}`, 5);
    await until(() => next.report().contracts.LIVE === 4, 'all are live');
    const after = await read(next, updates(`since: "${before.at(-1)}"`), 4);
    expect(said(after)).toEqual(['A5', 'B5', 'C5', 'D5']);
    expect(cursors(after)[0]?.slice(0, 8)).not.toBe(before[0]?.slice(0, 8));
  });
});

describe('since', () => {
  test('begins with the newest state of each contract that has changed, over a WebSocket', async () => {
    const [exchange, gateway] = await market();
    const first = new Inbox<Told>(wsClient(gateway), updates(''));
    await first.until(({ values }) => values.length === 4, 'it begins');
    const since = cursors(first).at(-1);
    for (const [name, price] of [
      ['D', 2],
      ['B', 2],
      ['D', 3],
    ] as const) {
      exchange.publish(`name:${name}`, price);
    }
    await first.until(({ values }) => values.length === 7, 'they have changed');
    const inbox = new Inbox<Told>(wsClient(gateway), updates(`since: "${since}"`));
    await inbox.until(({ values }) => values.length >= 2, 'it resumes');
    exchange.publish('name:A', 9);
    await inbox.until(({ values }) => values.length > 2, 'it goes on');
    expect(said(inbox)).toEqual(['B2', 'D3', 'A9']);
    expect(isStrictlyGrowing([since ?? '', ...cursors(inbox)])).toBe(true);
  });

  test('wins over initial: false', async () => {
    const [exchange, gateway] = await market();
    const all = cursors(await read(gateway, updates(''), 4));
    const inbox = new Inbox<Told>(wsClient(gateway), updates(`since: "${all[1]}" initial: false`));
    await inbox.until(({ values }) => values.length >= 2, 'it resumes');
    exchange.publish('name:A', 2);
    await inbox.until(({ values }) => values.length >= 3, 'it goes on');
    expect(said(inbox)).toEqual(['D1', 'B1', 'A2']);
  });

  test('is the largest cursor of a query that was rendered on a server', async () => {
    const [exchange, gateway] = await market();
    const { data } = await ask<{ contracts: { cursor: string }[] }>(
      gateway,
      `{ contracts(names: ${JSON.stringify(NAMES)}) { ${SELECTION} } }`,
    );
    const since = data?.contracts
      .map(({ cursor }) => cursor)
      .sort()
      .at(-1);
    const inbox = new Inbox<Told>(wsClient(gateway), updates(`since: "${since}"`));
    const witness = new Inbox<Told>(wsClient(gateway), updates(''));
    await witness.until(({ values }) => values.length === 4, 'both are open');
    exchange.publish('name:C', 7);
    await inbox.until(({ values }) => values.length === 1, 'it goes on');
    expect(said(inbox)).toEqual(['C7']);
  });

  test('of another epoch, or beyond what was given out, begins with everything', async () => {
    const [, gateway] = await market();
    const last = cursors(await read(gateway, updates(''), 4)).at(-1) ?? '';
    const [epoch = '', position = ''] = last.split(':');
    const foreign = `${epoch[0] === '0' ? '1' : '0'}${epoch.slice(1)}:${position}`;
    for (const since of [foreign, `${epoch}:9${position.slice(1)}`, `${epoch}:${'9'.repeat(16)}`]) {
      const inbox = await read(gateway, updates(`since: "${since}" initial: false`), 4);
      expect(said(inbox)).toEqual(['C1', 'A1', 'D1', 'B1']);
    }
  });

  test.each(['', 'nonsense', ':', '0', '00000000:', '00000000:1', 'x y', 'a:b:c'])(
    'that cannot be read is the client’s mistake: %j',
    async (since) => {
      const [, gateway] = await market();
      const inbox = new Inbox<Told>(wsClient(gateway), updates(`since: ${JSON.stringify(since)}`));
      await inbox.until(({ errors }) => errors.length > 0, 'it is refused');
      expect(inbox.errors[0]).toMatchObject({
        extensions: { code: 'BAD_USER_INPUT', argument: 'since' },
      });
    },
  );

  test('leaves out a refused contract that was told, and is complete where nothing else can come', async () => {
    const exchange = await new TestExchange().listen();
    exchange.unlisted.add('name:gone');
    const gateway = await testGateway({ IME_URL: exchange.url, IME_PINNED_NAMES: 'listed' });
    const query = (more: string) =>
      `subscription { contractUpdates(names: ["gone"] ${more}) { id cursor status } }`;
    const first = new Inbox<Told>(wsClient(gateway), query(''));
    await first.until(({ completed }) => completed, 'it is complete');
    expect(first.values.at(-1)?.contractUpdates.status).toBe('INVALID');
    const [early, late] = [cursors(first)[0], cursors(first).at(-1)];
    const again = new Inbox<Told>(wsClient(gateway), query(`since: "${early}"`));
    await again.until(({ completed }) => completed, 'it is complete');
    expect(again.values.map(({ contractUpdates }) => contractUpdates.status)).toEqual(['INVALID']);
    const known = new Inbox<Told>(wsClient(gateway), query(`since: "${late}"`));
    await known.until(({ completed }) => completed, 'it is complete');
    expect(known.values).toEqual([]);
  });

  test('sends again with a pace what has changed within one interval before, never less', async () => {
    const [exchange, gateway] = await market();
    const PACE = 'maxUpdatesPerSecond: 2';
    const inbox = new Inbox<Told>(wsClient(gateway), updates(PACE));
    await inbox.until(({ values }) => values.length === 4, 'it begins');
    exchange.publish('name:A', 2);
    await inbox.until(({ values }) => values.length === 5, 'its time had come');
    exchange.publish('name:A', 3);
    // It is held back; another one is not.
    exchange.publish('name:B', 2);
    await inbox.until((one) => said(one).includes('B2'), 'the other one has come');
    expect(said(inbox)).not.toContain('A3');
    const since = inbox.values.find(({ contractUpdates: { id, snapshot } }) => {
      return id === 'name:B' && snapshot?.aggregate.lastPrice === '2';
    })?.contractUpdates.cursor;
    inbox.unsubscribe();
    const resumed = new Inbox<Told>(wsClient(gateway), updates(`${PACE} since: "${since}"`));
    await resumed.until((one) => said(one).includes('A3'), 'nothing is lost');
    await new Promise((resolve) => setTimeout(resolve, 600));
    exchange.publish('name:D', 2);
    await resumed.until((one) => said(one).includes('D2'), 'another one changes');
    const later = new Inbox<Told>(
      wsClient(gateway),
      updates(`${PACE} since: "${cursors(resumed).at(-1)}"`),
    );
    exchange.publish('name:C', 8);
    await later.until((one) => said(one).includes('C8'), 'it goes on');
    expect(said(later)).not.toContain('A3');
  });

  test('tells with changesOnly nothing that reads as what the client has', async () => {
    const [exchange, gateway] = await market();
    const query = (more: string) =>
      updates(
        `changesOnly: true ${more}`,
        'id cursor status snapshot { sequence timestamp publishedAt receivedAt aggregate { lastPrice } }',
      );
    const inbox = new Inbox<Told>(wsClient(gateway), query(''));
    await inbox.until(({ values }) => values.length === 4, 'it begins');
    // Another sequence, cursor and times are no change.
    for (const name of NAMES) exchange.publish(`name:${name}`, 1);
    exchange.publish('name:B', 2);
    await inbox.until(({ values }) => values.length === 5, 'one changes');
    expect(said(inbox)).toEqual(['C1', 'A1', 'D1', 'B1', 'B2']);
    inbox.unsubscribe();
    // What has come again as it was is no change for who was away, either.
    for (const name of ['A', 'B', 'D']) exchange.publish(`name:${name}`, name === 'B' ? 2 : 1);
    exchange.publish('name:D', 4);
    await until(() => gateway.report().upstream.messages >= 13, 'they have come');
    const resumed = new Inbox<Told>(wsClient(gateway), query(`since: "${cursors(inbox).at(-1)}"`));
    await resumed.until(({ values }) => values.length > 0, 'one has changed');
    const witness = new Inbox<Told>(wsClient(gateway), updates(''));
    await witness.until(({ values }) => values.length === 4, 'both are open');
    for (const name of ['A', 'B', 'C']) exchange.publish(`name:${name}`, name === 'B' ? 2 : 1);
    exchange.publish('name:C', 3);
    await resumed.until(({ values }) => values.length > 1, 'one changes');
    expect(said(resumed)).toEqual(['D4', 'C3']);
  });
});

describe('server-sent events', () => {
  test('have their cursor as id, by which Last-Event-ID resumes', async () => {
    const [exchange, gateway] = await market();
    const stream = new EventStream(gateway.url, updates(''));
    await stream.until(() => stream.events.length === 4, 'it begins');
    expect(stream.events.map(({ id }) => id)).toEqual(
      stream.results<Told>().map(({ contractUpdates }) => contractUpdates.cursor),
    );
    stream.close();
    exchange.publish('name:D', 2);
    const query = updates(`since: "${stream.events[0]?.id}"`);
    const resumed = new EventStream(gateway.url, query, {
      'last-event-id': stream.lastEventId ?? '',
    });
    await resumed.until(() => resumed.events.length === 1, 'it resumes');
    exchange.publish('name:A', 3);
    await resumed.until(() => resumed.events.length === 2, 'it goes on');
    expect(said({ values: resumed.results<Told>() })).toEqual(['D2', 'A3']);
  });

  test.each(['nonsense', '0', 'ffffffff:0000000000000001', ' '])(
    'begin with everything where Last-Event-ID says nothing: %j',
    async (id) => {
      const [, gateway] = await market();
      const since = cursors(await read(gateway, updates(''), 4)).at(-1);
      const stream = new EventStream(gateway.url, updates(`since: "${since}"`), {
        'last-event-id': id,
      });
      await stream.until(() => stream.events.length === 4, 'it begins with everything');
    },
  );

  test('are read by graphql-sse as before', async () => {
    const [exchange, gateway] = await market();
    const inbox = new Inbox<Told>(sseClient(gateway), updates(''));
    await inbox.until(({ values }) => values.length === 4, 'it begins');
    const resumed = new Inbox<Told>(sseClient(gateway), updates(`since: "${cursors(inbox)[2]}"`));
    await resumed.until(({ values }) => values.length === 1, 'it resumes');
    exchange.publish('name:C', 2);
    await resumed.until(({ values }) => values.length === 2, 'it goes on');
    expect(said(resumed)).toEqual(['B1', 'C2']);
  });
});

test('a multipart subscription resumes by since', async () => {
  const [, gateway] = await market();
  const since = cursors(await read(gateway, updates(''), 4))[1];
  const abort = new AbortController();
  onTestFinished(() => abort.abort());
  const response = await fetch(`${gateway.url}/graphql`, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      accept: 'multipart/mixed;subscriptionSpec=1.0, application/json',
    },
    body: JSON.stringify({ query: updates(`since: "${since}"`) }),
    signal: abort.signal,
  });
  let text = '';
  const decoder = new TextDecoder();
  for await (const chunk of response.body ?? []) {
    text += decoder.decode(chunk as Uint8Array, { stream: true });
    if (text.includes('"name:B"')) break;
  }
  expect([...text.matchAll(/"id":"name:(.)"/g)].map(([, name]) => name)).toEqual(['D', 'B']);
});

test('a slow reader is brought the newest states in the order of their cursors', async () => {
  const [exchange, gateway] = await market({ CLIENT_BUFFER_BYTES: '16384' });
  const client = await new RawClient(gateway).init();
  const query = updates('', `${SELECTION} raw: snapshot { raw }`);
  client.subscribe('slow', query);
  await client.until(() => client.of('slow').length === 4, 'it begins');
  client.socket.pause();
  let price = 1;
  for (let round = 0; round < 100; round++) {
    price++;
    for (const name of [...NAMES].sort(() => (round % 3) - 1)) {
      for (let more = 0; more < 20; more++) exchange.publish(`name:${name}`, price);
    }
    await new Promise((resolve) => setImmediate(resolve));
  }
  const metric = async () => (await fetch(`${gateway.url}/metrics`)).text();
  while (!/conflated_updates_total [1-9]/.test(await metric())) {
    price++;
    for (const name of NAMES) exchange.publish(`name:${name}`, price);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  const isNewest = (states: readonly Told[]) =>
    NAMES.every((name) => said({ values: states }).includes(`${name}${price}`));
  const toldTo = (reader: RawClient) =>
    reader.of('slow').map(({ payload }) => (payload as { data: Told }).data);
  client.socket.resume();
  await client.until(() => isNewest(toldTo(client)), 'the newest of each has come');
  const all = cursors({ values: toldTo(client) });
  expect(isStrictlyGrowing(all)).toBe(true);
  // Wherever it had been cut, it would have been told the rest.
  for (const since of [all.at(-1), all.at(-2), all.at(-3), all.at(-4), all.at(-20)]) {
    const again = await new RawClient(gateway).init();
    again.subscribe('slow', updates(`since: "${since}"`));
    const known = toldTo(client).filter(
      ({ contractUpdates }) => contractUpdates.cursor <= (since ?? ''),
    );
    await again.until(() => isNewest([...known, ...toldTo(again)]), 'nothing is lost');
    expect(cursors({ values: toldTo(again) })).toEqual(
      all.filter((cursor) => cursor > (since ?? '')).slice(-toldTo(again).length || all.length),
    );
    again.socket.terminate();
  }
});
