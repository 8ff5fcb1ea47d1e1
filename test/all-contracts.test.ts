import { describe, expect, test } from 'vitest';
import type { Gateway } from '../src/app/gateway.ts';
import { Inbox, wsClient } from './kit/clients.ts';
import { EventStream } from './kit/events.ts';
import { names, TestExchange, testGateway, until } from './kit/gateway.ts';
import { RawClient } from './kit/raw.ts';
import { bearer, JWT, token } from './kit/tokens.ts';

interface Told {
  readonly contractUpdates: {
    readonly id: string;
    readonly cursor: string;
    readonly status: string;
    readonly statusCode: string | null;
    readonly snapshot: { readonly aggregate: { readonly lastPrice: string } } | null;
  };
}

const SELECTION = 'id cursor status statusCode snapshot { aggregate { lastPrice } }';
const all = (more = '') => `subscription { contractUpdates(all: true ${more}) { ${SELECTION} } }`;
const of = (...texts: string[]) =>
  `subscription { contractUpdates(names: ${JSON.stringify(texts)}) { ${SELECTION} } }`;

const said = (values: readonly Told[]) =>
  values.map(
    ({ contractUpdates: { id, status, statusCode, snapshot } }) =>
      `${id.slice(5)} ${snapshot?.aggregate.lastPrice ?? '–'} ${statusCode ?? status}`,
  );
const cursorsOf = (values: readonly Told[]) =>
  values.map(({ contractUpdates }) => contractUpdates.cursor);

/** A gateway that holds P for as long as it runs, and what else is asked for. */
async function market(settings: Record<string, string> = {}): Promise<[TestExchange, Gateway]> {
  const exchange = await new TestExchange().listen();
  exchange.unlisted.add('name:gone');
  const gateway = await testGateway({
    IME_URL: exchange.url,
    IME_PINNED_NAMES: 'P',
    IME_LINGER_MS: '50',
    ...settings,
  });
  await exchange.carries(names('P'));
  exchange.publish('name:P', 1);
  await until(() => gateway.report().contracts.LIVE === 1, 'it is live');
  return [exchange, gateway];
}

