import { describe, expect, test } from 'vitest';
import { Inbox, wsClient } from './kit/clients.ts';
import { Crew } from './kit/crew.ts';
import { names, TestExchange, until } from './kit/gateway.ts';

interface Update {
  readonly contractUpdates: {
    readonly cursor: string;
    readonly status: string;
    readonly snapshot: { readonly sequence: string; readonly raw: string } | null;
  };
}
const MARKS = `subscription ($names: [String!]) {
  contractUpdates(names: $names) { cursor status snapshot { sequence raw } }
}`;
const LIMITLESS = { AUTH: 'none' };

/** A gateway of several processes in front of an exchange of the test's own. */
async function crewAt(settings: Record<string, string> = {}) {
  const market = await new TestExchange().listen();
  const crew = await Crew.start({ IME_URL: market.url, ...LIMITLESS, ...settings });
  return { market, crew };
}

describe('a gateway of several processes', () => {
  test('tells the clients of all of them the same, by the sockets of one', async () => {
    const { market, crew } = await crewAt();
    const [a, b] = names('A', 'B');
    if (a === undefined || b === undefined) throw new Error('no names');
    const inboxes = Array.from(
      { length: 6 },
      () => new Inbox<Update>(wsClient(crew.gateway), MARKS, { names: ['A', 'B'] }),
    );
    await market.carries([a, b]);
    await until(() => inboxes.every(({ values }) => values.length >= 2), 'all have begun');
    for (let price = 1; price <= 20; price++) {
      market.publish(price % 2 ? a : b, price);
    }
    const isLast = ({ values }: Inbox<Update>) => values.length === 22;
    await until(() => inboxes.every(isLast), 'all have come');
    const [first, ...others] = inboxes.map(({ values }) => values);
    for (const values of others) expect(values).toEqual(first);
    expect(Object.keys(crew.arrivals)).toEqual(['1', '2']);
    expect(market.exchange.subscriptions).toHaveLength(1);
    const sequences = first?.flatMap(
      ({ contractUpdates: { snapshot } }) => snapshot?.sequence ?? [],
    );
    expect(sequences).toHaveLength(20);
    crew.process.child.kill('SIGTERM');
    expect(await crew.process.ended).toBe(0);
  });
});
