import { expect, test } from 'vitest';
import { pricesOf } from './kit/clients.ts';
import { names, TestExchange, testGateway } from './kit/gateway.ts';
import { refusalSuite } from './kit/refusal-suite.ts';
import { pin, publishing, settled, subscribed } from './kit/upstream.ts';

refusalSuite('after');

test('a contract refused 2 s after the handshake is never LIVE, and harms no other', async () => {
  const market = await new TestExchange().listen();
  market.exchange.faults.refuseAfterMs = 2_000;
  market.unlisted.add('name:late');
  const gateway = await testGateway({ IME_URL: market.url, ...pin(['A']) });
  await settled(gateway);
  const others = subscribed(gateway, ['A']);
  const { published, stop } = publishing(market, names('A'), 10);
  const inbox = subscribed(gateway, ['late']);
  await inbox.until(({ completed }) => completed, 'the contract is refused');
  expect(new Set(inbox.values.map(({ contractUpdates }) => contractUpdates.status))).toEqual(
    new Set(['PENDING', 'INVALID']),
  );
  stop();
  await others.until(
    (box) => pricesOf(box).length === published.get('name:A')?.length,
    'all have come',
  );
  expect(pricesOf(others)).toEqual(published.get('name:A'));
}, 60_000);
