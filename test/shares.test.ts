import { describe, expect, test } from 'vitest';
import type { Gateway } from '../src/app/gateway.ts';
import { ask } from './kit/clients.ts';
import { names, TestExchange, testGateway, until } from './kit/gateway.ts';
import { keysOf, withKey } from './kit/keys.ts';
import { RawClient } from './kit/raw.ts';
import { numbered } from './kit/upstream.ts';

const KEYS = keysOf({ one: {}, two: {}, wide: { contracts: 4 } });
const STREAMS = ['text/event-stream', 'multipart/mixed;subscriptionSpec="1.0", application/json'];
const updates = (...texts: string[]) =>
  `subscription { contractUpdates(names: ${JSON.stringify(texts)}) { id status } }`;
const states = (...texts: string[]) =>
  `{ contracts(names: ${JSON.stringify(texts)}, waitMs: 0) { id } }`;

const clientOf = (gateway: Gateway, label: string) => new RawClient(gateway, withKey(label)).init();

/** The answer to one operation of a client. */
async function answered(client: RawClient, id: string, query: string) {
  client.subscribe(id, query);
  await client.until(() => client.of(id).length > 0, `${id} is answered`);
  return client.of(id)[0];
}

async function codesOver(client: RawClient, id: string, query: string): Promise<unknown[]> {
  await answered(client, id, query);
  return client.codes(id);
}

async function codesOfQuery(gateway: Gateway, label: string, query: string): Promise<unknown[]> {
  const { errors } = await ask(gateway, query, {}, withKey(label));
  return [...new Set(errors?.map(({ extensions }) => extensions?.['code']))];
}

