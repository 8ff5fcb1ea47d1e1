import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { isolationDialBound } from '../../src/ime/refusals/isolation.ts';
import { pricesOf } from './clients.ts';
import { names, TestExchange, testGateway, until } from './gateway.ts';
import {
  lastStatus,
  numbered,
  pin,
  publishing,
  settled,
  statuses,
  subscribed,
} from './upstream.ts';

/**
 * What the gateway makes of refusals, of contracts and of tokens. Refusing before and after the handshake
 * run side by side in files of their own, for they take long.
 */
export function refusalSuite(refuse: 'before' | 'after'): void {
  describe(`unknown contracts, refused ${refuse} the handshake`, () => {
    test.each([1, 2, 5])(
      '%i among 200 are found, and the others served',
      async (bad) => {
        const market = await new TestExchange(undefined, refuse).listen();
        const texts = numbered(200);
        const carried = numbered(20, 'carried');
        const unknown = [13, 60, 61, 150, 199].slice(0, bad).map((place) => `c${place}`);
        for (const key of names(...unknown)) market.unlisted.add(key);
        const gateway = await testGateway({
          IME_URL: market.url,
          IME_MAX_CONTRACTS_PER_SOCKET: '200',
          ...pin(carried),
        });
        await settled(gateway);
        const others = subscribed(gateway, carried);
        await others.until(({ values }) => values.length === 20, 'those carried before are told');
        const { published, stop } = publishing(market, names(...carried), 20);
        const before = market.exchange.dials;
        const inbox = subscribed(gateway, texts);
        await until(
          () => gateway.report().contracts.INVALID === bad,
          'the unknown ones are found',
          60_000,
        );
        const good = texts.filter((text) => !unknown.includes(text));
        await market.carries(names(...good));
        await settled(gateway);
        for (const key of names(...good)) market.publish(key, 1);
        await inbox.until(
          (box) =>
            [...statuses(box).values()].filter((status) => status === 'LIVE').length === 200 - bad,
          'the others are live',
        );
        expect(
          new Set(
            [...statuses(inbox)].flatMap(([id, status]) => (status === 'INVALID' ? [id] : [])),
          ),
        ).toEqual(new Set(names(...unknown)));
        const dials = market.exchange.dials - before;
        const canaries = 1 + bad;
        process.stdout.write(
          `${bad} unknown of 200, refused ${refuse}: ${dials} dials, canaries included\n`,
        );
        expect(dials).toBeLessThanOrEqual(isolationDialBound(200, bad) + canaries);
        stop();
        await others.until(
          (box) =>
            names(...carried).every(
              (key) => pricesOf(box, key).length === published.get(key)?.length,
            ),
          'all updates of the others have come',
        );
        for (const key of names(...carried))
          expect(pricesOf(others, key)).toEqual(published.get(key));
      },
      120_000,
    );

    test('one newcomer beside 200 carried costs 2 dials and the canary, and no other socket', async () => {
      const market = await new TestExchange(undefined, refuse).listen();
      market.unlisted.add('name:unknown');
      const gateway = await testGateway({ IME_URL: market.url, ...pin(numbered(200)) });
      await market.carries(names(...numbered(200)));
      await settled(gateway);
      const before = market.exchange.dials;
      const inbox = subscribed(gateway, ['unknown']);
      await inbox.until(({ completed }) => completed, 'the newcomer is refused');
      expect(lastStatus(inbox)).toBe('INVALID');
      expect(inbox.values.at(-1)?.contractUpdates.statusReason).toBe('IME refuses this contract.');
      expect(market.exchange.dials - before).toBeLessThanOrEqual(3);
      expect(gateway.report().upstream.sockets.map(({ reconnects }) => reconnects)).toEqual([0, 0]);
      const again = subscribed(gateway, ['unknown']);
      await again.until(({ completed }) => completed, 'it is refused from memory');
      expect(market.exchange.dials - before).toBeLessThanOrEqual(3);
    });

    test('one that is delisted while carried is INVALID, the others go on', async () => {
      const market = await new TestExchange(undefined, refuse).listen();
      const gateway = await testGateway({ IME_URL: market.url, ...pin(numbered(8)) });
      await settled(gateway);
      for (const key of names(...numbered(8))) market.publish(key, 1);
      market.unlisted.add('name:c5');
      market.exchange.drop(1008);
      await until(() => gateway.report().contracts.INVALID === 1, 'the delisted one is found');
      await market.carries(names(...numbered(8)).filter((key) => key !== 'name:c5'));
      for (const key of names(...numbered(8))) market.publish(key, 2);
      await until(() => gateway.report().contracts.LIVE === 7, 'the others are live');
    }, 60_000);

    test('a bad token for 200 contracts: four dials, no contract INVALID, and a word why', async () => {
      const market = await new TestExchange('good', refuse).listen();
      const directory = mkdtempSync(join(tmpdir(), 'ime-gateway-'));
      const file = join(directory, 'token');
      writeFileSync(file, 'bad\n');
      const gateway = await testGateway({
        IME_URL: market.url,
        IME_TOKEN_FILE: file,
        ...pin(numbered(200)),
      });
      await until(
        () => gateway.report().reasons.join().includes('token'),
        'the refusal is understood',
      );
      expect(market.exchange.dials).toBeLessThanOrEqual(4);
      const inbox = subscribed(gateway, ['c0', 'new']);
      await inbox.until(
        (box) =>
          box.values.some(({ contractUpdates }) => contractUpdates.statusReason?.includes('token')),
        'subscribers are told why',
      );
      expect(gateway.report().contracts).toMatchObject({ PENDING: 201, INVALID: 0 });
      expect((await fetch(`${gateway.url}/ready`)).status).toBe(503);
      writeFileSync(file, 'good\n');
      await market.carries(names(...numbered(200), 'new'));
      expect(gateway.report()).toMatchObject({ ready: true, contracts: { INVALID: 0 } });
    }, 60_000);

    test('a token that is revoked while all goes well marks no contract', async () => {
      const market = await new TestExchange('good', refuse).listen();
      const gateway = await testGateway({
        IME_URL: market.url,
        IME_TOKEN: 'good',
        ...pin(numbered(200)),
      });
      await market.carries(names(...numbered(200)));
      await settled(gateway);
      for (const key of names(...numbered(200))) market.publish(key, 1);
      const before = market.exchange.dials;
      market.exchange.token = 'other';
      market.exchange.drop(1008);
      await until(
        () => gateway.report().reasons.join().includes('refuses the access token'),
        'it is told',
      );
      expect(market.exchange.dials - before).toBeLessThanOrEqual(4);
      expect(gateway.report().contracts).toMatchObject({ INVALID: 0, STALE: 200 });
    }, 60_000);
  });
}
