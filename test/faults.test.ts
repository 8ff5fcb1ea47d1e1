import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import type { ContractKey } from '../src/contract/key.ts';
import { contractKey } from '../src/contract/key.ts';
import type { Gateway } from '../src/gateway.ts';
import { isolationDialBound } from '../src/ime/isolation.ts';
import { type ContractUpdate, Inbox, pricesOf, UPDATES, wsClient } from './kit/clients.ts';
import { names, TEHRAN, TestExchange, testGateway, until } from './kit/gateway.ts';

const numbered = (count: number, prefix = 'c') =>
  Array.from({ length: count }, (_, place) => `${prefix}${place}`);
const pin = (texts: readonly string[]) => ({ IME_PINNED_NAMES: texts.join(',') });

/** Subscribes to contracts by name and keeps what is told. */
function subscribed(gateway: Gateway, texts: readonly string[]): Inbox<ContractUpdate> {
  return new Inbox<ContractUpdate>(wsClient(gateway), UPDATES, { names: texts });
}

/** The status that each contract was told last. */
function statuses(inbox: Inbox<ContractUpdate>): Map<string, string> {
  return new Map(inbox.values.map(({ contractUpdates: { id, status } }) => [id, status]));
}

function lastStatus(inbox: Inbox<ContractUpdate>): string | undefined {
  return inbox.values.at(-1)?.contractUpdates.status;
}

const settled = (gateway: Gateway) =>
  until(() => {
    const { sockets } = gateway.report().upstream;
    return sockets.length > 0 && sockets.every(({ state }) => state === 'settled');
  }, 'every socket is settled');

/** Publishes a number to each contract, higher by one each time, until the test is over. */
function publishing(market: TestExchange, keys: readonly ContractKey[], everyMs = 5) {
  const published = new Map(keys.map((key) => [key, [] as string[]]));
  const timer = setInterval(() => {
    for (const key of keys) {
      const prices = published.get(key) ?? [];
      prices.push(String(prices.length + 1));
      market.publish(key, prices.length);
    }
  }, everyMs);
  const stop = () => clearInterval(timer);
  onTestFinished(stop);
  return { published, stop };
}

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
    expect(gateway.report()).toMatchObject({ ready: false });
    market.exchange.faults.dieOnOpenMs = undefined;
    await market.carries(names('A'));
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
    expect(gateway.report().ready).toBe(true);
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

