import { describe, expect, test } from 'vitest';
import { contractKey } from '../src/contract/key.ts';
import { type ContractUpdate, Inbox, pricesOf, UPDATES, wsClient } from './kit/clients.ts';
import { FastApiService, hasFastApi } from './kit/fastapi.ts';
import { names, testGateway, until } from './kit/gateway.ts';

describe.runIf(hasFastApi()).each(['after', 'before'])(
  'a FastAPI service that refuses %s accepting',
  (refuse) => {
    test('is read to the last digit, whatever the contracts are called', async () => {
      const service = await new FastApiService({ refuse }).start();
      const gateway = await testGateway({ IME_URL: service.url, IME_TOKEN: 'good' });
      const odd = ['a b', 'a&b=c', '100%', 'a+b#c', 'نیم\u200cسکه', 'ي', 'ی'];
      const keys = [...names(...odd), contractKey('id', '007')];
      const inbox = new Inbox<ContractUpdate>(wsClient(gateway), UPDATES, {
        names: odd,
        ids: ['007'],
      });
      for (const key of keys) await service.publishWhenCarried(key, '12345678901234567891.50');
      await inbox.until((box) => pricesOf(box).length >= keys.length, 'every contract has a state');
      for (const key of keys) expect(pricesOf(inbox, key)).toEqual(['12345678901234567891.50']);
    });

    test('has its unknown contracts told apart from the others', async () => {
      const service = await new FastApiService({ refuse }).start();
      const gateway = await testGateway({
        IME_URL: service.url,
        IME_TOKEN: 'good',
        IME_PINNED_IDS: '1',
      });
      await service.publishWhenCarried('id:1', '1');
      const inbox = new Inbox<ContractUpdate>(wsClient(gateway), UPDATES, {
        names: ['A', 'unknown contract', 'B', 'C'],
      });
      await inbox.until(
        (box) => box.values.some(({ contractUpdates }) => contractUpdates.status === 'INVALID'),
        'the unknown contract is found',
      );
      for (const key of names('A', 'B', 'C')) await service.publishWhenCarried(key, '2');
      await inbox.until((box) => pricesOf(box).length >= 3, 'the others are served');
      const { contracts } = gateway.report();
      expect(contracts).toMatchObject({ INVALID: 1, LIVE: 4 });
    });

    test('has a bad token told apart from unknown contracts', async () => {
      const service = await new FastApiService({ refuse }).start();
      const gateway = await testGateway({
        IME_URL: service.url,
        IME_TOKEN: 'bad',
        IME_PINNED_NAMES: 'A,B,C,D',
      });
      await until(
        () => gateway.report().reasons.join().includes('token'),
        'the refusal is understood',
      );
      expect(gateway.report().contracts).toMatchObject({ INVALID: 0, PENDING: 4 });
      expect(gateway.report().upstream.dials).toBeLessThanOrEqual(4);
    });

    test('is never asked with a URL that its uvicorn refuses', async () => {
      const service = await new FastApiService({ refuse }).start();
      const texts = Array.from({ length: 60 }, (_, place) => `${'قرارداد'.repeat(4)}${place + 10}`);
      const gateway = await testGateway({
        IME_URL: service.url,
        IME_TOKEN: 'good',
        IME_PINNED_NAMES: texts.join(','),
      });
      for (const key of names(...texts)) await service.publishWhenCarried(key, '1');
      await until(() => gateway.report().contracts.LIVE === 60, 'all of them are live');
      expect(gateway.report().upstream.sockets.map(({ reconnects }) => reconnects)).toEqual(
        gateway.report().upstream.sockets.map(() => 0),
      );
    });

    test('is taken up again after it was killed, and after it was frozen', async () => {
      const service = await new FastApiService({ refuse }).start();
      const gateway = await testGateway({
        IME_URL: service.url,
        IME_TOKEN: 'good',
        IME_PING_INTERVAL_MS: '500',
        IME_PING_TIMEOUT_MS: '500',
      });
      const inbox = new Inbox<ContractUpdate>(wsClient(gateway), UPDATES, { names: ['A'] });
      const isLast = (status: string) => (box: Inbox<ContractUpdate>) =>
        box.values.at(-1)?.contractUpdates.status === status;
      await service.publishWhenCarried('name:A', '1');
      await inbox.until(isLast('LIVE'), 'the contract is live');
      service.kill();
      await inbox.until(isLast('STALE'), 'the loss is told');
      await service.start();
      await service.publishWhenCarried('name:A', '2');
      await inbox.until(isLast('LIVE'), 'the contract is live again');
      service.signal('SIGSTOP');
      await inbox.until(isLast('STALE'), 'the silence is told');
      service.signal('SIGCONT');
      await until(() => gateway.report().ready, 'the gateway is connected again');
      await service.publishWhenCarried('name:A', '3');
      await inbox.until(
        (box) => isLast('LIVE')(box) && pricesOf(box).at(-1) === '3',
        'it is live once more',
      );
      expect(inbox.completed).toBe(false);
    });
  },
);
