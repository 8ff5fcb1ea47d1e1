import { ApolloClient, ApolloLink, gql, HttpLink, InMemoryCache } from '@apollo/client';
import { GraphQLWsLink } from '@apollo/client/link/subscriptions';
import { fetchExchange, subscriptionExchange, Client as UrqlClient } from '@urql/core';
import { OperationTypeNode } from 'graphql';
import { GraphQLClient } from 'graphql-request';
import { chromium } from 'playwright-core';
import relay from 'relay-runtime';
import { describe, expect, onTestFinished, test } from 'vitest';
import type { Gateway } from '../src/app/gateway.ts';
import { type ContractUpdate, Inbox, pricesOf, UPDATES, wsClient } from './kit/clients.ts';
import { names, TestExchange, testGateway, until } from './kit/gateway.ts';
import { CHROMIUM, CHROMIUM_ARGUMENTS, hasProgram } from './kit/programs.ts';
import { bearer, JWT, token } from './kit/tokens.ts';

interface PriceOf {
  readonly id: string;
  readonly snapshot: { readonly aggregate: { readonly lastPrice: string } };
}

const QUERY = 'query Q { contract(name: "A") { id snapshot { aggregate { lastPrice } } } }';
const SUBSCRIPTION =
  'subscription S { contractUpdates(names: ["A"]) { id snapshot { aggregate { lastPrice } } } }';
const BIG = '12345678901234567891';

async function market(settings: Record<string, string> = {}): Promise<[TestExchange, Gateway]> {
  const exchange = await new TestExchange().listen();
  const gateway = await testGateway({ IME_URL: exchange.url, IME_PINNED_NAMES: 'A', ...settings });
  await exchange.carries(names('A'));
  exchange.publish('name:A', 100);
  await until(() => gateway.report().contracts.LIVE === 1, 'it is live');
  return [exchange, gateway];
}

describe('Apollo Client', () => {
  const links: [string, (gateway: Gateway) => ApolloLink][] = [
    ['graphql-ws', (gateway) => new GraphQLWsLink(wsClient(gateway))],
    ['multipart subscriptions', (gateway) => new HttpLink({ uri: `${gateway.url}/graphql` })],
  ];

  test.each(links)(
    'over %s: a query and a subscription meet in one entity of its cache',
    async (_name, link) => {
      const [exchange, gateway] = await market();
      const client = new ApolloClient({
        cache: new InMemoryCache(),
        link: ApolloLink.split(
          ({ operationType }) => operationType === OperationTypeNode.SUBSCRIPTION,
          link(gateway),
          new HttpLink({ uri: `${gateway.url}/graphql` }),
        ),
      });
      onTestFinished(() => client.stop());
      const seen: string[] = [];
      const watching = client
        .watchQuery<{ contract: PriceOf }>({ query: gql(QUERY) })
        .subscribe(({ data }) => {
          const price = data?.contract?.snapshot?.aggregate?.lastPrice;
          if (price !== undefined) seen.push(price);
        });
      onTestFinished(() => watching.unsubscribe());
      await until(() => seen.length === 1, 'the query is answered');
      const errors: unknown[] = [];
      const subscription = client
        .subscribe<{ contractUpdates: PriceOf }>({ query: gql(SUBSCRIPTION) })
        .subscribe({ error: (error) => errors.push(error) });
      await until(() => gateway.report().subscriptions === 1, 'it is subscribed');
      for (const price of ['101', '102', BIG]) {
        exchange.publish('name:A', price);
        await until(() => seen.at(-1) === price, `the query shows ${price}`);
      }
      expect(seen).toEqual(['100', '101', '102', BIG]);
      const cached = client.cache.extract() as Record<string, unknown>;
      expect(Object.keys(cached).filter((key) => key.startsWith('Contract:'))).toEqual([
        'Contract:name:A',
      ]);
      subscription.unsubscribe();
      await until(
        () => gateway.report().subscriptions === 0,
        'the gateway knows that it has ended',
      );
      expect(errors).toEqual([]);
    },
  );

  test('over multipart subscriptions: is told of errors, and of a token that expires', async () => {
    const [, gateway] = await market(JWT);
    const shown = bearer(await token({}, 3));
    const client = new ApolloClient({
      cache: new InMemoryCache(),
      link: new HttpLink({ uri: `${gateway.url}/graphql`, headers: shown }),
    });
    onTestFinished(() => client.stop());
    const told: string[] = [];
    const note = (text: string) => (error: unknown) => told.push(`${text}: ${error}`);
    client
      .subscribe({ query: gql('subscription { contractUpdates(names: []) { id } }') })
      .subscribe({ next: ({ error }) => note('list')(error), error: note('list') });
    await until(() => told.length > 0, 'it is told of the empty list');
    expect(told[0]).toContain('expected at least one name');
    client
      .subscribe({ query: gql(SUBSCRIPTION) })
      .subscribe({ next: ({ error }) => error && note('token')(error), error: note('token') });
    await until(() => told.some((text) => text.startsWith('token')), 'it is told of the token');
    expect(told.at(-1)).toContain('The token has expired.');
  });
});

