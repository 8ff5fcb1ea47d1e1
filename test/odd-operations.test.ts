import { createHash } from 'node:crypto';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { type Gateway, startGateway } from '../src/app/gateway.ts';
import { readConfig } from '../src/config/command-line.ts';
import { createLog } from '../src/observability/log.ts';
import { DOORS, readOutcome } from './kit/doors.ts';
import { names, TestExchange, until } from './kit/gateway.ts';
import { KNOWN, ODD_OPERATIONS } from './kit/odd-operations.ts';
import { RawClient } from './kit/raw.ts';

/** A gateway that holds one contract or none, and every line of its log that tells of a fault. */
async function oddGateway(settings: Record<string, string> = {}) {
  const market = await new TestExchange().listen();
  const line = readConfig([], {
    PORT: '0',
    AUTH: 'none',
    IME_URL: market.url,
    MAX_COST: '2000',
    MAX_OPERATIONS_PER_SECOND: '100000',
    MAX_OPERATIONS_PER_SECOND_PER_PRINCIPAL: '100000',
    MAX_OPERATIONS_IN_FLIGHT: '1000',
    MAX_OPERATIONS_IN_FLIGHT_PER_PRINCIPAL: '10000',
    ...settings,
  });
  if (line.run !== 'start') throw new Error(JSON.stringify(line));
  const faults: string[] = [];
  const gateway = await startGateway(
    line.config,
    createLog('error', { write: (text) => void faults.push(text) }),
  );
  onTestFinished(() => gateway.close());
  return { market, gateway, faults };
}

describe.each(['warm', 'cold'])('with the cache %s', (cache) => {
  test(`${ODD_OPERATIONS.length} odd operations are answered alike on every transport`, async () => {
    const warm: Record<string, string> = cache === 'warm' ? { IME_PINNED_NAMES: KNOWN } : {};
    const { market, gateway, faults } = await oddGateway(warm);
    if (cache === 'warm') {
      await market.carries(names(KNOWN));
      market.publish('name:A', 1);
      await until(() => gateway.report().contracts.LIVE === 1, 'it is cached');
    }
    const different: unknown[] = [];
    for (const { name, payload, code, says, closes4400, notByGet } of ODD_OPERATIONS) {
      const outcomes = await Promise.all(
        DOORS.map(async (door) => {
          if (notByGet && door.name.endsWith('GET')) return undefined;
          return { ...(await door.send(gateway, payload)), door };
        }),
      );
      for (const outcome of outcomes) {
        if (outcome === undefined) continue;
        const { door, codes, messages, data, status, streams, characters, closed } = outcome;
        const isRead =
          closes4400 && !door.isHttp
            ? closed === 4400
            : codes[0] === code && (code !== undefined || data instanceof Object);
        const isSaid = says === undefined || messages[0]?.match(says) !== null;
        // A subscription takes a stream; where the client takes none it is told so.
        const isNoStream = code === undefined && codes[0] === 'BAD_REQUEST' && status === 406;
        const isSubscription = String(payload['query']).startsWith('subscription');
        const isRight = isNoStream ? isSubscription : isRead && (closes4400 || isSaid);
        const isRefusedAsJson = code === undefined || !streams || !door.isHttp || !isSubscription;
        if (!isRight || !isRefusedAsJson || (code !== undefined && characters > 4_500)) {
          different.push({ name, ...outcome, door: door.name });
        }
      }
    }
    expect(different).toEqual([]);
    expect(faults).toEqual([]);
    await until(() => gateway.report().subscriptions === 0, 'nothing is left');
    expect(gateway.report().clients).toBe(0);
  });
});

test('odd operations are no business of the others on the same WebSocket', async () => {
  const { market, gateway, faults } = await oddGateway();
  const client = await new RawClient(gateway).init();
  client.subscribe(
    'witness',
    'subscription { contractUpdates(names: ["W"], initial: false) { id snapshot { aggregate { lastPrice } } } }',
  );
  await market.carries(names('W'));
  const asked = ODD_OPERATIONS.filter(({ closes4400 }) => !closes4400);
  for (const [place, { payload }] of asked.entries()) {
    client.send({ id: `odd ${place}`, type: 'subscribe', payload });
    market.publish('name:W', place + 1);
    client.send({ id: `odd ${place}`, type: 'complete' });
  }
  client.subscribe('last', '{ __typename }');
  await client.until(() => client.of('last').length === 2, 'the last one is answered');
  await client.until(() => client.of('witness').length === asked.length, 'every update has come');
  expect(client.closed).toBeUndefined();
  expect(
    client.of('witness').map(({ payload }) => {
      const { data } = payload as {
        data: { contractUpdates: { snapshot: { aggregate: { lastPrice: string } } } };
      };
      return Number(data.contractUpdates.snapshot.aggregate.lastPrice);
    }),
  ).toEqual(asked.map((_, place) => place + 1));
  expect(gateway.report().subscriptions).toBe(1);
  expect(faults).toEqual([]);
});

