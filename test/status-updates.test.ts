import { describe, expect, test } from 'vitest';
import { Inbox, sseClient, wsClient } from './kit/clients.ts';
import { EventStream } from './kit/events.ts';
import { names, TestExchange, testGateway, until } from './kit/gateway.ts';
import { RawClient } from './kit/raw.ts';
import { bearer, JWT, token } from './kit/tokens.ts';

interface Told {
  readonly statusUpdates: {
    readonly ready: boolean;
    readonly reasons: readonly string[];
    readonly subscriptions: number | null;
    readonly uptimeSeconds: number;
    readonly contracts: { readonly live: number; readonly total: number } | null;
  };
}

const FOLLOW =
  'subscription { statusUpdates { ready reasons subscriptions contracts { total live } } }';

async function market(settings: Record<string, string> = {}) {
  const exchange = await new TestExchange().listen();
  const gateway = await testGateway({ IME_URL: exchange.url, IME_PINNED_NAMES: 'A', ...settings });
  await exchange.carries(names('A'));
  exchange.publish('name:A', 1);
  await until(() => gateway.report().contracts.LIVE === 1, 'it is live');
  return { exchange, gateway };
}

describe('statusUpdates', () => {
  test('begins with how it is now, and tells each change at most once a second, on every transport', async () => {
    const { exchange, gateway } = await market();
    const inboxes = [
      new Inbox<Told>(wsClient(gateway), FOLLOW),
      new Inbox<Told>(sseClient(gateway), FOLLOW),
    ];
    for (const inbox of inboxes) {
      await inbox.until(({ values }) => values.length >= 1, 'it begins');
      expect(inbox.values[0]?.statusUpdates).toMatchObject({ ready: true, contracts: { live: 1 } });
    }
    const times: number[] = [];
    const client = await new RawClient(gateway).init();
    client.socket.on('message', () => times.push(performance.now()));
    client.subscribe('1', FOLLOW);
    await exchange.exchange.close();
    for (const inbox of inboxes) {
      await inbox.until(({ values }) => values.at(-1)?.statusUpdates.ready === false, 'it is lost');
      expect(inbox.values.at(-1)?.statusUpdates.reasons.length).toBeGreaterThan(0);
    }
    const others: Inbox<Told>[] = [];
    for (let more = 0; more < 8; more++) {
      others.push(new Inbox<Told>(wsClient(gateway), FOLLOW));
      await new Promise((resolve) => setTimeout(resolve, 250));
    }
    for (const inbox of [...inboxes, ...others]) {
      await inbox.until(
        ({ values }) => values.at(-1)?.statusUpdates.subscriptions === 11,
        'it is told',
      );
    }
    const pauses = times.slice(1).map((ms, at) => ms - (times[at] ?? 0));
    expect(pauses.length).toBeGreaterThan(1);
    expect(Math.min(...pauses)).toBeGreaterThan(900);
  });

  test('takes neither uptime nor counters of messages for a change', async () => {
    const { exchange, gateway } = await market();
    const query =
      'subscription { x: statusUpdates { uptimeSeconds version upstream { m: messages partialMessages duplicates droppedFrames dials sockets { state lastMessageAt contracts } } } }';
    const stream = new EventStream(gateway.url, query);
    await stream.until(() => stream.events.length === 1, 'it begins');
    expect(stream.events[0]?.id).toBeUndefined();
    for (let price = 2; price < 40; price++) {
      exchange.publish('name:A', price);
      exchange.exchange.broadcast('junk');
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    expect(stream.events).toHaveLength(1);
    exchange.exchange.drop();
    await stream.until(() => stream.events.length >= 2, 'it is told of what has changed');
    const [first, second] = stream.results<{
      x: { uptimeSeconds: number; upstream: { m: string; dials: number } };
    }>();
    expect(second?.x.uptimeSeconds).toBeGreaterThan(first?.x.uptimeSeconds ?? 0);
    expect(Number(second?.x.upstream.m)).toBeGreaterThan(30);
  });

  test('shows operators only what is theirs, whoever else selects the same', async () => {
    const { gateway } = await market(JWT);
    const query = 'subscription { statusUpdates { ready clients subscriptions } }';
    const operator = await new RawClient(
      gateway,
      bearer(await token({ scope: 'operator' })),
    ).init();
    operator.subscribe('1', query);
    await operator.until(() => operator.of('1').length === 1, 'it begins');
    const other = await new RawClient(gateway, bearer(await token({ sub: 'other' }))).init();
    other.subscribe('1', query);
    await other.until(() => other.of('1').length === 1, 'it begins');
    expect(other.of('1')[0]?.payload).toMatchObject({
      data: { statusUpdates: { ready: true, clients: null, subscriptions: null } },
    });
    expect(other.codes('1')).toEqual(['FORBIDDEN', 'FORBIDDEN']);
    await operator.until(() => operator.of('1').length === 2, 'another one has come');
    expect(operator.of('1')[1]?.payload).toEqual({
      data: { statusUpdates: { ready: true, clients: 2, subscriptions: 2 } },
    });
    // What cannot be seen changes for nobody.
    expect(other.of('1')).toHaveLength(1);
  });

  test('is counted, bounded, given back, and complete when the gateway stops', async () => {
    const { gateway } = await market({ MAX_SUBSCRIPTIONS_PER_CONNECTION: '2' });
    const client = await new RawClient(gateway).init();
    for (const id of ['1', '2', '3']) client.subscribe(id, FOLLOW);
    await client.until(() => client.of('3').length === 1, 'there are too many');
    expect(client.codes('3')).toEqual(['TOO_MANY_SUBSCRIPTIONS']);
    client.send({ id: '1', type: 'complete' });
    client.subscribe('4', FOLLOW);
    await client.until(() => client.of('4').length >= 1, 'there is place again');
    const stream = new EventStream(gateway.url, FOLLOW);
    await stream.until(() => stream.events.length >= 1, 'it begins');
    expect(gateway.report().subscriptions).toBe(3);
    stream.close();
    await until(() => gateway.report().subscriptions === 2, 'a stream gives back');
    client.socket.terminate();
    await until(() => gateway.report().subscriptions === 0, 'a connection gives back');
    expect(gateway.report().clients).toBe(0);
  });
});
