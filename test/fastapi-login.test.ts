import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { ask, type ContractUpdate, Inbox, pricesOf, UPDATES, wsClient } from './kit/clients.ts';
import { FastApiService, hasFastApi } from './kit/fastapi.ts';
import { names, testGateway, until } from './kit/gateway.ts';
import { lastStatus, numbered } from './kit/upstream.ts';

const ME = { IME_USERNAME: 'me', IME_PASSWORD: 'secret word' };
const LOGIN = 'me:secret word';
const DOCUMENT = { fields: ['username', 'password'], loginStatus: 200 } as const;
const SDK = { fields: ['UserName_or_Email', 'Password'], loginStatus: 201 } as const;
const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

describe.runIf(hasFastApi())('a FastAPI service that one logs in to, with tokens of PyJWT', () => {
  test.each([
    { ...DOCUMENT, prefix: 'Bearer ' as const },
    { ...DOCUMENT, prefix: '' as const },
    { ...SDK, prefix: 'Bearer ' as const },
    { ...SDK, prefix: '' as const },
  ])(
    'fields $fields, the token behind «$prefix»: live after at most 2 logins and 4 dials',
    async (door) => {
      const service = await new FastApiService({ login: LOGIN, ...door }).start();
      const gateway = await testGateway({ IME_URL: service.url, ...ME });
      const inbox = new Inbox<ContractUpdate>(wsClient(gateway), UPDATES, {
        names: ['A', 'B', 'C'],
      });
      for (const key of names('A', 'B', 'C')) await service.publishWhenCarried(key, '12000.0');
      await inbox.until((box) => pricesOf(box).length === 3, 'all are live');
      const { logins, handshakes } = await service.seen();
      expect(logins).toBeLessThanOrEqual(2);
      expect(handshakes).toBeLessThanOrEqual(4);
      expect(gateway.report().upstream.credentials).toMatchObject({ mode: 'LOGIN', problem: null });
      expect((await fetch(`${gateway.url}/ready`)).status).toBe(200);
    },
  );

  test('has its short tokens renewed with no update lost, none twice and nothing STALE', async () => {
    const service = await new FastApiService({ login: LOGIN, ...SDK, tokenLifeS: 8 }).start();
    const gateway = await testGateway({ IME_URL: service.url, ...ME });
    const texts = numbered(20);
    const inbox = new Inbox<ContractUpdate>(wsClient(gateway), UPDATES, {
      names: texts,
      initial: false,
    });
    for (const key of names(...texts)) await service.publishWhenCarried(key, '0');
    await inbox.until((box) => pricesOf(box).length >= 20, 'all are live');
    const published = new Map(names(...texts).map((key) => [key, ['0']]));
    const accepted = () => gateway.report().upstream.credentials?.logins['accepted'] ?? 0;
    const first = accepted();
    let price = 0;
    // Three tokens after the first: two of them, and the first, have ended with sockets to be cut.
    while (accepted() < first + 3) {
      for (const key of names(...texts)) {
        published.get(key)?.push(String(++price));
        expect(await service.publish(key, String(price))).toBeGreaterThan(0);
        await sleep(10);
      }
    }
    await inbox.until((box) => pricesOf(box).length >= price + 20, 'the last have come');
    for (const [key, prices] of published) expect(pricesOf(inbox, key), key).toEqual(prices);
    const statuses = inbox.values.map(({ contractUpdates: { status } }) => status);
    expect(statuses.filter((status) => status !== 'LIVE' && status !== 'PENDING')).toEqual([]);
    expect(gateway.report().upstream.credentials?.logins).toMatchObject({
      refused: 0,
      malformed: 0,
    });
  }, 60_000);

  test('cuts the sockets of a token that nobody renews at its end, and refuses it from then on', async () => {
    const service = await new FastApiService({ login: LOGIN, tokenLifeS: 4 }).start();
    const answer = await fetch(new URL('/auth/user/token/issue', service.url), {
      method: 'POST',
      body: new URLSearchParams({ username: 'me', password: 'secret word' }),
    });
    const { Authorization } = (await answer.json()) as { Authorization: string };
    const [cookie = ''] = answer.headers.getSetCookie()[0]?.split(';') ?? [];
    const headers = join(mkdtempSync(join(tmpdir(), 'headers-')), 'headers.json');
    writeFileSync(headers, JSON.stringify({ Cookie: cookie }));
    const gateway = await testGateway({
      IME_URL: service.url,
      IME_TOKEN: Authorization,
      IME_HEADERS_FILE: headers,
    });
    const inbox = new Inbox<ContractUpdate>(wsClient(gateway), UPDATES, { names: ['A'] });
    await service.publishWhenCarried('name:A', '1');
    await inbox.until((box) => lastStatus(box) === 'LIVE', 'it is live');
    await inbox.until((box) => lastStatus(box) === 'STALE', 'the token has ended');
    expect((await service.seen()).cut).toBe(1);
    await until(() => gateway.report().reasons.join().includes('has ended'), 'it is understood');
    expect((await fetch(`${gateway.url}/ready`)).status).toBe(503);
    expect((await service.seen()).handshakes).toBeLessThanOrEqual(1 + 5);
  });

  test('refuses a wrong password: 503 in its own words, and no dial', async () => {
    const service = await new FastApiService({ login: LOGIN }).start();
    const gateway = await testGateway({
      IME_URL: service.url,
      IME_USERNAME: 'me',
      IME_PASSWORD: 'wrong',
      IME_PINNED_NAMES: 'A',
    });
    await until(() => gateway.report().reasons.join().includes('Incorrect'), 'it is understood');
    const ready = await fetch(`${gateway.url}/ready`);
    expect(ready.status).toBe(503);
    expect(await ready.text()).toContain(
      'IME refuses the login by IME_USERNAME and its password: HTTP 401: Incorrect username or password.',
    );
    await sleep(2_000);
    expect(await service.seen()).toEqual({ logins: 1, handshakes: 0, cut: 0 });
  });

  test('is read as Python writes its floats', async () => {
    const service = await new FastApiService({ login: LOGIN }).start();
    const gateway = await testGateway({ IME_URL: service.url, ...ME, IME_PINNED_NAMES: 'A' });
    while ((await service.publishFloats('name:A', '12000')) === 0) await sleep(20);
    await until(() => gateway.report().contracts.LIVE === 1, 'it is live');
    const answer = await ask(
      gateway,
      `{ contract(name: "A") { status snapshot {
        bestLimits { buyQuantity buyPrice sellQuantity sellPrice }
        aggregate { tradeCount totalVolume totalValue closingPrice lastPrice lowPrice highPrice openPrice previousClose }
        allowedPriceRange { minAllowedPrice maxAllowedPrice }
        contractInfo { openInterest openInterestChanges }
      } } }`,
    );
    expect(answer.errors).toBeUndefined();
    expect(answer.data?.['contract']).toEqual({
      status: 'LIVE',
      snapshot: {
        bestLimits: [
          { buyQuantity: '3', buyPrice: '11999.0', sellQuantity: '4', sellPrice: '12001.0' },
        ],
        aggregate: {
          tradeCount: '1500',
          totalVolume: '10000000000000000',
          totalValue: '1.2e+20',
          closingPrice: null,
          lastPrice: '12000.0',
          lowPrice: null,
          highPrice: '4000.0',
          openPrice: '1e-07',
          previousClose: '12000.0',
        },
        allowedPriceRange: { minAllowedPrice: '6000.0', maxAllowedPrice: '24000.0' },
        contractInfo: { openInterest: null, openInterestChanges: '0' },
      },
    });
  });
});
