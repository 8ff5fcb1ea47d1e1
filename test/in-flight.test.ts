import { connect } from 'node:net';
import { describe, expect, onTestFinished, test } from 'vitest';
import { TestExchange, testGateway, until } from './kit/gateway.ts';
import { RawClient } from './kit/raw.ts';

describe('what is in flight', () => {
  const WAITING = (at: number) => `{ contract(name: "quiet ${at}", waitMs: 20000) { id } }`;

  test('is bounded for a connection, and ends with its client', async () => {
    const market = await new TestExchange().listen();
    const gateway = await testGateway({
      IME_URL: market.url,
      MAX_OPERATIONS_IN_FLIGHT: '3',
      IME_LINGER_MS: '0',
    });
    const client = await new RawClient(gateway).init();
    for (let id = 1; id <= 5; id++) client.subscribe(String(id), WAITING(id));
    await client.until(() => client.of('5').length > 0, 'the last is answered');
    expect(client.codes('4')).toEqual(['RATE_LIMITED']);
    expect(client.codes('5')).toEqual(['RATE_LIMITED']);
    client.send({ id: '1', type: 'complete' });
    client.subscribe('6', '{ __typename }');
    await client.until(() => client.of('6').length === 2, 'there is room again');
    expect(client.codes('6')).toEqual([]);
    await until(() => gateway.report().contracts.PENDING === 2, 'the rest waits');
    client.socket.terminate();
    await until(() => gateway.report().contracts.PENDING === 0, 'nothing waits any more');
  });

  test('is bounded for a principal over all its requests', async () => {
    const market = await new TestExchange().listen();
    const gateway = await testGateway({
      IME_URL: market.url,
      IME_LINGER_MS: '0',
      MAX_OPERATIONS_IN_FLIGHT_PER_PRINCIPAL: '4',
    });
    const abort = new AbortController();
    const ask = (query: string, signal?: AbortSignal) =>
      fetch(`${gateway.url}/graphql?query=${encodeURIComponent(query)}`, {
        signal: signal ?? null,
      });
    const waiting = Array.from({ length: 4 }, (_, at) =>
      ask(WAITING(at), abort.signal).catch(() => undefined),
    );
    await until(() => gateway.report().contracts.PENDING === 4, 'they wait');
    const refused = await ask(WAITING(9));
    expect([refused.status, await refused.text()]).toEqual([
      429,
      expect.stringContaining('RATE_LIMITED'),
    ]);
    abort.abort();
    await Promise.all(waiting);
    await until(() => gateway.report().contracts.PENDING === 0, 'their clients have gone');
    expect((await ask('{ status { ready } }')).status).toBe(200);
  });
});

describe('requests', () => {
  test('each on a connection of its own are worth no more than one connection', async () => {
    const gateway = await testGateway({ MAX_OPERATIONS_PER_SECOND: '5' });
    const statuses = await Promise.all(
      Array.from({ length: 60 }, () =>
        fetch(`${gateway.url}/graphql?query={__typename}`, {
          headers: { connection: 'close' },
        }).then(({ status }) => status),
      ),
    );
    expect(statuses.filter((status) => status === 200).length).toBeLessThanOrEqual(20);
    expect(statuses.filter((status) => status === 429).length).toBeGreaterThan(35);
  });

  test('of one principal are bounded over all its connections', async () => {
    const gateway = await testGateway({ MAX_OPERATIONS_PER_SECOND_PER_PRINCIPAL: '5' });
    const clients = await Promise.all(
      Array.from({ length: 6 }, () => new RawClient(gateway).init()),
    );
    for (const client of clients) {
      for (let id = 1; id <= 5; id++) client.subscribe(String(id), '{ __typename }');
    }
    for (const client of clients) {
      await client.until(() => client.of('5').length > 0, 'the last is answered');
    }
    const codes = clients.flatMap((client) =>
      ['1', '2', '3', '4', '5'].flatMap((id) => client.codes(id)),
    );
    expect(codes.length).toBeGreaterThanOrEqual(15);
    expect(new Set(codes)).toEqual(new Set(['RATE_LIMITED']));
  });

  test('whose answers nobody reads are cut', async () => {
    const names = Array.from({ length: 400 }, (_, at) => `c${at}`);
    const market = await new TestExchange().listen();
    const gateway = await testGateway({
      IME_URL: market.url,
      CLIENT_STALL_MS: '1000',
      IME_PINNED_NAMES: names.join(','),
    });
    await market.carries(names.map((name) => `name:${name}` as const));
    for (const name of names) market.publish(`name:${name}`, 1);
    await until(() => gateway.report().contracts.LIVE === 400, 'they are live');
    const query = '{ contracts { id snapshot { raw a: raw b: raw c: raw d: raw e: raw f: raw } } }';
    const socket = connect(Number(new URL(gateway.url).port), '127.0.0.1');
    onTestFinished(() => void socket.destroy());
    socket.pause();
    const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
    for (let time = 0; time < 4; time++) {
      socket.write(`GET /graphql?query=${encodeURIComponent(query)} HTTP/1.1\r\nHost: x\r\n\r\n`);
    }
    await until(() => gateway.report().clients === 0, 'it is no stream');
    await new Promise((resolve) => setTimeout(resolve, 3_500));
    socket.resume();
    await closed;
    const metrics = await (await fetch(`${gateway.url}/metrics`)).text();
    expect(metrics).toContain('ime_gateway_stalled_clients_total 1');
  });
});
