import { describe, expect, test } from 'vitest';
import type { Gateway } from '../src/app/gateway.ts';
import type { ContractKey } from '../src/contract/key.ts';
import { ContractSearch } from '../src/contract/search.ts';
import { ask, Inbox, wsClient } from './kit/clients.ts';
import { marketState, names, TEHRAN, TestExchange, testGateway, until } from './kit/gateway.ts';
import { bearer, JWT, token } from './kit/tokens.ts';

const HALF_SPACE = '\u200c';

describe('a search', () => {
  test.each([
    ['', 'name:anything', true],
    [' \u200c ', 'name:anything', true],
    ['gold', 'name:GOLD bar', true],
    ['BAR gold', 'name:Gold bar', true],
    ['gold coin', 'name:Gold bar', false],
    ['123', 'id:۱۲۳۴', true],
    ['۱۲۳', 'id:١٢٣٤', true],
    ['١٢', 'name:12', true],
    ['سكه طلاي', 'name:سکه طلای ۱۴۰۴', true],
    ['سکه ی', 'name:سكه ي', true],
    ['نیم سکه', `name:نیم${HALF_SPACE}سکه`, true],
    ['نیمسکه', `name:نیم${HALF_SPACE}سکه`, true],
    [`نیم${HALF_SPACE}سکه`, 'name:نیم سکه', true],
    [`نیم${HALF_SPACE}سکه`, 'name:نیمسکه', true],
    ['name', 'name:gold', false],
    ['id:', 'id:7', false],
  ])('for %j finds %j: %s', (search, key, found) => {
    expect(new ContractSearch(search).finds(key as ContractKey)).toBe(found);
  });
});

async function market(settings: Record<string, string> = {}): Promise<[TestExchange, Gateway]> {
  const exchange = await new TestExchange().listen();
  const gateway = await testGateway({
    IME_URL: exchange.url,
    IME_PINNED_NAMES: 'سكه طلا ۱,Gold 2,Oil 3',
    IME_PINNED_IDS: '77',
    ...settings,
  });
  await exchange.carries([...names('سكه طلا ۱', 'Gold 2', 'Oil 3'), 'id:77']);
  for (const key of [...names('سكه طلا ۱', 'Gold 2', 'Oil 3'), 'id:77'] as ContractKey[]) {
    exchange.publish(key, 1);
  }
  await until(() => gateway.report().contracts.LIVE === 4, 'all are live');
  return [exchange, gateway];
}

async function idsOf(gateway: Gateway, args: string, headers = {}): Promise<unknown> {
  const { data } = await ask<{ contracts: ({ id: string } | null)[] }>(
    gateway,
    `{ contracts${args} { id } }`,
    {},
    headers,
  );
  return data?.contracts.map((contract) => contract?.id ?? null);
}