describe('a request that HTTP has an answer for', () => {
  const json = { 'content-type': 'application/json' };
  const post = (gateway: Gateway, body: string | Buffer, headers: Record<string, string>) =>
    fetch(`${gateway.url}/graphql`, { method: 'POST', headers, body: body as BodyInit });
  const typename = '{"query":"{ __typename }"}';

  test.each([
    ['broken JSON', '{"query":', json, 400, 'BAD_REQUEST'],
    ['no JSON at all', 'query', json, 400, 'BAD_REQUEST'],
    ['an empty body', '', json, 400, 'BAD_REQUEST'],
    ['a batch', `[${typename}]`, json, 400, 'BAD_REQUEST'],
    ['a text', '"x"', json, 400, 'BAD_REQUEST'],
    ['null', 'null', json, 400, 'BAD_REQUEST'],
    [
      'bytes that are not UTF-8',
      Buffer.from('7b227175657279223a22ff227d', 'hex'),
      json,
      400,
      'BAD_REQUEST',
    ],
    [
      'application/graphql',
      '{ __typename }',
      { 'content-type': 'application/graphql' },
      415,
      'BAD_REQUEST',
    ],
    [
      'a form',
      'query=%7B__typename%7D',
      { 'content-type': 'application/x-www-form-urlencoded' },
      415,
      'BAD_REQUEST',
    ],
    ['a plain text', typename, { 'content-type': 'text/plain' }, 415, 'BAD_REQUEST'],
    [
      'another charset',
      typename,
      { 'content-type': 'application/json; charset=utf-16' },
      415,
      'BAD_REQUEST',
    ],
    ['a compressed body', typename, { ...json, 'content-encoding': 'gzip' }, 415, 'BAD_REQUEST'],
    [
      'upper case',
      typename,
      { 'content-type': 'Application/JSON; charset="UTF-8"' },
      200,
      undefined,
    ],
    [
      'Content-Encoding: identity',
      typename,
      { ...json, 'content-encoding': 'identity' },
      200,
      undefined,
    ],
    ['equal keys twice', '{"query":"{","query":"{ __typename }"}', json, 200, undefined],
  ] as const)('%s', async (_name, body, headers, status, code) => {
    for (const settings of [{ IME_PINNED_NAMES: KNOWN }, {}]) {
      const { gateway, faults } = await oddGateway(settings);
      for (const accept of [
        'application/json',
        'text/event-stream',
        'multipart/mixed;subscriptionSpec=1.0',
      ]) {
        const answer = await readOutcome(await post(gateway, body, { ...headers, accept }));
        expect([answer.status, answer.codes[0]], accept).toEqual([status, code]);
        // A stream begins only where there is something to stream.
        if (code !== undefined) expect(answer.streams).toBe(false);
      }
      expect(faults).toEqual([]);
    }
  });

  test('broken JSON among the parameters of a GET', async () => {
    const { gateway } = await oddGateway();
    const get = async (query: string) =>
      readOutcome(await fetch(`${gateway.url}/graphql?query={__typename}&${query}`));
    const variables = await get('variables={');
    expect([variables.status, variables.codes[0]]).toEqual([400, 'BAD_USER_INPUT']);
    const extensions = await get('extensions={');
    expect([extensions.status, extensions.codes[0]]).toEqual([400, 'BAD_REQUEST']);
  });

  test('a mutation with GET, and another method', async () => {
    const { gateway } = await oddGateway();
    const query = encodeURIComponent('mutation { renewAuthorization(token: "x") { principal } }');
    const mutation = await fetch(`${gateway.url}/graphql?query=${query}`);
    expect([mutation.status, mutation.headers.get('allow')]).toEqual([405, 'POST']);
    expect((await readOutcome(mutation)).codes).toEqual(['BAD_REQUEST']);
    expect((await fetch(`${gateway.url}/graphql`, { method: 'DELETE' })).status).toBe(405);
  });

  test('a subscription that its client cannot take: nothing is taken for it', async () => {
    const { gateway, market } = await oddGateway();
    const body = JSON.stringify({
      query: 'subscription { contractUpdates(names: ["never asked"]) { id } }',
    });
    for (const accept of [
      'application/json',
      'application/graphql-response+json',
      'text/event-stream;q=0, application/json',
    ]) {
      const answer = await readOutcome(await post(gateway, body, { ...json, accept }));
      expect([answer.status, answer.codes]).toEqual([406, ['BAD_REQUEST']]);
      expect(answer.messages[0]).toContain('text/event-stream');
    }
    const { clients, subscriptions, contracts } = gateway.report();
    expect([clients, subscriptions, contracts.PENDING]).toEqual([0, 0, 0]);
    expect(market.exchange.subscriptions).toEqual([]);
  });

  test('a whole number beyond 2^53 for an ID comes as the digits that were sent', async () => {
    const { gateway } = await oddGateway();
    const id = '12345678901234567890123';
    const body = `{"query":"query ($i: ID) { contract(id: $i, waitMs: 0) { id } }","variables":{"i":${id}}}`;
    for (let time = 0; time < 2; time++) {
      const answer = await readOutcome(
        await post(gateway, body, { ...json, accept: 'application/json' }),
      );
      expect(answer.data).toEqual({ contract: { id: `id:${id}` } });
    }
    const client = await new RawClient(gateway).init();
    client.send(`{"id":"1","type":"subscribe","payload":${body}}`);
    await client.until(() => client.of('1').length > 0, 'it is answered');
    expect(client.of('1')[0]?.payload).toEqual({ data: { contract: { id: `id:${id}` } } });
  });
});

