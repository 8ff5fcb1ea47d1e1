import { spawn } from 'node:child_process';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { startGateway } from '../src/app/gateway.ts';
import { readConfig } from '../src/config/command-line.ts';
import { createLog } from '../src/observability/log.ts';
import type { ExchangeOptions } from '../src/simulator/exchange.ts';
import { LoginDoor, type LoginDoorOptions } from '../src/simulator/login-door.ts';
import { type ContractUpdate, Inbox, pricesOf, UPDATES, wsClient } from './kit/clients.ts';
import { names, TestExchange, testGateway, until } from './kit/gateway.ts';
import { renewal } from './kit/renewal.ts';
import { numbered } from './kit/upstream.ts';

const ME = { IME_USERNAME: 'me', IME_PASSWORD: 'secret word' };

/** An exchange that one logs in to. */
async function withDoor(
  door: Partial<LoginDoorOptions> = {},
  more: Partial<ExchangeOptions> = {},
): Promise<{ market: TestExchange; login: LoginDoor }> {
  const login = new LoginDoor({
    username: 'me',
    password: 'secret word',
    tokenLifeS: 3_600,
    fields: 'any',
    isBound: true,
    ...door,
  });
  const market = await new TestExchange(undefined, 'after', { login, ...more }).listen();
  return { market, login };
}

const readiness = async (url: string) => {
  const response = await fetch(`${url}/ready`);
  return { status: response.status, text: await response.text() };
};

describe('user name and password alone', () => {
  const forms = ['document', 'sdk'].flatMap((fields) =>
    ['bearer', 'raw'].flatMap((authorization) =>
      (['before', 'after'] as const).map((refuse) => [fields, authorization, refuse] as const),
    ),
  );
  test.each(forms)(
    'fields of the %s, the token %s, refused %s the handshake: live after at most 2 logins and 4 dials',
    async (fields, authorization, refuse) => {
      const { market, login } = await withDoor(
        { fields: fields as 'document' | 'sdk' },
        { authorization: authorization as 'bearer' | 'raw' },
      );
      market.exchange.refuse = refuse;
      const gateway = await testGateway({ IME_URL: market.url, ...ME });
      const inbox = new Inbox<ContractUpdate>(wsClient(gateway), UPDATES, {
        names: ['A', 'B', 'C'],
      });
      await market.carries(names('A', 'B', 'C'));
      market.publish('name:A', 1);
      await inbox.until((box) => pricesOf(box).length === 1, 'it is live');
      expect(login.requests).toBeLessThanOrEqual(2);
      expect(market.exchange.dials).toBeLessThanOrEqual(4);
      expect(gateway.report().upstream.credentials).toMatchObject({ mode: 'LOGIN', problem: null });
      expect((await readiness(gateway.url)).status).toBe(200);
    },
  );
});

test('a token that is replaced while its refusal is looked into marks no contract', async () => {
  const market = await new TestExchange('one').listen();
  const file = join(mkdtempSync(join(tmpdir(), 'token-')), 'token');
  writeFileSync(file, 'one');
  const gateway = await testGateway({ IME_URL: market.url, IME_TOKEN_FILE: file });
  const four = numbered(4);
  const inbox = new Inbox<ContractUpdate>(wsClient(gateway), UPDATES, { names: four });
  await market.carries(names(...four));
  for (const key of names(...four)) market.publish(key, 1);
  await inbox.until((box) => pricesOf(box).length === 4, 'all are live');
  const { dials } = market.exchange;
  market.exchange.token = 'two';
  market.exchange.drop(1008);
  // The first canary is refused with the old token, whoever comes next is accepted with the new one.
  await until(() => market.exchange.dials > dials, 'a canary is dialed');
  writeFileSync(file, 'two');
  await market.carries(names(...four));
  for (const key of names(...four)) market.publish(key, 2);
  await inbox.until((box) => pricesOf(box).filter((price) => price === '2').length === 4, 'back');
  const statuses = inbox.values.map(({ contractUpdates: { status } }) => status);
  expect(statuses).not.toContain('INVALID');
  expect(gateway.report().contracts).toMatchObject({ LIVE: 4, INVALID: 0 });
});