test('multipart responses follow the protocol to the byte, heartbeats included', async () => {
  const [exchange, gateway] = await market();
  const response = await fetch(`${gateway.url}/graphql`, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      accept: 'multipart/mixed;boundary="graphql";subscriptionSpec="1.0",application/json',
    },
    body: JSON.stringify({ query: 'subscription { contractUpdates(names: ["A"]) { id } }' }),
  });
  expect(response.headers.get('content-type')).toBe(
    'multipart/mixed;boundary="graphql";subscriptionSpec=1.0',
  );
  const reader = (response.body as ReadableStream<Uint8Array>).getReader();
  onTestFinished(() => reader.cancel());
  let text = '';
  const readUntil = async (holds: () => boolean) => {
    while (!holds()) text += new TextDecoder().decode((await reader.read()).value);
  };
  const part = (json: string) => `\r\ncontent-type: application/json\r\n\r\n${json}\r\n--graphql`;
  const update = part('{"payload":{"data":{"contractUpdates":{"id":"name:A"}}}}');
  await readUntil(() => text.length >= `\r\n--graphql${update}`.length);
  expect(text).toBe(`\r\n--graphql${update}`);
  exchange.publish('name:A', 101);
  await readUntil(() => text.length >= `\r\n--graphql${update}${update}`.length);
  await readUntil(() => text.endsWith(part('{}')));
  expect(text).toBe(`\r\n--graphql${update}${update}${part('{}')}`);
});

test('urql queries, and subscribes over graphql-ws', async () => {
  const [exchange, gateway] = await market();
  const socket = wsClient(gateway);
  const client = new UrqlClient({
    url: `${gateway.url}/graphql`,
    preferGetMethod: false,
    exchanges: [
      fetchExchange,
      subscriptionExchange({
        forwardSubscription: ({ query = '', variables }) => ({
          subscribe: (sink) => ({
            unsubscribe: socket.subscribe(
              { query, ...(variables ? { variables } : {}) },
              sink as Parameters<typeof socket.subscribe>[1],
            ),
          }),
        }),
      }),
    ],
  });
  const { data } = await client.query<{ contract: PriceOf }>(QUERY, {}).toPromise();
  expect(data?.contract.snapshot.aggregate.lastPrice).toBe('100');
  const prices: (string | undefined)[] = [];
  const { unsubscribe } = client
    .subscription<{ contractUpdates: PriceOf }>(SUBSCRIPTION, {})
    .subscribe((result) => prices.push(result.data?.contractUpdates.snapshot.aggregate.lastPrice));
  await until(() => prices.length === 1, 'the first has come');
  exchange.publish('name:A', BIG);
  await until(() => prices.length === 2, 'the second has come');
  expect(prices).toEqual(['100', BIG]);
  unsubscribe();
});

