import { describe, expect, test } from 'vitest';
import { contractKey } from '../src/contract/key.ts';
import { type ContractUpdate, Inbox, pricesOf, wsClient } from './kit/clients.ts';
import { names, TEHRAN, TestExchange, testGateway, until } from './kit/gateway.ts';
import { lastStatus, numbered, pin, publishing, settled, subscribed } from './kit/upstream.ts';

describe('a service that fails', () => {
  test('by a restart: STALE within 1 s, data again within 5 s of its return', async () => {
    const market = await new TestExchange().listen();
    const gateway = await testGateway({ IME_URL: market.url });
    const inbox = subscribed(gateway, ['A']);
    await market.carries(names('A'));
    market.publish('name:A', 1);
    await inbox.until((box) => lastStatus(box) === 'LIVE', 'the contract is live');
    const stoppedMs = performance.now();
    await market.exchange.close();
    await inbox.until((box) => lastStatus(box) === 'STALE', 'the loss is told');
    expect(performance.now() - stoppedMs).toBeLessThan(1_000);
    expect(inbox.values.at(-1)?.contractUpdates.statusReason).toContain(
      'connection to IME was lost',
    );
    await new Promise((resolve) => setTimeout(resolve, 3_000));
    const returnedMs = performance.now();
    await market.listen();
    await market.carries(names('A'));
    market.publish('name:A', 2);
    await inbox.until((box) => lastStatus(box) === 'LIVE', 'the contract is live again');
    expect(performance.now() - returnedMs).toBeLessThan(5_000);
    expect(inbox.completed).toBe(false);
  });

  test('by opening and dying at once: few dials, and data when it recovers', async () => {
    const market = await new TestExchange().listen();
    market.exchange.faults.dieOnOpenMs = 20;
    const gateway = await testGateway({ IME_URL: market.url });
    const inbox = subscribed(gateway, ['A']);
    await new Promise((resolve) => setTimeout(resolve, 8_000));
    // With full jitter the waits of eight seconds are at least 250 ms, on average 3.9 s after five dials.
    expect(market.exchange.dials).toBeLessThanOrEqual(12);
    expect(lastStatus(inbox)).toBe('PENDING');
    await until(() => !gateway.report().ready, 'it is not ready');
    market.exchange.faults.dieOnOpenMs = undefined;
    // By now the backoff may be as long as it gets.
    await market.carries(names('A'), 35_000);
    market.publish('name:A', 1);
    await inbox.until((box) => lastStatus(box) === 'LIVE', 'the contract is live');
  }, 60_000);

  test('by freezing 15 s: STALE within 12 s, and nothing over 2 s old is shown as LIVE', async () => {
    const market = await new TestExchange().listen();
    const gateway = await testGateway({ IME_URL: market.url });
    const ages: number[] = [];
    const query =
      'subscription { contractUpdates(names: ["A"]) { status snapshot { publishedAt } } }';
    type Aged = { contractUpdates: { status: string; snapshot: { publishedAt: string } | null } };
    const inbox = new Inbox<Aged>(wsClient(gateway), query);
    const { stop } = publishing(market, names('A'), 100);
    await inbox.until(({ values }) => values.length > 20, 'updates flow');
    const frozenMs = performance.now();
    market.exchange.faults.freeze();
    const seen = inbox.values.length;
    await inbox.until(
      ({ values }) => values.at(-1)?.contractUpdates.status === 'STALE',
      'it is told',
    );
    expect(performance.now() - frozenMs).toBeLessThan(12_000);
    await new Promise((resolve) => setTimeout(resolve, 15_000 - (performance.now() - frozenMs)));
    market.exchange.faults.thaw();
    await inbox.until(
      ({ values }) => values.at(-1)?.contractUpdates.status === 'LIVE',
      'it is back',
    );
    for (const { contractUpdates } of inbox.values.slice(seen)) {
      if (contractUpdates.status !== 'LIVE' || !contractUpdates.snapshot) continue;
      ages.push(Date.now() - Date.parse(contractUpdates.snapshot.publishedAt));
    }
    expect(Math.max(...ages)).toBeLessThan(2_000);
    stop();
  }, 60_000);

  test('by a path that is cut: noticed by the heartbeat, and back when it heals', async () => {
    const market = await new TestExchange().listen();
    const heartbeat = { IME_PING_INTERVAL_MS: '200', IME_PING_TIMEOUT_MS: '200' };
    const gateway = await testGateway({ IME_URL: market.url, ...heartbeat });
    const inbox = subscribed(gateway, ['A']);
    await market.carries(names('A'));
    market.publish('name:A', 1);
    await inbox.until((box) => lastStatus(box) === 'LIVE', 'the contract is live');
    const cutMs = performance.now();
    market.exchange.faults.cut();
    market.publish('name:A', 2);
    await inbox.until((box) => lastStatus(box) === 'STALE', 'the silence is noticed');
    expect(performance.now() - cutMs).toBeLessThan(2_000);
    expect(inbox.values.at(-1)?.contractUpdates.statusReason).toContain('not even a pong');
    market.exchange.faults.thaw();
    publishing(market, names('A'), 50);
    await inbox.until((box) => lastStatus(box) === 'LIVE', 'the contract is live again');
  });

  test('by sending late: STALE with a reason until it has caught up', async () => {
    const market = await new TestExchange().listen();
    const gateway = await testGateway({ IME_URL: market.url });
    const inbox = subscribed(gateway, ['A']);
    await market.carries(names('A'));
    market.publish('name:A', 1);
    await inbox.until((box) => lastStatus(box) === 'LIVE', 'the contract is live');
    market.publish('name:A', 2, TEHRAN.toLocal(Date.now() - 12_000));
    await inbox.until((box) => pricesOf(box).length === 2, 'the late state arrives');
    expect(inbox.values.at(-1)?.contractUpdates).toMatchObject({ status: 'STALE' });
    expect(inbox.values.at(-1)?.contractUpdates.statusReason).toMatch(/late: this one by 12\.\d s/);
    market.publish('name:A', 3);
    await inbox.until((box) => lastStatus(box) === 'LIVE', 'it has caught up');
  });

  test.each([
    [502, 'IME are down'],
    [404, 'no such endpoint'],
  ])('by answering HTTP %i: not ready, and it says why', async (status, reason) => {
    const market = await new TestExchange().listen();
    market.exchange.faults.answer = { status };
    const gateway = await testGateway({ IME_URL: market.url, ...pin(['A']) });
    await until(
      () => gateway.report().reasons.join().includes(String(status)),
      'the fault is told',
    );
    expect(gateway.report().reasons.join()).toContain(reason);
    expect((await fetch(`${gateway.url}/ready`)).status).toBe(503);
  });

  test('by throttling: no dial before the time that it asks for', async () => {
    const market = await new TestExchange().listen();
    market.exchange.faults.answer = { status: 429, headers: { 'retry-after': '2' } };
    const gateway = await testGateway({ IME_URL: market.url, ...pin(['A']) });
    await until(() => market.exchange.dials === 1, 'it has dialed');
    const askedMs = performance.now();
    market.exchange.faults.answer = undefined;
    await market.carries(names('A'));
    expect(performance.now() - askedMs).toBeGreaterThan(1_800);
    expect(market.exchange.dials).toBe(2);
    await until(() => gateway.report().ready, 'the gateway is ready');
  });
});