describe('all: true', () => {
  test('tells of what is held, of those that join, and of those that are let go, and keeps none', async () => {
    const [exchange, gateway] = await market();
    const inbox = new Inbox<Told>(wsClient(gateway), all());
    await inbox.until(({ values }) => values.length === 1, 'it begins');
    const other = new Inbox<Told>(wsClient(gateway), of('X', 'Y'));
    await inbox.until(({ values }) => values.length === 3, 'others join');
    await exchange.carries(names('X', 'Y'));
    exchange.publish('name:Y', 2);
    await inbox.until(({ values }) => values.length === 4, 'one has a state');
    other.unsubscribe();
    await inbox.until(({ values }) => values.length === 6, 'they are let go');
    expect(said(inbox.values)).toEqual([
      'P 1 LIVE',
      'X – AWAITING_STATE',
      'Y – AWAITING_STATE',
      'Y 2 LIVE',
      'X – RELEASED',
      'Y 2 RELEASED',
    ]);
    expect(inbox.values[5]?.contractUpdates.status).toBe('STALE');
    expect(gateway.report().contracts).toMatchObject({ LIVE: 1, PENDING: 0, STALE: 0 });
    const again = new Inbox<Told>(wsClient(gateway), of('Y'));
    await inbox.until(({ values }) => values.length >= 7, 'one joins again');
    expect(said(inbox.values)[6]).toMatch(/^Y (– AWAITING_STATE|2 LIVE)$/);
    again.unsubscribe();
    const cursors = cursorsOf(inbox.values);
    expect(cursors).toEqual([...new Set(cursors)].sort());
  });

  test('leaves out what is INVALID, and tells once of what turns so', async () => {
    const [exchange, gateway] = await market();
    const early = new Inbox<Told>(wsClient(gateway), all());
    await early.until(({ values }) => values.length === 1, 'it begins');
    const asking = new Inbox<Told>(wsClient(gateway), of('gone', 'X'));
    await asking.until(
      (one) => said(one.values).some((text) => /INVALID|UNKNOWN/.test(text)),
      'it is refused',
    );
    await early.until((one) => said(one.values).some((text) => /UNKNOWN/.test(text)), 'it is told');
    const ofGone = said(early.values).filter((text) => text.startsWith('gone'));
    expect(ofGone[0]).toBe('gone – AWAITING_STATE');
    expect(ofGone.filter((text) => /UNKNOWN/.test(text))).toHaveLength(1);
    const late = new Inbox<Told>(wsClient(gateway), all());
    await late.until(({ values }) => values.length >= 2, 'it begins');
    exchange.publish('name:P', 3);
    await late.until((one) => said(one.values).includes('P 3 LIVE'), 'it goes on');
    expect(said(late.values).filter((text) => text.startsWith('gone'))).toEqual([]);
    // Asked for again while it is known to be refused: it joins as INVALID.
    asking.unsubscribe();
    await until(() => gateway.report().contracts.INVALID === 0, 'it is let go');
    const again = new Inbox<Told>(wsClient(gateway), of('gone'));
    await again.until(({ completed }) => completed, 'it is refused at once');
    exchange.publish('name:P', 4);
    for (const inbox of [early, late]) {
      await inbox.until((one) => said(one.values).includes('P 4 LIVE'), 'it goes on');
      expect(said(inbox.values).filter((text) => /^gone.*(RELEASED|INVALID)/.test(text))).toEqual(
        [],
      );
    }
    expect(said(early.values).filter((text) => text.startsWith('gone'))).toEqual(ofGone);
  });

  test('resumes: those let go or refused meanwhile are told too, and nothing twice', async () => {
    const [exchange, gateway] = await market();
    const other = new Inbox<Told>(wsClient(gateway), of('X', 'Y', 'gone later'));
    await exchange.carries(names('X', 'Y', 'gone later'));
    exchange.publish('name:X', 1);
    exchange.publish('name:Y', 1);
    await other.until((one) => said(one.values).includes('Y 1 LIVE'), 'they are live');
    const inbox = new Inbox<Told>(wsClient(gateway), all());
    await inbox.until(({ values }) => values.length === 4, 'it begins');
    inbox.unsubscribe();
    const since = cursorsOf(inbox.values).at(-1);
    exchange.unlisted.add('name:gone later');
    exchange.exchange.drop(1008, (keys) => keys.has('name:gone later'));
    await other.until(
      (one) => said(one.values).some((text) => /UNKNOWN/.test(text)),
      'it is refused',
    );
    other.unsubscribe();
    await until(
      () => gateway.report().contracts.STALE + gateway.report().contracts.PENDING === 0,
      'all are let go',
    );
    await until(() => gateway.report().contracts.INVALID === 0, 'all are let go');
    exchange.publish('name:P', 2);
    const resumed = new Inbox<Told>(wsClient(gateway), all(`since: "${since}"`));
    await resumed.until((one) => said(one.values).includes('P 2 LIVE'), 'it resumes');
    expect(
      said(resumed.values)
        .filter((text) => !text.startsWith('P'))
        .sort(),
    ).toEqual(['X 1 RELEASED', 'Y 1 RELEASED', 'gone later – UNKNOWN_CONTRACT']);
    const cursors = [since ?? '', ...cursorsOf(resumed.values)];
    expect(cursors).toEqual([...new Set(cursors)].sort());
    const anew = new Inbox<Told>(wsClient(gateway), all());
    await anew.until(({ values }) => values.length === 1, 'it begins');
    expect(said(anew.values)).toEqual(['P 2 LIVE']);
  });

  test('is no more than the caller may see, from renewal on too', async () => {
    const exchange = await new TestExchange().listen();
    const gateway = await testGateway({
      ...JWT,
      IME_URL: exchange.url,
      IME_PINNED_NAMES: 'a1,a2,b1',
    });
    await exchange.carries(names('a1', 'a2', 'b1'));
    for (const name of ['a1', 'a2', 'b1']) exchange.publish(`name:${name}`, 1);
    await until(() => gateway.report().contracts.LIVE === 3, 'all are live');
    const headers = bearer(await token({ contracts: ['name:a*'] }));
    const stream = new EventStream(gateway.url, all(), headers);
    await stream.until(() => stream.events.length === 2, 'it begins');
    expect(said(stream.results<Told>())).toEqual(['a1 1 LIVE', 'a2 1 LIVE']);
    const client = await new RawClient(gateway, bearer(await token())).init();
    client.subscribe('all', all());
    client.subscribe('paced', all('maxUpdatesPerSecond: 5'));
    const told = (id: string) =>
      said(client.of(id).map(({ payload }) => (payload as { data: Told }).data));
    await client.until(() => told('all').length === 3 && told('paced').length === 3, 'they begin');
    for (const name of ['a1', 'b1']) exchange.publish(`name:${name}`, 2);
    for (const name of ['a1', 'b1']) exchange.publish(`name:${name}`, 3);
    await client.until(() => told('all').includes('b1 3 LIVE'), 'it goes on');
    const narrow = await token({ contracts: ['name:a1'] });
    client.subscribe('renew', `mutation { renewAuthorization(token: "${narrow}") { contracts } }`);
    await client.until(() => client.of('renew').length === 2, 'it is renewed');
    const before = client.messages.length;
    for (const name of ['b1', 'a2', 'a1']) exchange.publish(`name:${name}`, 4);
    await client.until(() => told('all').includes('a1 4 LIVE'), 'it goes on');
    await client.until(() => told('paced').includes('a1 4 LIVE'), 'it goes on');
    const later = JSON.stringify(client.messages.slice(before));
    expect(later).not.toMatch(/name:(b1|a2)/);
  });

  test('takes no names besides, and no place of contracts', async () => {
    const [, gateway] = await market({
      MAX_CONTRACTS_PER_SUBSCRIPTION: '2',
      MAX_CONTRACTS_PER_CONNECTION: '2',
      MAX_COST: '40',
    });
    const client = await new RawClient(gateway).init();
    client.subscribe('both', 'subscription { contractUpdates(all: true, names: ["A"]) { id } }');
    await client.until(() => client.of('both').length === 1, 'it is refused');
    expect(client.codes('both')).toEqual(['BAD_USER_INPUT']);
    client.subscribe('neither', 'subscription { contractUpdates(all: false) { id } }');
    await client.until(() => client.of('neither').length === 1, 'it is refused');
    expect(client.codes('neither')).toEqual(['BAD_USER_INPUT']);
    const others = await Promise.all(
      ['A', 'B', 'C'].map(async (name) => {
        const other = await new RawClient(gateway).init();
        other.subscribe('1', of(`${name}1`, `${name}2`));
        await other.until(() => other.of('1').length === 2, 'it begins');
        return other;
      }),
    );
    expect(others).toHaveLength(3);
    for (const id of ['one', 'two']) {
      client.subscribe(id, all());
      await client.until(() => client.of(id).length === 7, 'it begins with all');
    }
    client.subscribe('costly', all().replace(SELECTION, `${SELECTION} name contractId`));
    await client.until(() => client.of('costly').length === 1, 'it is refused');
    expect(client.codes('costly')).toEqual(['QUERY_TOO_COMPLEX']);
  });
});