/** The codes of what a stream over HTTP begins with. */
async function codesOfStream(gateway: Gateway, label: string, query: string, accept: string) {
  const abort = new AbortController();
  const response = await fetch(`${gateway.url}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', accept, ...withKey(label) },
    body: JSON.stringify({ query }),
    signal: abort.signal,
  });
  let text = '';
  for await (const chunk of response.body ?? []) {
    text += Buffer.from(chunk).toString();
    if (text.includes('contractUpdates') || text.includes('"code"')) break;
  }
  abort.abort();
  return [...text.matchAll(/"code":"(\w+)"/g)].map(([, code]) => code);
}

const hits = async (gateway: Gateway, limit: string) => {
  const text = await (await fetch(`${gateway.url}/metrics`)).text();
  return Number(new RegExp(`limit_hits_total\\{limit="${limit}"\\} (\\d+)`).exec(text)?.[1]);
};

describe('contracts that IME has not accepted yet', () => {
  /** An exchange that neither accepts nor refuses anything: it is frozen in the handshake. */
  async function silentMarket() {
    const market = await new TestExchange().listen();
    market.exchange.faults.freeze();
    return market;
  }

  test('are so many for a principal on every transport, and refused as a whole', async () => {
    const market = await silentMarket();
    const gateway = await testGateway({
      ...KEYS,
      IME_URL: market.url,
      MAX_UNPROVEN_CONTRACTS_PER_PRINCIPAL: '3',
    });
    const client = await clientOf(gateway, 'one');
    const all = updates('a', 'b', 'c', 'd');
    const refused = await answered(client, '1', all);
    expect(refused).toMatchObject({
      type: 'error',
      payload: [{ extensions: { code: 'RATE_LIMITED', limit: 3 } }],
    });
    expect(JSON.stringify(refused)).toContain('at most 3 contracts');
    expect(await codesOfQuery(gateway, 'one', states('a', 'b', 'c', 'd'))).toEqual([
      'RATE_LIMITED',
    ]);
    for (const accept of STREAMS) {
      expect(await codesOfStream(gateway, 'one', all, accept)).toEqual(['RATE_LIMITED']);
    }
    expect(gateway.report().contracts.PENDING).toBe(0);
    expect(await hits(gateway, 'unproven_contracts_per_principal')).toBe(4);

    expect(await codesOver(client, '2', updates('a', 'b'))).toEqual([]);
    expect(await codesOfQuery(gateway, 'one', states('c'))).toEqual([]);
    expect(await codesOver(client, '3', updates('a', 'b', 'c'))).toEqual([]);
    expect(await codesOver(client, '4', updates('d'))).toEqual(['RATE_LIMITED']);
    expect(await codesOfQuery(gateway, 'one', states('d'))).toEqual(['RATE_LIMITED']);
    // Another's own are another's, and what another asked for first costs nobody else anything.
    const other = await clientOf(gateway, 'two');
    expect(await codesOver(other, '1', updates('d', 'e', 'f', 'a', 'b'))).toEqual([]);
    expect(await codesOver(client, '5', updates('d', 'e'))).toEqual([]);
  });

  test('are given back when they are accepted, though no state has come', async () => {
    const market = await new TestExchange().listen();
    const gateway = await testGateway({
      ...KEYS,
      IME_URL: market.url,
      MAX_UNPROVEN_CONTRACTS_PER_PRINCIPAL: '2',
    });
    const client = await clientOf(gateway, 'one');
    expect(await codesOver(client, '1', updates('a', 'b'))).toEqual([]);
    expect(await codesOver(client, '2', updates('c'))).toEqual(['RATE_LIMITED']);
    await until(
      () => gateway.report().upstream.sockets.some(({ state }) => state === 'settled'),
      'they are accepted',
    );
    expect(gateway.report().contracts.PENDING).toBe(2);
    expect(await codesOver(client, '3', updates('c', 'd'))).toEqual([]);
  });

  test('are given back when they are refused', async () => {
    const market = await new TestExchange().listen();
    for (const key of names('u', 'v')) market.unlisted.add(key);
    const gateway = await testGateway({
      ...KEYS,
      IME_URL: market.url,
      IME_PINNED_NAMES: 'known',
      MAX_UNPROVEN_CONTRACTS_PER_PRINCIPAL: '2',
    });
    await market.carries(names('known'));
    const client = await clientOf(gateway, 'one');
    await answered(client, '1', updates('u', 'v'));
    await until(() => gateway.report().contracts.INVALID === 2, 'both are refused');
    expect(await codesOver(client, '2', updates('a', 'b'))).toEqual([]);
  });

  test('are given back when they are let go', async () => {
    const market = await silentMarket();
    const gateway = await testGateway({
      ...KEYS,
      IME_URL: market.url,
      IME_LINGER_MS: '50',
      MAX_UNPROVEN_CONTRACTS_PER_PRINCIPAL: '2',
    });
    const client = await clientOf(gateway, 'one');
    expect(await codesOver(client, '1', updates('a', 'b'))).toEqual([]);
    client.send({ type: 'complete', id: '1' });
    await until(() => gateway.report().contracts.PENDING === 0, 'they are let go');
    expect(await codesOver(client, '2', updates('c', 'd'))).toEqual([]);
  });
});

describe("a principal's share of the contracts upstream", () => {
  async function sharedGateway(settings: Record<string, string> = {}) {
    const market = await new TestExchange().listen();
    return testGateway({
      ...KEYS,
      IME_URL: market.url,
      MAX_CONTRACTS_PER_PRINCIPAL: '2',
      ...settings,
    });
  }

  test('counts each contract once, however many of its subscriptions have it', async () => {
    const gateway = await sharedGateway();
    const client = await clientOf(gateway, 'one');
    const second = await clientOf(gateway, 'one');
    expect(await codesOver(client, '1', updates('a', 'b'))).toEqual([]);
    expect(await codesOver(client, '2', updates('b', 'a'))).toEqual([]);
    expect(await codesOver(second, '3', updates('a'))).toEqual([]);
    expect(await codesOver(second, '4', updates('c'))).toEqual(['TOO_MANY_CONTRACTS']);
    expect(await codesOfQuery(gateway, 'one', states('c'))).toEqual(['TOO_MANY_CONTRACTS']);
    for (const accept of STREAMS) {
      expect(await codesOfStream(gateway, 'one', updates('c'), accept)).toEqual([
        'TOO_MANY_CONTRACTS',
      ]);
    }
    expect(await hits(gateway, 'contracts_per_principal')).toBe(4);
    expect(gateway.report().contracts.PENDING).toBe(2);
    // One subscription less does not free what another still has.
    client.send({ type: 'complete', id: '1' });
    await until(() => gateway.report().subscriptions === 2, 'the first has ended');
    expect(await codesOver(second, '5', updates('c'))).toEqual(['TOO_MANY_CONTRACTS']);
  });

  test('counts a contract that several want for each of them, and is its own for each key', async () => {
    const gateway = await sharedGateway();
    const [one, two, wide] = await Promise.all(
      ['one', 'two', 'wide'].map((label) => clientOf(gateway, label)),
    );
    if (!one || !two || !wide) throw new Error('no clients');
    expect(await codesOver(one, '1', updates('a', 'b'))).toEqual([]);
    expect(await codesOver(two, '1', updates('a', 'b', 'c'))).toEqual(['TOO_MANY_CONTRACTS']);
    expect(await codesOver(two, '2', updates('a', 'c'))).toEqual([]);
    expect(await codesOver(wide, '1', updates('a', 'b', 'c', 'd'))).toEqual([]);
    expect(await codesOver(wide, '2', updates('e'))).toEqual(['TOO_MANY_CONTRACTS']);
  });

  test('has room for what is new where its own only linger', async () => {
    const gateway = await sharedGateway();
    const [one, two] = await Promise.all(['one', 'two'].map((label) => clientOf(gateway, label)));
    if (!one || !two) throw new Error('no clients');
    expect(await codesOfQuery(gateway, 'one', states('q'))).toEqual([]);
    expect(await codesOver(two, '1', updates('b'))).toEqual([]);
    expect(await codesOver(one, '1', updates('a'))).toEqual([]);
    one.send({ type: 'complete', id: '1' });
    await until(() => gateway.report().subscriptions === 1, 'it has ended');
    // q and a linger for the one, b is the other's: the longest that lingers goes first.
    expect(await codesOver(one, '2', updates('b'))).toEqual([]);
    const held = async () => {
      const { data } = await ask<{ contracts: { id: string }[] }>(
        gateway,
        '{ contracts { id } }',
        {},
        withKey('one'),
      );
      return data?.contracts.map(({ id }) => id).sort();
    };
    expect(await held()).toEqual(names('a', 'b'));
    expect(await codesOver(one, '3', updates('c'))).toEqual([]);
    expect(await held()).toEqual(names('b', 'c'));
    expect(await codesOver(one, '4', updates('d'))).toEqual(['TOO_MANY_CONTRACTS']);
    // What lingers for one is free for another.
    one.send({ type: 'complete', id: '3' });
    await until(() => gateway.report().subscriptions === 2, 'it has ended');
    expect(await codesOver(two, '2', updates('c'))).toEqual([]);
    expect(await codesOver(one, '5', updates('d'))).toEqual([]);
    expect(await held()).toEqual(names('b', 'c', 'd'));
  });

  test("is nobody else's: one who asks for new contracts again and again fills nothing", async () => {
    const gateway = await sharedGateway({
      MAX_UPSTREAM_CONTRACTS: '8',
      MAX_CONTRACTS_PER_PRINCIPAL: '4',
    });
    const client = await clientOf(gateway, 'one');
    for (let wave = 0; wave < 20; wave++) {
      const wanted = numbered(4, `wave${wave}-`);
      expect(await codesOver(client, `w${wave}`, updates(...wanted))).toEqual([]);
      client.send({ type: 'complete', id: `w${wave}` });
      await until(() => gateway.report().subscriptions === 0, 'it has ended');
      expect(await codesOfQuery(gateway, 'one', states(`q${wave}`))).toEqual([]);
    }
    expect(gateway.report().contracts.PENDING).toBeLessThanOrEqual(4);
    const other = await clientOf(gateway, 'two');
    expect(await codesOver(other, '1', updates('A', 'B', 'C', 'D'))).toEqual([]);
  });
});
