import { describe, expect, test } from 'vitest';
import { ask } from './kit/clients.ts';
import { liveMarket, until } from './kit/gateway.ts';
import { keysOf, withKey, writeKeys } from './kit/keys.ts';
import { RawClient } from './kit/raw.ts';
import { bearer, JWT, token } from './kit/tokens.ts';

/** What each query has at once, and what it waits for. */
const QUERIES = [
  '{ contracts(names: ["C", "quiet"], waitMs: 700) { id snapshot { aggregate { lastPrice } } } }',
  '{ c: contract(name: "C") { id status } q: contract(name: "quiet", waitMs: 700) { id } }',
  '{ c: contract(name: "C", waitMs: 0) { id } q: contracts(names: ["quiet"], waitMs: 700) { id } }',
  '{ c: contracts { id } q: contract(name: "quiet", waitMs: 700) { id } }',
  '{ c: node(id: "name:C") { id } q: contract(name: "quiet", waitMs: 700) { id } }',
  '{ c: node(id: "name:C") { id } q: node(id: "name:quiet") { id } }',
];

async function waitingClient(query: string) {
  const [market, gateway] = await liveMarket(['C'], ['C'], JWT);
  const client = await new RawClient(gateway, bearer(await token())).init();
  client.subscribe('q', query);
  await until(() => gateway.report().contracts.PENDING === 1, 'it waits for the other');
  return { client, market };
}

describe('a query that waits', () => {
  test.each(QUERIES)('shows nothing that may not be seen any more then: %s', async (query) => {
    const { client } = await waitingClient(query);
    const narrow = await token({ contracts: ['name:quiet'] });
    client.subscribe('r', `mutation { renewAuthorization(token: "${narrow}") { contracts } }`);
    await client.until(() => client.of('q').length === 2, 'it is answered');
    expect(client.codes('r')).toEqual([]);
    const answer = JSON.stringify(client.of('q'));
    expect(answer).not.toContain('"id":"name:C"');
    expect(answer).toContain('"id":"name:quiet"');
  });

  test.each(QUERIES)('over HTTP, where its key is narrowed: %s', async (query) => {
    const settings = keysOf({ reader: {} });
    const [, gateway] = await liveMarket(['C'], ['C'], settings);
    const answer = ask(gateway, query, undefined, withKey('reader'));
    await until(() => gateway.report().contracts.PENDING === 1, 'it waits for the other');
    writeKeys(settings.AUTH_KEYS_FILE, { reader: { contracts: ['name:quiet'] } });
    gateway.reload();
    const text = JSON.stringify(await answer);
    expect(text).not.toContain('"id":"name:C"');
    expect(text).toContain('"id":"name:quiet"');
  });

  test('tells the newest state of what was known before', async () => {
    const { client, market } = await waitingClient(QUERIES[0] as string);
    market.publish('name:C', 2);
    await client.until(() => client.of('q').length === 2, 'it is answered');
    expect(JSON.stringify(client.of('q'))).toContain('"lastPrice":"2"');
  });
});
