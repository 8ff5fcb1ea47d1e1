import { describe, expect, test } from 'vitest';
import { ask, type ContractUpdate, Inbox, UPDATES, wsClient } from './kit/clients.ts';
import { Crew } from './kit/crew.ts';
import { names, TestExchange, until } from './kit/gateway.ts';

async function metric(crew: Crew, name: string): Promise<number> {
  const text = await (await fetch(`${crew.gateway.url}/metrics`)).text();
  return Number(new RegExp(`^ime_gateway_${name}(?:\\{[^}]*\\})? (\\d+)`, 'm').exec(text)?.[1]);
}

describe('workers', () => {
  test('are one gateway to whoever asks any of them, and are replaced while others serve', async () => {
    const market = await new TestExchange().listen();
    const crew = await Crew.start({ IME_URL: market.url, AUTH: 'none' });
    const inboxes = Array.from(
      { length: 8 },
      () => new Inbox<ContractUpdate>(wsClient(crew.gateway), UPDATES, { names: ['A'] }),
    );
    await market.carries(names('A'));
    market.publish('name:A', 1);
    await until(() => inboxes.every(({ values }) => values.length >= 2), 'all are told');
    const query =
      '{ status { clients subscriptions contracts { live } upstream { sockets { endpoint } } } }';
    for (let asked = 0; asked < 6; asked++) {
      const { data } = await ask(crew.gateway, query, {}, { connection: 'close' });
      expect(data).toEqual({
        status: {
          clients: 8,
          subscriptions: 8,
          contracts: { live: 1 },
          upstream: { sockets: [{ endpoint: 'NAME' }] },
        },
      });
    }
    expect(await metric(crew, 'subscriptions')).toBe(8);
    let refused = 0;
    let served = 0;
    let isRolling = true;
    const asking = (async () => {
      while (isRolling) {
        await fetch(`${crew.gateway.url}/health`, { headers: { connection: 'close' } }).then(
          (response) => (response.ok ? served++ : refused++),
          () => refused++,
        );
      }
    })();
    const before = [1, 2].map((worker) => crew.pids(worker).length);
    crew.process.child.kill('SIGUSR2');
    const isReplaced = (worker: number) => crew.pids(worker).length > (before[worker - 1] ?? 0);
    await until(() => isReplaced(1) && isReplaced(2), 'both are replaced', 40_000);
    isRolling = false;
    await asking;
    expect([refused, served > 0]).toEqual([0, true]);
    market.publish('name:A', 2);
    const last = ({ values }: (typeof inboxes)[number]) =>
      values.at(-1)?.contractUpdates.snapshot?.aggregate?.lastPrice;
    await until(() => inboxes.every((inbox) => last(inbox) === '2'), 'all have come back');
    expect(market.exchange.dials).toBe(1);
    crew.process.child.kill('SIGTERM');
    expect(await crew.process.ended).toBe(0);
  });
});
