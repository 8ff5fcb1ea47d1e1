import { describe, expect, onTestFinished, test } from 'vitest';
import type { Gateway } from '../src/app/gateway.ts';
import { ask, Inbox, wsClient } from './kit/clients.ts';
import { names, TestExchange, testGateway, until } from './kit/gateway.ts';
import { hasProgram, REDIS_SERVER } from './kit/programs.ts';
import { RedisServer } from './kit/redis.ts';

interface Update {
  readonly contractUpdates: {
    readonly id: string;
    readonly cursor: string;
    readonly status: string;
    readonly snapshot: { readonly sequence: string; readonly raw: string } | null;
  };
}

const UPDATES = `subscription ($names: [String!], $since: Cursor) {
  contractUpdates(names: $names, since: $since) { id cursor status snapshot { sequence raw } }
}`;

const [A, B] = names('A', 'B');

/** Two gateways or more that share Redis and an exchange. */
async function cluster(settings: readonly Record<string, string>[]) {
  const redis = await RedisServer.start();
  const market = await new TestExchange().listen();
  const gateways: Gateway[] = [];
  for (const more of settings) {
    const gateway = await testGateway({ IME_URL: market.url, REDIS_URL: redis.url, ...more });
    await untilReady(gateway);
    gateways.push(gateway);
  }
  return { redis, market, gateways };
}