describe('a URL', () => {
  test('of 60 Persian names of 30 letters is never too long for an old server', async () => {
    const market = await new TestExchange().listen();
    market.exchange.faults.maxTargetBytes = 4_095;
    const texts = Array.from(
      { length: 60 },
      (_, place) => `قرارداد آتی ${String(place).padEnd(18, 'ن')}`,
    );
    const gateway = await testGateway({ IME_URL: market.url, ...pin(texts) });
    await market.carries(names(...texts));
    expect(gateway.report().upstream.dials).toBe(market.exchange.subscriptions.length);
    await settled(gateway);
  });

  test('that is refused as too long is made shorter until it is not', async () => {
    const market = await new TestExchange().listen();
    market.exchange.faults.maxTargetBytes = 700;
    const texts = numbered(60, 'a contract with a long name ');
    const gateway = await testGateway({ IME_URL: market.url, ...pin(texts) });
    await market.carries(names(...texts));
    expect(gateway.report().contracts.INVALID).toBe(0);
  });
});

test('50 changes of the set at 1,000 messages a second: none missing, none twice, none out of order', async () => {
  const market = await new TestExchange().listen();
  const steady = numbered(10, 'steady');
  const gateway = await testGateway({ IME_URL: market.url, IME_LINGER_MS: '100' });
  const inbox = subscribed(gateway, steady);
  await market.carries(names(...steady));
  const { published, stop } = publishing(market, names(...steady), 10);
  const guests: Inbox<ContractUpdate>[] = [];
  for (let change = 0; change < 50; change++) {
    if (guests.length > 3) guests.shift()?.unsubscribe();
    guests.push(subscribed(gateway, [`guest${change}`]));
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  await until(
    () =>
      market.exchange.subscriptions.length <= 2 && gateway.report().upstream.sockets.length <= 2,
    '14 contracts are carried by at most two sockets',
    5_000,
  );
  stop();
  await inbox.until(
    (box) =>
      names(...steady).every(
        (key) => pricesOf(box, key).length >= (published.get(key)?.length ?? 0),
      ),
    'all updates have come',
  );
  for (const key of names(...steady)) expect(pricesOf(inbox, key)).toEqual(published.get(key));
  for (const guest of guests) guest.unsubscribe();
  inbox.unsubscribe();
  await until(
    () => market.exchange.subscriptions.length === 0,
    'no socket is left with nothing wanted',
  );
}, 60_000);

test('100,000 updates at full speed: bounded memory, and the last states right', async () => {
  const market = await new TestExchange().listen();
  const keys = Array.from({ length: 100 }, (_, place) => contractKey('id', `n${place}`));
  const gateway = await testGateway({ IME_URL: market.url });
  const latest = new Map<string, string>();
  const query =
    'subscription ($ids: [ID!]) { contractUpdates(ids: $ids) { id snapshot { sequence } } }';
  type Numbered = { contractUpdates: { id: string; snapshot: { sequence: string } | null } };
  wsClient(gateway).subscribe<Numbered>(
    { query, variables: { ids: keys.map((key) => key.slice(3)) } },
    {
      next: ({ data }) => {
        const { id, snapshot } = data?.contractUpdates ?? {};
        if (id && snapshot) latest.set(id, snapshot.sequence);
      },
      error: () => {},
      complete: () => {},
    },
  );
  await market.carries(keys);
  const heapBefore = process.memoryUsage().heapUsed;
  let peak = 0;
  for (let round = 1; round <= 1_000; round++) {
    for (const key of keys) market.publish(key, round);
    if (round % 20 === 0) {
      await new Promise((resolve) => setImmediate(resolve));
      peak = Math.max(peak, process.memoryUsage().heapUsed - heapBefore);
    }
  }
  await until(() => gateway.report().upstream.messages === 100_000, 'all messages have been read');
  const { contracts } = gateway.report();
  expect(contracts.LIVE + contracts.STALE).toBe(100);
  await until(
    () => keys.every((key) => latest.get(key) === '1000'),
    'the last state of each has arrived',
    5_000,
  );
  process.stdout.write(
    `100,000 updates: heap +${(peak / 1e6).toFixed(0)} MB at most, exchange and client included\n`,
  );
}, 60_000);