test.each(['before', 'after'] as const)(
  'a fixed token that is wanted alone, refused %s the handshake: live after at most 8 dials, and said once in the log',
  async (refuse) => {
    const market = await new TestExchange('fixed', refuse, { authorization: 'raw' }).listen();
    const lines: string[] = [];
    const line = readConfig([], {
      PORT: '0',
      AUTH: 'none',
      IME_URL: market.url,
      IME_TOKEN: 'fixed',
    });
    if (line.run !== 'start') throw new Error(JSON.stringify(line));
    const gateway = await startGateway(
      line.config,
      createLog('warn', { write: (text) => void lines.push(text) }),
    );
    onTestFinished(() => gateway.close());
    new Inbox(wsClient(gateway), UPDATES, { names: numbered(150) });
    await market.carries(names(...numbered(150)));
    expect(market.exchange.dials).toBeLessThanOrEqual(8);
    expect(lines.filter((text) => text.includes('without Bearer'))).toHaveLength(1);
  },
);

test('tokens of 12 s whose sockets are cut at their end: no update lost, none twice, nothing STALE', async () => {
  // Three renewals, each with the sockets replaced; `npm run soak -- --renewal 120` does it for two minutes.
  const figures = await renewal(31);
  expect(figures).toMatchObject({ lost: 0, twice: 0, outOfOrder: 0, notLive: 0 });
  expect(figures.logins).toBeGreaterThanOrEqual(4);
  expect(figures.published).toBeGreaterThan(1_500);
}, 60_000);

describe('a wrong password', () => {
  test('is said in words, is no dial and few logins, and the right one in the file is noticed soon', async () => {
    const { market, login } = await withDoor();
    const file = join(mkdtempSync(join(tmpdir(), 'password-')), 'password');
    writeFileSync(file, 'wrong\n');
    const gateway = await testGateway({
      IME_URL: market.url,
      IME_USERNAME: 'me',
      IME_PASSWORD_FILE: file,
    });
    const inbox = new Inbox<ContractUpdate>(wsClient(gateway), UPDATES, { names: ['A'] });
    await until(() => login.requests > 0, 'it is tried');
    await until(() => gateway.report().reasons.join().includes('Incorrect'), 'it is understood');
    const ready = await readiness(gateway.url);
    expect(ready.status).toBe(503);
    expect(ready.text).toContain('IME refuses the login by IME_USERNAME and its password');
    await inbox.until(
      ({ values }) =>
        values.at(-1)?.contractUpdates.statusReason?.includes('refuses the login') === true,
      'its contracts say so',
    );
    expect(login.requests).toBe(1);
    gateway.reload();
    await until(() => login.requests === 2, 'it is tried at once when an operator asks for it');
    await new Promise((resolve) => setTimeout(resolve, 3_000));
    expect(login.requests).toBe(2);
    expect(market.exchange.dials).toBe(0);
    writeFileSync(file, 'secret word\n');
    const changedMs = performance.now();
    await until(() => login.requests === 3, 'the right one is noticed');
    expect(performance.now() - changedMs).toBeLessThan(2_000);
    await market.carries(names('A'));
    market.publish('name:A', 1);
    await inbox.until((box) => pricesOf(box).length === 1, 'it is live');
    expect((await readiness(gateway.url)).status).toBe(200);
  });
});

describe('a login that cannot be reached', () => {
  test('is noticed by nobody while the token lives, and is back soon after it has ended', async () => {
    const { market, login } = await withDoor({ tokenLifeS: 4 }, { cutsAtEnd: true });
    const gateway = await testGateway({ IME_URL: market.url, ...ME });
    const inbox = new Inbox<ContractUpdate>(wsClient(gateway), UPDATES, { names: ['A'] });
    await market.carries(names('A'));
    login.answer = 503;
    market.publish('name:A', 1);
    await inbox.until((box) => pricesOf(box).length === 1, 'it is live');
    const asked = login.requests;
    await until(() => login.requests > asked, 'the renewal fails');
    expect(gateway.report().contracts.LIVE).toBe(1);
    expect(gateway.report().ready).toBe(true);
    await inbox.until(
      ({ values }) => values.at(-1)?.contractUpdates.status === 'STALE',
      'the token has ended',
    );
    await until(() => !gateway.report().ready, 'it says so');
    expect((await readiness(gateway.url)).text).toContain('cannot be reached: HTTP 503');
    login.answer = undefined;
    const backMs = performance.now();
    await market.carries(names('A'));
    market.publish('name:A', 2);
    await inbox.until((box) => pricesOf(box).includes('2'), 'it is live again');
    expect(performance.now() - backMs).toBeLessThan(5_000);
  });
});