async function untilReady({ url }: Gateway): Promise<void> {
  for (let tries = 0; tries < 200; tries++) {
    if ((await fetch(`${url}/ready`)).status === 200) return;
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
  throw new Error('it is not ready');
}

function watch(gateway: Gateway, variables: Record<string, unknown>) {
  return new Inbox<Update>(wsClient(gateway), UPDATES, variables);
}

const updatesOf = (inbox: Inbox<Update>) =>
  inbox.values.map(({ contractUpdates }) => contractUpdates);

describe.skipIf(!hasProgram('redis-server', REDIS_SERVER))('clients of a cluster', () => {
  test('see the same cursors and numbers everywhere, and resume at any gateway', async () => {
    const { market, gateways } = await cluster([{}, {}, {}]);
    const [one, two, three] = gateways as [Gateway, Gateway, Gateway];
    const inboxes = [one, two].map((gateway) => watch(gateway, { names: ['A', 'B'] }));
    await market.carries([A, B].flatMap((key) => key ?? []));
    for (let price = 1; price <= 10; price++) {
      if (A !== undefined) market.publish(A, price);
    }
    if (B !== undefined) market.publish(B, 1);
    const statesOf = (inbox: Inbox<Update>) =>
      updatesOf(inbox).filter(({ snapshot }) => snapshot !== null);
    for (const inbox of inboxes)
      await inbox.until((own) => statesOf(own).length === 11, 'all came');
    const [first, second] = inboxes.map(statesOf);
    expect(second).toEqual(first);
    const since = first?.at(-2)?.cursor;
    const resumed = watch(three, { names: ['A', 'B'], since });
    await resumed.until(({ values }) => values.length > 0, 'what is new has come');
    // A's last state is where the cursor stands; nobody is told PENDING who has more than that already.
    expect(updatesOf(resumed)).toEqual([first?.at(-1)]);
    if (A !== undefined) market.publish(A, 11);
    await resumed.until(({ values }) => values.length > 1, 'the next one has come');
    expect(updatesOf(resumed).map(({ id, snapshot }) => [id, snapshot?.sequence])).toEqual([
      [B, '1'],
      [A, '11'],
    ]);
    expect(resumed.errors).toEqual([]);
  });

  test('ask any gateway for a contract that another one has', async () => {
    const { market, gateways } = await cluster([{}, { CLUSTER_ROLE: 'edge' }]);
    const [one, edge] = gateways as [Gateway, Gateway];
    const inbox = watch(one, { names: ['A'] });
    await market.carries(names('A'));
    for (const key of names('A')) market.publish(key, 5);
    await inbox.until((own) => updatesOf(own).at(-1)?.status === 'LIVE', 'it is LIVE');
    const query = '{ contract(name: "A") { status cursor snapshot { sequence raw } } }';
    const answers = await Promise.all([one, edge].map((gateway) => ask(gateway, query)));
    expect(answers[1]).toEqual(answers[0]);
    expect(JSON.stringify(answers[0])).toContain('LIVE');
  });

  test('are told at once of what IME refuses, and that nobody may hold the upstream', async () => {
    const { market, gateways } = await cluster([{}, { CLUSTER_ROLE: 'edge' }]);
    const [one, edge] = gateways as [Gateway, Gateway];
    for (const key of names('X')) market.unlisted.add(key);
    const [inbox, other] = [one, edge].map((gateway) => watch(gateway, { names: ['X', 'A'] }));
    for (const own of [inbox, other]) {
      await own?.until(
        () => updatesOf(own).some(({ id, status }) => id === 'name:X' && status === 'INVALID'),
        'it is refused',
      );
    }
    const dials = one.report().upstream.dials;
    expect(dials).toBeGreaterThan(0);
    expect(edge.report().upstream).toMatchObject({ dials: 0, sockets: [] });
    const { cluster: seen } = edge.report();
    expect(seen).toMatchObject({ role: 'edge', redisHealthy: true });
    expect(seen?.holder).not.toBe(seen?.gateway);
    await one.close(0);
    await until(() => edge.report().cluster?.holder === null, 'nobody holds it');
    const response = await fetch(`${edge.url}/ready`);
    expect(response.status).toBe(503);
    expect(await response.text()).toContain('No gateway of the cluster');
  });

  test('lose little where the gateway that holds the upstream is closed, and IME is asked nothing twice', async () => {
    const { market, gateways } = await cluster([{}, {}]);
    const [one, two] = gateways as [Gateway, Gateway];
    for (const key of names('X')) market.unlisted.add(key);
    const inbox = watch(two, { names: ['X', 'A', 'B'] });
    await market.carries(names('A', 'B'));
    await inbox.until(
      (own) => updatesOf(own).some(({ status }) => status === 'INVALID'),
      'one is refused',
    );
    for (const key of names('A', 'B')) market.publish(key, 1);
    await inbox.until((own) => updatesOf(own).at(-1)?.status === 'LIVE', 'updates flow');
    await one.close(0);
    await until(
      () => two.report().cluster?.holder === two.report().cluster?.gateway,
      'it took over',
    );
    await market.carries(names('A', 'B'));
    // Proven contracts ride together, and what is refused is not searched again.
    expect(two.report().upstream.dials).toBe(1);
    let price = 1;
    const timer = setInterval(() => {
      price++;
      for (const key of names('A', 'B')) market.publish(key, price);
    }, 20);
    onTestFinished(() => clearInterval(timer));
    const lastOf = (id: string) => updatesOf(inbox).findLast((update) => update.id === id);
    await inbox.until(() => lastOf('name:A')?.status === 'LIVE', 'it is LIVE again');
    expect(
      updatesOf(inbox)
        .filter(({ id }) => id === 'name:A')
        .map(({ status }) => status),
    ).toContain('STALE');
    expect(lastOf('name:X')?.status).toBe('INVALID');
  });

  test('are counted, with the gateways and Redis, for operators and for Prometheus', async () => {
    const { gateways } = await cluster([{}, {}]);
    const [one, two] = gateways as [Gateway, Gateway];
    const inbox = watch(two, { names: ['A'] });
    await inbox.until(({ values }) => values.length > 0, 'it is open');
    const query = `{ status { cluster {
      gateway holder epoch redisHealthy redisProblem roundTripMs gateways { id role clients wishes }
    } } }`;
    await until(
      () =>
        one
          .report()
          .cluster?.gateways.some(({ clients, wishes }) => clients === 1 && wishes === 1) === true,
      'the other says so',
    );
    const { data } = await ask<{ status: { cluster: Record<string, unknown> } }>(one, query);
    const { cluster: seen } = data?.status ?? {};
    expect(seen).toMatchObject({ redisHealthy: true, redisProblem: null });
    expect(seen?.['holder']).toBe(seen?.['gateway']);
    expect(seen?.['gateways']).toHaveLength(2);
    const text = await (await fetch(`${one.url}/metrics`)).text();
    expect(text).toContain('ime_gateway_cluster_gateways 2');
    expect(text).toContain('ime_gateway_cluster_holder 1');
    expect(text).toContain('ime_gateway_cluster_redis_healthy 1');
  });
});
