import { describe, expect, test } from 'vitest';
import { ask, type ContractUpdate, Inbox, UPDATES, wsClient } from './kit/clients.ts';
import { Crew } from './kit/crew.ts';
import { names, TestExchange, until } from './kit/gateway.ts';
import { keysOf, withKey } from './kit/keys.ts';
import { RawClient } from './kit/raw.ts';

/** Clients that come at once, and say how they were received. */
async function comers(crew: Crew, count: number, headers: Record<string, string> = {}) {
  const clients = Array.from({ length: count }, () => new RawClient(crew.gateway, headers));
  await Promise.all(clients.map((client) => client.init()));
  const stay = clients.filter(({ closed }) => closed === undefined);
  return { stay, codes: clients.flatMap(({ closed }) => closed?.code ?? []) };
}

async function closed(clients: readonly RawClient[]): Promise<void> {
  for (const { socket } of clients) socket.close();
  await until(() => clients.every((client) => client.closed !== undefined), 'they are closed');
}

const keyed = (settings: Record<string, string>) => ({
  ...keysOf({ one: undefined, two: undefined, small: { connections: 2 } }),
  ...settings,
});

describe('limits mean all processes together:', () => {
  test('connections in all, which are given back', async () => {
    const crew = await Crew.start({ MAX_CONNECTIONS: '3' });
    for (let round = 0; round < 3; round++) {
      const { stay, codes } = await comers(crew, 9);
      expect(stay).toHaveLength(3);
      expect(codes).toEqual(Array(6).fill(4429));
      const controller = new AbortController();
      const stream = await fetch(
        `${crew.gateway.url}/graphql?query=subscription{statusUpdates{version}}`,
        {
          headers: { accept: 'text/event-stream' },
          signal: controller.signal,
        },
      );
      expect(stream.status).toBe(429);
      controller.abort();
      await closed(stay);
    }
  });

  test('connections of one principal and from one address', async () => {
    const crew = await Crew.start(
      keyed({ MAX_CONNECTIONS_PER_PRINCIPAL: '3', MAX_CONNECTIONS_PER_ADDRESS: '5' }),
    );
    expect((await comers(crew, 8, withKey('small'))).stay).toHaveLength(2);
    const one = await comers(crew, 8, withKey('one'));
    expect(one.stay).toHaveLength(3);
    expect(new Set(one.codes)).toEqual(new Set([4429]));
    // Five from this address are there now.
    expect((await comers(crew, 4, withKey('two'))).stay).toHaveLength(0);
    await closed(one.stay);
    expect((await comers(crew, 8, withKey('two'))).stay).toHaveLength(3);
  });

  test('contracts in all, for which those that nobody wants any more make room', async () => {
    const market = await new TestExchange().listen();
    const crew = await Crew.start({
      IME_URL: market.url,
      AUTH: 'none',
      MAX_UPSTREAM_CONTRACTS: '4',
    });
    const subscribed = (...wanted: string[]) =>
      new Inbox<ContractUpdate>(wsClient(crew.gateway), UPDATES, { names: wanted });
    const inboxes = ['A', 'B', 'C', 'D'].map((name) => subscribed(name));
    await market.carries(names('A', 'B', 'C', 'D'));
    await until(() => inboxes.every(({ values }) => values.length > 0), 'all have begun');
    const refused = subscribed('A', 'E');
    await refused.until(({ errors }) => errors.length > 0, 'it is refused');
    expect(refused.errors).toMatchObject([{ extensions: { code: 'TOO_MANY_CONTRACTS' } }]);
    const query = await ask(crew.gateway, '{ contract(name: "F", waitMs: 0) { status } }');
    expect(query.errors?.[0]?.extensions?.['code']).toBe('TOO_MANY_CONTRACTS');
    inboxes[0]?.unsubscribe();
    const later = Array.from({ length: 4 }, () => subscribed('E'));
    await market.carries(names('E'));
    await until(() => later.every(({ values }) => values.length > 0), 'all have begun');
    expect(later.flatMap(({ errors }) => errors)).toEqual([]);
  });

  test('contracts and selections of one principal', async () => {
    const market = await new TestExchange().listen();
    const crew = await Crew.start(
      keyed({
        IME_URL: market.url,
        MAX_CONTRACTS_PER_PRINCIPAL: '3',
        MAX_SELECTIONS_PER_PRINCIPAL: '2',
        MAX_UNPROVEN_CONTRACTS_PER_PRINCIPAL: '100',
      }),
    );
    const { stay } = await comers(crew, 6, withKey('one'));
    expect(new Set(Object.keys(crew.arrivals))).toEqual(new Set(['1', '2']));
    const say = (client: RawClient | undefined, id: string, name: string, fields: string) =>
      client?.subscribe(id, `subscription { contractUpdates(names: ["${name}"]) { ${fields} } }`);
    stay.forEach((client, at) => {
      say(client, 'x', `N${at}`, 'name');
    });
    await until(() => stay.every((client) => client.of('x').length > 0), 'each is answered');
    expect(stay.filter((client) => client.codes('x').length === 0)).toHaveLength(3);
    expect(stay.flatMap((client) => client.codes('x'))).toEqual(
      Array(3).fill('TOO_MANY_CONTRACTS'),
    );
    const served = stay.filter((client) => client.codes('x').length === 0);
    const first = `N${stay.indexOf(served[0] as RawClient)}`;
    stay.forEach((client, at) => {
      say(client, 'y', first, at % 2 ? 'status' : 'cursor');
    });
    await until(() => stay.every((client) => client.of('y').length > 0), 'each is answered');
    const codes = stay.flatMap((client) => client.codes('y'));
    expect(new Set(codes)).toEqual(new Set(['QUERY_TOO_COMPLEX']));
    expect(codes).toHaveLength(3);
  });

  test('what a process had that has died is free again', async () => {
    const crew = await Crew.start({ MAX_CONNECTIONS: '4' });
    const { stay } = await comers(crew, 12);
    expect(stay).toHaveLength(4);
    const [pid] = crew.pids(1);
    process.kill(pid as number, 'SIGKILL');
    await until(() => crew.pids(1).length === 2, 'it is started again');
    const left = stay.filter(({ closed }) => closed === undefined).length;
    expect(left).toBeLessThan(4);
    expect((await comers(crew, 12)).stay).toHaveLength(4 - left);
  });
});