describe('with API keys', () => {
  let file: string;
  const shown = { authorization: 'Bearer gold' };
  beforeAll(() => {
    file = join(mkdtempSync(join(tmpdir(), 'odd-')), 'keys.json');
    const sha256 = createHash('sha256').update('gold').digest('hex');
    writeFileSync(
      file,
      JSON.stringify({ keys: [{ label: 'gold', sha256, contracts: ['name:Gold*'] }] }),
    );
  });

  test('what may not be seen costs nothing, and tells nothing', async () => {
    const pinned = Array.from({ length: 300 }, (_, at) => `Oil ${at}`);
    const { gateway } = await oddGateway({
      AUTH: 'keys',
      AUTH_KEYS_FILE: file,
      IME_PINNED_NAMES: [...pinned, 'Gold 1'].join(','),
    });
    const leaves =
      'id status statusReason snapshot { timestamp aggregate { lastPrice lowPrice highPrice openPrice } }';
    for (const door of DOORS) {
      const all = await door.send(gateway, { query: `{ contracts { ${leaves} } }` }, shown);
      expect(all.codes, door.name).toEqual([]);
      expect(all.data, door.name).toMatchObject({ contracts: [{ id: 'name:Gold 1' }] });
      const query = `query ($n: [String!]) { contracts(names: $n, waitMs: 0) { ${leaves} } }`;
      const asked = await door.send(
        gateway,
        { query, variables: { n: pinned.slice(0, 200) } },
        shown,
      );
      expect(new Set(asked.codes), door.name).toEqual(new Set(['FORBIDDEN']));
    }
  });

  test('a key that is not known is UNAUTHENTICATED on every transport', async () => {
    const { gateway } = await oddGateway({ AUTH: 'keys', AUTH_KEYS_FILE: file });
    for (const door of DOORS.filter(({ isHttp }) => isHttp)) {
      const answer = await door.send(
        gateway,
        { query: '{ __typename }' },
        { authorization: 'Bearer x' },
      );
      expect([answer.status, answer.codes], door.name).toEqual([401, ['UNAUTHENTICATED']]);
    }
  });
});

test('where only trusted documents are executed, nothing else is, however it is sent', async () => {
  const trusted = join(mkdtempSync(join(tmpdir(), 'odd-')), 'trusted.json');
  writeFileSync(trusted, JSON.stringify({ abc: '{ status { ready } }' }));
  const { gateway } = await oddGateway({ TRUSTED_DOCUMENTS: trusted });
  for (const door of DOORS) {
    const unknown = await door.send(gateway, { query: '{ __typename }' });
    expect(unknown.codes, door.name).toEqual(['UNKNOWN_DOCUMENT']);
    const known = await door.send(gateway, {
      query: '',
      extensions: { persistedQuery: { sha256Hash: 'abc' } },
    });
    expect(known.codes, door.name).toEqual([]);
    expect(known.data, door.name).toMatchObject({ status: {} });
  }
  for (const type of ['application/graphql', 'application/x-www-form-urlencoded', 'text/plain']) {
    const answer = await fetch(`${gateway.url}/graphql`, {
      method: 'POST',
      headers: { 'content-type': type },
      body: type.endsWith('encoded') ? 'query={__typename}' : '{ __typename }',
    });
    expect(answer.status, type).toBe(415);
    expect(await answer.text()).not.toContain('"data"');
  }
});