describe('contracts', () => {
  test('are found by words, of what may be seen, whatever answers', async () => {
    const [, gateway] = await market(JWT);
    const all = bearer(await token());
    expect(await idsOf(gateway, '(search: "سکه 1")', all)).toEqual(['name:سكه طلا ۱']);
    expect(await idsOf(gateway, '(search: "o L")', all)).toEqual(['name:Gold 2', 'name:Oil 3']);
    expect(await idsOf(gateway, '(search: "7")', all)).toEqual(['id:77']);
    expect(await idsOf(gateway, '(search: "")', all)).toHaveLength(4);
    const some = bearer(await token({ contracts: ['name:Oil*'] }));
    expect(await idsOf(gateway, '(search: "o")', some)).toEqual(['name:Oil 3']);
    // With another field beside it graphql-js answers.
    const { data } = await ask<{ contracts: unknown }>(
      gateway,
      '{ contracts(search: "gold") { id } status { ready } }',
      {},
      all,
    );
    expect(data?.contracts).toEqual([{ id: 'name:Gold 2' }]);
  });

  test('that are INVALID are left out where none is named', async () => {
    const [exchange, gateway] = await market();
    exchange.unlisted.add('name:gone');
    const inbox = new Inbox<unknown>(
      wsClient(gateway),
      'subscription { contractUpdates(names: ["gone", "Oil 3"]) { id } }',
    );
    await until(() => gateway.report().contracts.INVALID === 1, 'it is refused');
    expect(await idsOf(gateway, '')).toHaveLength(4);
    expect(await idsOf(gateway, '(search: "gone")')).toEqual([]);
    expect(await idsOf(gateway, '(names: ["gone"])')).toEqual(['name:gone']);
    inbox.unsubscribe();
  });

  test('are found again by their id, alone, in lists, as nodes, and in subscriptions', async () => {
    const [exchange, gateway] = await market();
    const { data } = await ask(
      gateway,
      `{ name: contract(id: "name:Gold 2") { id name contractId }
         id: contract(id: "id:77") { id name contractId }
         bare: contract(id: 77) { id }
         list: contracts(ids: ["name:Oil 3", "77", "id:77"]) { id }
         node(id: "name:Gold 2") { __typename id ...on Contract { status } ...F }
         none: node(id: "77") { id }
         other: node(id: "Gold 2") { id } }
       fragment F on Node { again: id }`,
    );
    expect(data).toEqual({
      name: { id: 'name:Gold 2', name: 'Gold 2', contractId: null },
      id: { id: 'id:77', name: null, contractId: '77' },
      bare: { id: 'id:77' },
      list: [{ id: 'name:Oil 3' }, { id: 'id:77' }, { id: 'id:77' }],
      node: { __typename: 'Contract', id: 'name:Gold 2', status: 'LIVE', again: 'name:Gold 2' },
      none: null,
      other: null,
    });
    const query =
      'subscription { contractUpdates(ids: ["name:Oil 3"]) { ...F ... on Node { x: id } } } fragment F on Node { id }';
    const inbox = new Inbox<unknown>(wsClient(gateway), query);
    await inbox.until(({ values }) => values.length === 1, 'it begins');
    exchange.publish('name:Oil 3', 2);
    await inbox.until(({ values }) => values.length === 2, 'it goes on');
    expect(inbox.values[1]).toEqual({ contractUpdates: { id: 'name:Oil 3', x: 'name:Oil 3' } });
  });

  test('may be found by nobody who may not see them, by no form of their id', async () => {
    const [, gateway] = await market({ ...JWT, MAX_COST: '10' });
    const some = bearer(await token({ contracts: ['id:*'] }));
    for (const query of [
      '{ contract(id: "name:Gold 2") { id } }',
      '{ node(id: "name:Gold 2") { id } }',
      '{ contracts(ids: ["name:Gold 2"]) { id } }',
      '{ contracts(ids: ["name:Gold 2"]) { id } status { ready } }',
    ]) {
      const { errors } = await ask(gateway, query, {}, some);
      expect(errors?.[0]?.extensions?.['code']).toBe('FORBIDDEN');
    }
    // What is selected of a node costs what it does elsewhere.
    const fields =
      'id name status statusReason statusCode statusSince cursor contractId a: id b: id c: id';
    for (const root of ['contract(id: "id:77")', 'node(id: "id:77")']) {
      const query = `{ ${root} { ... on Contract { ${fields} } } }`;
      const { errors } = await ask(gateway, query, {}, some);
      expect(errors?.[0]?.extensions?.['code']).toBe('QUERY_TOO_COMPLEX');
    }
  });
});

test('the best orders and the last trade have IME’s digits, and are null where there is none', async () => {
  const [exchange, gateway] = await market();
  const level = (
    buyPrice: string,
    buyQuantity: string,
    sellPrice: string,
    sellQuantity: string,
  ) => ({
    level: 1,
    buyPrice,
    buyQuantity,
    sellPrice,
    sellQuantity,
  });
  const cases = [
    [[level('152300000.50', '12345678901234567891', '0', '0')], '0', 'A'],
    [[level('0.00', '5', '7.10', '3')], '1.50', 'B'],
    [[level('5', '0', '0e3', '4')], '0.0', 'C'],
    [[], '12345678901234567891', 'D'],
  ] as const;
  const found: unknown[] = [];
  for (const [bestLimits, lastPrice] of cases) {
    const before = gateway.report().upstream.messages;
    exchange.exchange.publish(['name:Oil 3'], TEHRAN.toLocal(Date.now()), {
      ...marketState(lastPrice),
      bestLimits,
    });
    await until(() => gateway.report().upstream.messages > before, 'it has come');
    const { data } = await ask<{ contract: { snapshot: unknown } }>(
      gateway,
      '{ contract(name: "Oil 3") { snapshot { bestBid { price quantity } bestAsk { price quantity } lastTradePrice } } }',
    );
    found.push(data?.contract.snapshot);
  }
  const none = { bestBid: null, bestAsk: null, lastTradePrice: null };
  expect(found).toEqual([
    { ...none, bestBid: { price: '152300000.50', quantity: '12345678901234567891' } },
    { ...none, bestAsk: { price: '7.10', quantity: '3' }, lastTradePrice: '1.50' },
    none,
    { ...none, lastTradePrice: '12345678901234567891' },
  ]);
});