describe.each(['after', 'before'] as const)(
  'unknown contracts, refused %s the handshake',
  (refuse) => {
    test.each([1, 2, 5])(
      '%i among 200 are found, and the others served',
      async (bad) => {
        const market = await new TestExchange(undefined, refuse).listen();
        const texts = numbered(200);
        const carried = numbered(20, 'carried');
        const unknown = [13, 60, 61, 150, 199].slice(0, bad).map((place) => `c${place}`);
        for (const key of names(...unknown)) market.unlisted.add(key);
        const gateway = await testGateway({
          IME_URL: market.url,
          IME_MAX_CONTRACTS_PER_SOCKET: '200',
          ...pin(carried),
        });
        await settled(gateway);
        const others = subscribed(gateway, carried);
        await others.until(({ values }) => values.length === 20, 'those carried before are told');
        const { published, stop } = publishing(market, names(...carried), 20);
        const before = market.exchange.dials;
        const inbox = subscribed(gateway, texts);
        await until(
          () => gateway.report().contracts.INVALID === bad,
          'the unknown ones are found',
          60_000,
        );
        const good = texts.filter((text) => !unknown.includes(text));
        await market.carries(names(...good));
        await settled(gateway);
        for (const key of names(...good)) market.publish(key, 1);
        await inbox.until(
          (box) =>
            [...statuses(box).values()].filter((status) => status === 'LIVE').length === 200 - bad,
          'the others are live',
        );
        expect(
          new Set(
            [...statuses(inbox)].flatMap(([id, status]) => (status === 'INVALID' ? [id] : [])),
          ),
        ).toEqual(new Set(names(...unknown)));
        const dials = market.exchange.dials - before;
        const canaries = 1 + bad;
        process.stdout.write(
          `${bad} unknown of 200, refused ${refuse}: ${dials} dials, canaries included\n`,
        );
        expect(dials).toBeLessThanOrEqual(isolationDialBound(200, bad) + canaries);
        stop();
        await others.until(
          (box) =>
            names(...carried).every(
              (key) => pricesOf(box, key).length === published.get(key)?.length,
            ),
          'all updates of the others have come',
        );
        for (const key of names(...carried))
          expect(pricesOf(others, key)).toEqual(published.get(key));
      },
      120_000,
    );

    test('one newcomer beside 200 carried costs 2 dials and the canary, and no other socket', async () => {
      const market = await new TestExchange(undefined, refuse).listen();
      market.unlisted.add('name:unknown');
      const gateway = await testGateway({ IME_URL: market.url, ...pin(numbered(200)) });
      await market.carries(names(...numbered(200)));
      await settled(gateway);
      const before = market.exchange.dials;
      const inbox = subscribed(gateway, ['unknown']);
      await inbox.until(({ completed }) => completed, 'the newcomer is refused');
      expect(lastStatus(inbox)).toBe('INVALID');
      expect(inbox.values.at(-1)?.contractUpdates.statusReason).toBe('IME refuses this contract.');
      expect(market.exchange.dials - before).toBeLessThanOrEqual(3);
      expect(gateway.report().upstream.sockets.map(({ reconnects }) => reconnects)).toEqual([0, 0]);
      const again = subscribed(gateway, ['unknown']);
      await again.until(({ completed }) => completed, 'it is refused from memory');
      expect(market.exchange.dials - before).toBeLessThanOrEqual(3);
    });

    test('one that is delisted while carried is INVALID, the others go on', async () => {
      const market = await new TestExchange(undefined, refuse).listen();
      const gateway = await testGateway({ IME_URL: market.url, ...pin(numbered(8)) });
      await settled(gateway);
      for (const key of names(...numbered(8))) market.publish(key, 1);
      market.unlisted.add('name:c5');
      market.exchange.drop(1008);
      await until(() => gateway.report().contracts.INVALID === 1, 'the delisted one is found');
      await market.carries(names(...numbered(8)).filter((key) => key !== 'name:c5'));
      for (const key of names(...numbered(8))) market.publish(key, 2);
      await until(() => gateway.report().contracts.LIVE === 7, 'the others are live');
    }, 60_000);

    test('a bad token for 200 contracts: four dials, no contract INVALID, and a word why', async () => {
      const market = await new TestExchange('good', refuse).listen();
      const directory = mkdtempSync(join(tmpdir(), 'ime-gateway-'));
      const file = join(directory, 'token');
      writeFileSync(file, 'bad\n');
      const gateway = await testGateway({
        IME_URL: market.url,
        IME_TOKEN_FILE: file,
        ...pin(numbered(200)),
      });
      await until(
        () => gateway.report().reasons.join().includes('token'),
        'the refusal is understood',
      );
      expect(market.exchange.dials).toBeLessThanOrEqual(4);
      const inbox = subscribed(gateway, ['c0', 'new']);
      await inbox.until(
        (box) =>
          box.values.some(({ contractUpdates }) => contractUpdates.statusReason?.includes('token')),
        'subscribers are told why',
      );
      expect(gateway.report().contracts).toMatchObject({ PENDING: 201, INVALID: 0 });
      expect((await fetch(`${gateway.url}/ready`)).status).toBe(503);
      writeFileSync(file, 'good\n');
      await market.carries(names(...numbered(200), 'new'));
      expect(gateway.report()).toMatchObject({ ready: true, contracts: { INVALID: 0 } });
    }, 60_000);

    test('a token that is revoked while all goes well marks no contract', async () => {
      const market = await new TestExchange('good', refuse).listen();
      const gateway = await testGateway({
        IME_URL: market.url,
        IME_TOKEN: 'good',
        ...pin(numbered(200)),
      });
      await market.carries(names(...numbered(200)));
      await settled(gateway);
      for (const key of names(...numbered(200))) market.publish(key, 1);
      const before = market.exchange.dials;
      market.exchange.token = 'other';
      market.exchange.drop(1008);
      await until(
        () => gateway.report().reasons.join().includes('refuses the access token'),
        'it is told',
      );
      expect(market.exchange.dials - before).toBeLessThanOrEqual(4);
      expect(gateway.report().contracts).toMatchObject({ INVALID: 0, STALE: 200 });
    }, 60_000);
  },
);

test('a contract refused 2 s after the handshake is never LIVE, and harms no other', async () => {
  const market = await new TestExchange().listen();
  market.exchange.faults.refuseAfterMs = 2_000;
  market.unlisted.add('name:late');
  const gateway = await testGateway({ IME_URL: market.url, ...pin(['A']) });
  await settled(gateway);
  const others = subscribed(gateway, ['A']);
  const { published, stop } = publishing(market, names('A'), 10);
  const inbox = subscribed(gateway, ['late']);
  await inbox.until(({ completed }) => completed, 'the contract is refused');
  expect(new Set(inbox.values.map(({ contractUpdates }) => contractUpdates.status))).toEqual(
    new Set(['PENDING', 'INVALID']),
  );
  stop();
  await others.until(
    (box) => pricesOf(box).length === published.get('name:A')?.length,
    'all have come',
  );
  expect(pricesOf(others)).toEqual(published.get('name:A'));
}, 60_000);

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