test("Relay's runtime writes a query and a subscription into one record", async () => {
  const [exchange, gateway] = await market();
  const {
    Environment,
    Network,
    Observable,
    RecordSource,
    Store,
    createOperationDescriptor,
    fetchQuery,
    requestSubscription,
  } = relay;
  const socket = wsClient(gateway);
  const environment = new Environment({
    store: new Store(new RecordSource()),
    network: Network.create(
      async ({ text }) => {
        const response = await fetch(`${gateway.url}/graphql`, {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify({ query: text }),
        });
        return response.json();
      },
      ({ text }) =>
        Observable.create((sink) => socket.subscribe({ query: text as string }, sink as never)),
    ),
  });
  const price = {
    kind: 'ScalarField',
    name: 'lastPrice',
    alias: null,
    args: null,
    storageKey: null,
  };
  const linked = (
    name: string,
    selections: object[],
    args: object[] | null = null,
    storageKey: string | null = null,
  ) => ({
    kind: 'LinkedField',
    name,
    alias: null,
    args,
    storageKey,
    plural: false,
    concreteType: {
      contract: 'Contract',
      contractUpdates: 'Contract',
      snapshot: 'Snapshot',
      aggregate: 'Aggregate',
    }[name],
    selections,
  });
  const id = { ...price, name: 'id' };
  const contract = [id, linked('snapshot', [linked('aggregate', [price])])];
  // What Relay's compiler makes of QUERY and SUBSCRIPTION.
  const request = (operation: string, text: string, field: object) => {
    const selections = [field];
    return {
      kind: 'Request',
      fragment: {
        kind: 'Fragment',
        name: text,
        type: operation,
        metadata: null,
        argumentDefinitions: [],
        abstractKey: null,
        selections,
      },
      operation: { kind: 'Operation', name: text, argumentDefinitions: [], selections },
      params: {
        id: null,
        cacheID: text,
        name: text,
        metadata: {},
        operationKind: operation.toLowerCase(),
        text,
      },
    } as never;
  };
  const query = request(
    'Query',
    QUERY,
    linked(
      'contract',
      contract,
      [{ kind: 'Literal', name: 'name', value: 'A' }],
      'contract(name:"A")',
    ),
  );
  const subscription = request(
    'Subscription',
    SUBSCRIPTION,
    linked(
      'contractUpdates',
      contract,
      [{ kind: 'Literal', name: 'names', value: ['A'] }],
      'contractUpdates(names:["A"])',
    ),
  );
  await fetchQuery(environment, query, {}).toPromise();
  const descriptor = createOperationDescriptor(query, {});
  environment.retain(descriptor);
  const shown = () =>
    (environment.lookup(descriptor.fragment).data as unknown as { contract: PriceOf }).contract
      .snapshot.aggregate.lastPrice;
  expect(shown()).toBe('100');
  const { dispose } = requestSubscription(environment, { subscription, variables: {} });
  await until(() => gateway.report().subscriptions === 1, 'it is subscribed');
  exchange.publish('name:A', BIG);
  await until(() => shown() === BIG, 'the query shows what the subscription brought');
  dispose();
});

test('graphql-request queries, and is told errors by their code', async () => {
  const [, gateway] = await market(JWT);
  const client = new GraphQLClient(`${gateway.url}/graphql`, { headers: bearer(await token()) });
  const data = await client.request<{ contract: PriceOf }>(QUERY);
  expect(data.contract.snapshot.aggregate.lastPrice).toBe('100');
  await expect(client.request('{ contract { id } }')).rejects.toMatchObject({
    response: { errors: [{ extensions: { code: 'BAD_USER_INPUT' } }] },
  });
});

test("graphql-ws's client goes on through a restart of the gateway", async () => {
  const [exchange, gateway] = await market();
  const inbox = new Inbox<ContractUpdate>(wsClient(gateway), UPDATES, { names: ['A'] });
  await inbox.until((box) => pricesOf(box).length === 1, 'the first has come');
  await gateway.close();
  await testGateway({
    IME_URL: exchange.url,
    IME_PINNED_NAMES: 'A',
    PORT: String(gateway.address.port),
  });
  await exchange.carries(names('A'));
  await inbox.until(
    ({ values }) => values.at(-1)?.contractUpdates.status === 'PENDING',
    'it is there again',
  );
  exchange.publish('name:A', 101);
  await inbox.until((box) => pricesOf(box).at(-1) === '101', 'it goes on');
  expect(inbox.errors).toEqual([]);
});

test.skipIf(!hasProgram('chromium', CHROMIUM))(
  'an EventSource of a browser subscribes by a link',
  async () => {
    const [exchange, gateway] = await market();
    const browser = await chromium.launch({ executablePath: CHROMIUM, args: CHROMIUM_ARGUMENTS });
    onTestFinished(() => browser.close());
    const page = await browser.newPage();
    await page.goto(gateway.url);
    await until(() => gateway.report().subscriptions === 1, 'the board has subscribed');
    const url = `/graphql?query=${encodeURIComponent(SUBSCRIPTION)}`;
    const prices = page.evaluate(
      (source) =>
        new Promise<string[]>((resolve) => {
          const seen: string[] = [];
          const events = new EventSource(source);
          events.addEventListener('next', ({ data }) => {
            seen.push(JSON.parse(data).data.contractUpdates.snapshot.aggregate.lastPrice);
            if (seen.length < 3) return;
            events.close();
            resolve(seen);
          });
        }),
      url,
    );
    await until(() => gateway.report().subscriptions === 2, 'it is subscribed');
    exchange.publish('name:A', 101);
    exchange.publish('name:A', BIG);
    expect(await prices).toEqual(['100', '101', BIG]);
  },
);
