import { describe, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { startGateway } from '../src/app/gateway.ts';
import { readConfig } from '../src/config/command-line.ts';
import { createLog } from '../src/observability/log.ts';
import { ask, type ContractUpdate, Inbox, sseClient, UPDATES, wsClient } from './kit/clients.ts';
import { names, TestExchange, testGateway, until } from './kit/gateway.ts';

async function ready(url: string): Promise<{ status: number; reasons: string[] }> {
  const response = await fetch(`${url}/ready`);
  const { reasons } = (await response.json()) as { reasons: string[] };
  return { status: response.status, reasons };
}

describe('/ready', () => {
  test('is 200 with nothing wanted while IME answers, and 503 with a reason when it does not', async () => {
    const market = await new TestExchange('secret').listen();
    const gateway = await testGateway({ IME_URL: market.url });
    expect(await ready(gateway.url)).toEqual({ status: 200, reasons: [] });
    await market.exchange.close();
    const other = await testGateway({ IME_URL: market.url });
    const { status, reasons } = await ready(other.url);
    expect(status).toBe(503);
    expect(reasons.join()).toContain('ECONNREFUSED');
  });

  test('is 503 while wanted contracts cannot be served, and 200 when they can again', async () => {
    const market = await new TestExchange().listen();
    const gateway = await testGateway({ IME_URL: market.url, IME_PINNED_NAMES: 'A' });
    await market.carries(names('A'));
    expect((await ready(gateway.url)).status).toBe(200);
    await market.exchange.close();
    await until(() => !gateway.report().ready, 'the loss is noticed');
    expect((await ready(gateway.url)).reasons.join()).toMatch(/connections? to IME/);
    await market.listen();
    await market.carries(names('A'));
    expect((await ready(gateway.url)).status).toBe(200);
  });
});

describe('paths', () => {
  test('are matched exactly', async () => {
    const { url } = await testGateway();
    expect((await fetch(`${url}/health`)).status).toBe(200);
    expect((await fetch(`${url}/health?x=1`)).status).toBe(200);
    for (const path of ['/healthy', '/x/health', '/graphql/health', '//']) {
      expect((await fetch(`${url}${path}`)).status, path).toBe(404);
    }
  });

  test('take a WebSocket only where GraphQL is, and only with its protocol', async () => {
    const { url } = await testGateway();
    const dial = (path: string, protocol?: string) =>
      new Promise<string>((resolve) => {
        const socket = new WebSocket(url.replace('http', 'ws') + path, protocol);
        socket.on('error', (error) => resolve(error.message));
        socket.on('close', (code) => resolve(`close ${code}`));
      });
    expect(await dial('/other', 'graphql-transport-ws')).toContain('404');
    expect(await dial('/graphql')).toContain('400');
    expect(await dial('/graphql', 'graphql-ws')).toContain('400');
  });
});

test('rubbish on a client socket ends that socket and no other', async () => {
  const gateway = await testGateway();
  const good = new Inbox<ContractUpdate>(wsClient(gateway), UPDATES, { names: ['Gold Bar DE05'] });
  await good.until(({ values }) => values.length > 0, 'a good client is served');
  const rubbish: (string | Buffer)[] = [
    '',
    'x',
    '{}',
    '{"type":"subscribe"}',
    '{"type":"nonsense"}',
    '{"id":"1","type":"subscribe","payload":{"query":"{__typename}"}}',
    Buffer.from([0xff, 0xfe]),
    'x'.repeat(200_000),
  ];
  const closes = rubbish.map(
    (message) =>
      new Promise<number>((resolve) => {
        const socket = new WebSocket(
          `${gateway.url.replace('http', 'ws')}/graphql`,
          'graphql-transport-ws',
        );
        socket.on('open', () => socket.send(message));
        socket.on('close', resolve);
      }),
  );
  expect(await Promise.all(closes)).toEqual([4400, 4400, 4400, 4400, 4400, 4401, 4400, 1009]);
  const before = good.values.length;
  await good.until(({ values }) => values.length > before, 'the good client goes on');
});

test('status says what the gateway is doing', async () => {
  const gateway = await testGateway();
  const inbox = new Inbox<ContractUpdate>(wsClient(gateway), UPDATES, { ids: ['007'] });
  await inbox.until(({ values }) => values.length > 1, 'updates flow');
  const { data } = await ask<{ status: Record<string, unknown> }>(
    gateway,
    `{ status { version startedAt uptimeSeconds ready reasons clients subscriptions
         upstream { mode url problems dials messages duplicates partialMessages droppedFrames
           sockets { endpoint state contracts openedAt lastMessageAt reconnects failure } }
         contracts { total live pending stale invalid } } }`,
  );
  expect(data?.status).toMatchObject({
    ready: true,
    reasons: [],
    clients: 1,
    subscriptions: 1,
    upstream: {
      mode: 'SIMULATOR',
      url: null,
      problems: [],
      sockets: [
        { endpoint: 'NAME', contracts: 40, reconnects: 0, failure: null },
        { endpoint: 'ID', contracts: 40, reconnects: 0, failure: null },
      ],
    },
    contracts: { total: 80, stale: 0, invalid: 0 },
  });
});

test('nothing is left after close: no socket, no timer, no file watch', async () => {
  const market = await new TestExchange().listen();
  const before = process
    .getActiveResourcesInfo()
    .filter((kind) => kind !== 'TickObject')
    .sort();
  const settings = { PORT: '0', AUTH: 'none', LOG_LEVEL: 'silent', IME_PINNED_NAMES: 'A,B' };
  const commandLine = readConfig([], { ...settings, IME_URL: market.url });
  if (commandLine.run !== 'start') throw new Error('the settings are wrong');
  const gateway = await startGateway(commandLine.config, createLog('silent'));
  market.unlisted.add('name:bad');
  const ws = wsClient(gateway, { retryAttempts: 0 });
  const sse = sseClient(gateway);
  const inboxes = [
    new Inbox<ContractUpdate>(ws, UPDATES, { names: ['A', 'bad'] }),
    new Inbox<ContractUpdate>(sse, UPDATES, { names: ['C'] }),
  ];
  for (const inbox of inboxes)
    await inbox.until(({ values }) => values.length > 0, 'an update arrives');
  const asking = fetch(`${gateway.url}/graphql?query={contract(name:"D",waitMs:30000){id}}`).catch(
    () => {},
  );
  await fetch(`${gateway.url}/ready`);
  await gateway.close();
  await Promise.all([ws.dispose(), sse.dispose(), asking]);
  await until(() => market.exchange.subscriptions.length === 0, 'the exchange has lost its client');
  const left = () =>
    process
      .getActiveResourcesInfo()
      .filter((kind) => kind !== 'TickObject')
      .sort();
  // What fetch keeps open for a next request belongs to this test's client, not to the gateway.
  await until(
    () => left().length <= before.length + 1,
    `nothing is left: ${left()} against ${before}`,
    8_000,
  );
});
