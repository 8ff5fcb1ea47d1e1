import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { ApolloClient, gql, InMemoryCache } from '@apollo/client';
import { GraphQLWsLink } from '@apollo/client/link/subscriptions';
import { subscriptionExchange, Client as UrqlClient } from '@urql/core';
import { parse, validate } from 'graphql';
import { createClient } from 'graphql-ws';
import { chromium } from 'playwright-core';
import { describe, expect, onTestFinished, test } from 'vitest';
import { WebSocket } from 'ws';
import { resuming } from '../examples/resume/resuming.ts';
import { schema } from '../src/schema/schema.ts';
import { CuttingProxy } from './kit/cutting-proxy.ts';
import { names, TestExchange, testGateway, until } from './kit/gateway.ts';
import { CHROMIUM, CHROMIUM_ARGUMENTS, hasProgram } from './kit/programs.ts';

const NAMES = ['A', 'B', 'C'];
const QUERY = `subscription Watch($names: [String!], $since: Cursor) {
  contractUpdates(names: $names, since: $since) { id cursor snapshot { lastTradePrice } }
}`;

interface Told {
  readonly contractUpdates: {
    readonly id: string;
    readonly snapshot: { readonly lastTradePrice: string | null } | null;
  };
}

/** A gateway behind a proxy that breaks its connections, and what a client was told through it. */
async function market() {
  const exchange = await new TestExchange().listen();
  const gateway = await testGateway({ IME_URL: exchange.url, IME_PINNED_NAMES: NAMES.join(',') });
  await exchange.carries(names(...NAMES));
  for (const name of NAMES) exchange.publish(`name:${name}`, 1);
  await until(() => gateway.report().contracts.LIVE === 3, 'all are live');
  const proxy = new CuttingProxy(gateway.address.port, () => ({
    cutAfterBytes: undefined,
    slowForMs: 0,
  }));
  const url = await proxy.listen();
  onTestFinished(() => proxy.close());
  const told: string[] = [];
  const take = ({ contractUpdates: { id, snapshot } }: Told) =>
    void told.push(`${id.slice(5)}${snapshot?.lastTradePrice}`);
  /** Cuts the connection, has one contract change meanwhile, and waits for that to be told, alone. */
  const goThrough = async () => {
    await until(() => told.length === 3, 'it begins');
    for (const price of [2, 3]) {
      const before = told.length;
      proxy.cut();
      await until(() => gateway.report().subscriptions === 0, 'the connection is lost');
      exchange.publish('name:B', price);
      await until(() => told.length > before, 'it resumes');
      exchange.publish('name:C', price);
      await until(() => told.length > before + 1, 'it goes on');
      expect(told.slice(before)).toEqual([`B${price}`, `C${price}`]);
    }
    expect(told.slice(0, 3).sort()).toEqual(['A1', 'B1', 'C1']);
  };
  const client = () => {
    const made = createClient({
      url: `${url.replace('http', 'ws')}/graphql`,
      webSocketImpl: WebSocket,
      shouldRetry: () => true,
      retryWait: () => new Promise((resolve) => setTimeout(resolve, 100)),
    });
    onTestFinished(() => Promise.resolve(made.dispose()).catch(() => {}));
    return resuming(made);
  };
  return { exchange, gateway, proxy, url, take, goThrough, client };
}

const variables = { names: NAMES };

describe('after a lost connection only what has changed meanwhile comes', () => {
  test('to graphql-ws', async () => {
    const { take, goThrough, client } = await market();
    client().subscribe<Told>(
      { query: QUERY, variables },
      { next: ({ data }) => data && take(data), error: () => {}, complete: () => {} },
    );
    await goThrough();
  });

  test('to Apollo Client', async () => {
    const { take, goThrough, client } = await market();
    const apollo = new ApolloClient({
      cache: new InMemoryCache(),
      link: new GraphQLWsLink(client()),
    });
    const following = apollo
      .subscribe<Told>({ query: gql(QUERY), variables })
      .subscribe(({ data }) => data && take(data));
    onTestFinished(() => following.unsubscribe());
    await goThrough();
  });

  test('to urql', async () => {
    const { url, take, goThrough, client } = await market();
    const socket = client();
    const urql = new UrqlClient({
      url: `${url}/graphql`,
      preferGetMethod: false,
      exchanges: [
        subscriptionExchange({
          forwardSubscription: ({ query = '', variables: given }) => ({
            subscribe: (sink) => ({
              unsubscribe: socket.subscribe(
                { query, ...(given ? { variables: given } : {}) },
                sink as Parameters<typeof socket.subscribe>[1],
              ),
            }),
          }),
        }),
      ],
    });
    const following = urql
      .subscription<Told>(QUERY, variables)
      .subscribe(({ data }) => data && take(data));
    onTestFinished(() => following.unsubscribe());
    await goThrough();
  });

  test.skipIf(!hasProgram('chromium', CHROMIUM))('to an EventSource', async () => {
    const { url, take, goThrough } = await market();
    const browser = await chromium.launch({ executablePath: CHROMIUM, args: CHROMIUM_ARGUMENTS });
    onTestFinished(() => browser.close());
    const page = await browser.newPage();
    await page.exposeFunction('take', take);
    await page.route(`${url}/page`, (route) =>
      route.fulfill({ contentType: 'text/html', body: '<title>A page</title>' }),
    );
    await page.goto(`${url}/page`);
    const query = `subscription { contractUpdates(names: ${JSON.stringify(NAMES)}) { id cursor snapshot { lastTradePrice } } }`;
    await page.evaluate(
      (address) => {
        const events = new EventSource(address);
        events.addEventListener('next', ({ data }) =>
          (globalThis as unknown as { take(told: unknown): void }).take(JSON.parse(data).data),
        );
      },
      `/graphql?query=${encodeURIComponent(query)}`,
    );
    await goThrough();
  });

  test('to the example', async () => {
    const { exchange, gateway, proxy, url } = await market();
    let output = '';
    const example: ChildProcess = spawn(
      process.execPath,
      ['--import', 'tsx', 'examples/resume/main.ts'],
      { env: { ...process.env, GATEWAY_URL: url } },
    );
    onTestFinished(() => void example.kill('SIGKILL'));
    example.stdout?.on('data', (text) => (output += text));
    await until(() => output.split('\n').length === 4, 'it begins');
    proxy.cut();
    await until(() => gateway.report().subscriptions === 0, 'the connection is lost');
    exchange.publish('name:B', 77);
    await until(() => output.includes('name:B: 77 (LIVE)'), 'it resumes');
    expect(output.split('\n')).toHaveLength(5);
  });
});

test('every document of docs/resume.md is valid, and its helper is the one that is tested', () => {
  const text = readFileSync('docs/resume.md', 'utf8');
  const documents = [...text.matchAll(/```graphql\n([^`]*)```/g)].map(
    ([, document = '']) => document,
  );
  expect(documents.length).toBeGreaterThan(2);
  for (const document of documents) expect(validate(schema, parse(document))).toEqual([]);
  const helper = readFileSync('examples/resume/resuming.ts', 'utf8');
  const body = helper.slice(helper.indexOf('export function'));
  expect(text).toContain(body.trim());
});