describe('a token that no header can carry', () => {
  test.each(['a\nb', 'a\u0000b', 'سکه', 'a b'])(
    '%j as IME_TOKEN ends the start with a line',
    (token) => {
      const line = readConfig([], { IME_URL: 'ws://127.0.0.1:1', AUTH: 'none', IME_TOKEN: token });
      expect(line.run === 'faults' && line.faults).toEqual([
        'IME_TOKEN: expected a token of characters that a header can carry, got something else',
      ]);
    },
  );

  test('in its file ends the start, and later leaves the last one in force and says so', async () => {
    const market = await new TestExchange('good').listen();
    const file = join(mkdtempSync(join(tmpdir(), 'token-')), 'token');
    const settings = { IME_URL: market.url, IME_TOKEN_FILE: file };
    writeFileSync(file, 'a\nb');
    await expect(testGateway(settings)).rejects.toThrow('IME_TOKEN_FILE: expected an access token');
    writeFileSync(file, '');
    await expect(testGateway(settings)).rejects.toThrow('IME_TOKEN_FILE: expected an access token');
    writeFileSync(file, 'good\n');
    const gateway = await testGateway(settings);
    new Inbox(wsClient(gateway), UPDATES, { names: ['A'] });
    await market.carries(names('A'));
    writeFileSync(file, 'good\nand\u0001more');
    await until(() => gateway.report().upstream.problems.length > 0, 'it is noticed');
    expect(gateway.report().upstream.problems.join()).toContain('no header can carry');
    market.exchange.drop(1012);
    await until(() => market.exchange.subscriptions.length === 0, 'it is lost');
    await market.carries(names('A'));
    writeFileSync(file, 'good');
    await until(() => gateway.report().upstream.problems.length === 0, 'it is mended');
  });
});

test('nothing secret is in the log, in status, in metrics, or in the configuration that is printed', async () => {
  const { market } = await withDoor({ tokenLifeS: 3_600 });
  const directory = mkdtempSync(join(tmpdir(), 'headers-'));
  writeFileSync(
    join(directory, 'headers.json'),
    JSON.stringify({ Origin: 'https://ime.example', Cookie: 'own=hush' }),
  );
  const environment = {
    PORT: '0',
    AUTH: 'none',
    LOG_LEVEL: 'trace',
    IME_URL: market.url,
    ...ME,
    IME_HEADERS_FILE: join(directory, 'headers.json'),
  };
  const line = readConfig([], environment);
  if (line.run !== 'start') throw new Error(JSON.stringify(line));
  const lines: string[] = [];
  const gateway = await startGateway(
    line.config,
    createLog('trace', { write: (text) => void lines.push(text) }),
  );
  onTestFinished(() => gateway.close());
  new Inbox(wsClient(gateway), UPDATES, { names: ['A'] });
  await market.carries(names('A'));
  const status = await fetch(`${gateway.url}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      query:
        '{ status { upstream { problems credentials { mode expiresAt renewedAt problem } } } }',
    }),
  });
  const said = await status.text();
  expect(said).toContain('"mode":"LOGIN"');
  const metrics = await (await fetch(`${gateway.url}/metrics`)).text();
  expect(metrics).toContain('ime_gateway_upstream_logins_total{outcome="accepted"} 1');
  expect(metrics).toMatch(/ime_gateway_upstream_token_remaining_seconds 3[0-9]{3}/);
  const everything = [...lines, said, metrics].join('\n');
  for (const secret of ['secret word', 'hush', 'session=', 'eyJ']) {
    expect(everything).not.toContain(secret);
  }
});

test('the simulator has the door too, on its command line', async () => {
  const simulator = spawn(
    process.execPath,
    [
      'dist/simulator/main.js',
      '--port=0',
      '--login=me:secret word',
      '--token-life=60',
      '--authorization=raw',
      '--numbers=python',
      '--simulator-rate=200',
    ],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  onTestFinished(() => void simulator.kill());
  let said = '';
  simulator.stdout.on('data', (chunk) => {
    said += String(chunk);
  });
  await until(() => said.includes('For the gateway'), 'it listens');
  const url = /SIMULATED DATA at (\S+)/.exec(said)?.[1] ?? '';
  const gateway = await testGateway({ IME_URL: url, ...ME });
  const inbox = new Inbox<ContractUpdate>(wsClient(gateway), UPDATES, { names: ['Gold Bar DE05'] });
  await inbox.until((box) => pricesOf(box).length > 2, 'it is live');
  expect(pricesOf(inbox).at(-1)).toMatch(/^\d+\.0$/);
  expect(inbox.values.at(-1)?.contractUpdates.status).toBe('LIVE');
});
