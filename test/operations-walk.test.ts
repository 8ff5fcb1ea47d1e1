import { expect, test } from 'vitest';
import { MOST_CONNECTIONS, OperationsWalk } from './kit/operations-walk.ts';
import { RawClient } from './kit/raw.ts';
import { bearer } from './kit/tokens.ts';

/** `WALK_SEED=7 npx vitest run test/operations-walk.test.ts` takes the same steps once more. */
const SEED = Number(process.env['WALK_SEED'] ?? 1);
const STEPS = Number(process.env['WALK_STEPS'] ?? 10_000);

test.each(['jwt', 'keys'] as const)(
  'refused, raced and aborted operations give back all that they took, with AUTH=%s',
  { timeout: 120_000 },
  async (auth) => {
    const walk = new OperationsWalk(SEED, auth);
    await walk.start();
    try {
      await walk.run(STEPS);
      expect(await walk.left(), `seed ${SEED}`).toEqual({
        clients: 0,
        subscriptions: 0,
        contracts: 1,
        upstream: 1,
      });
      expect(walk.leaks).toEqual([]);
      expect(walk.faults).toEqual([]);
      // What each of those who walked may use is there to the last of it.
      const credentials = await walk.settle();
      for (const shown of credentials) {
        const open = Array.from({ length: MOST_CONNECTIONS }, () =>
          new RawClient(walk.gateway, bearer(shown)).init(),
        );
        const clients = await Promise.all(open);
        expect(clients.map(({ closed }) => closed)).toEqual(clients.map(() => undefined));
        const last = await new RawClient(walk.gateway, bearer(shown)).init();
        expect(last.closed?.code).toBe(4429);
        for (const client of clients) client.socket.close();
      }
      const client = await new RawClient(walk.gateway, bearer(credentials[0] as string)).init();
      // Five subscriptions, and twelve contracts.
      for (let id = 1; id <= 6; id++) {
        const names = id <= 4 ? `"a${id}" "b${id}"` : `"c${id}" "c${id + 2}"`;
        const most = id === 5 ? `${names} "x" "y"` : names;
        client.subscribe(String(id), `subscription { contractUpdates(names: [${most}]) { id } }`);
      }
      await client.until(() => client.of('6').length > 0, 'the sixth is answered');
      expect(client.codes('6')).toEqual(['TOO_MANY_SUBSCRIPTIONS']);
      expect(['1', '2', '3', '4', '5'].flatMap((id) => client.codes(id))).toEqual([]);
      expect(walk.gateway.report().subscriptions).toBe(5);
    } finally {
      await walk.close();
    }
  },
);
