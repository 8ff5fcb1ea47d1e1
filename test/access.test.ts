import { execFileSync } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { exportJWK, SignJWT } from 'jose';
import { describe, expect, onTestFinished, test } from 'vitest';
import { ContractPatterns } from '../src/access/patterns.ts';
import { startGateway } from '../src/app/gateway.ts';
import { readConfig } from '../src/config/command-line.ts';
import { contractKey } from '../src/contract/key.ts';
import { createLog } from '../src/observability/log.ts';
import {
  ask,
  type ContractUpdate,
  Inbox,
  pricesOf,
  sseClient,
  UPDATES,
  wsClient,
} from './kit/clients.ts';
import { names, TestExchange, testGateway, until } from './kit/gateway.ts';
import { RawClient } from './kit/raw.ts';
import { bearer, JWT, token } from './kit/tokens.ts';

const STATUS = '{ status { ready } }';

describe('patterns of contracts', () => {
  test.each([
    ['*', 'name:anything', true],
    ['name:Gold*', 'name:Gold bar', true],
    ['name:Gold*', 'name:gold bar', false],
    ['name:Gold*', 'id:Gold', false],
    ['id:12345', 'id:12345', true],
    ['id:12345', 'id:123456', false],
    ['name:*سکه*', 'name:نیم\u200cسکه 1404', true],
    ['name:a*b*a', 'name:aba', true],
    ['name:a*b*a', 'name:ab', false],
    ['name:aa*aa', 'name:aaa', false],
  ])('%s allows %s: %s', (pattern, key, allowed) => {
    expect(new ContractPatterns([pattern]).allow(key as `name:${string}`)).toBe(allowed);
  });

  test('of any other form are refused', () => {
    expect(() => new ContractPatterns(['Gold*'])).toThrow('got "Gold*"');
    expect(new ContractPatterns([]).allow(contractKey('name', 'A'))).toBe(false);
  });
});

describe('a gateway with AUTH=jwt', () => {
  test('lets nobody in without a token that it accepts, on no transport', async () => {
    const gateway = await testGateway(JWT);
    const wrong = [
      {},
      bearer('rubbish'),
      bearer(await token({}, -60)),
      bearer(`${(await token()).slice(0, -6)}AAAAAA`),
      bearer(await token({ contracts: 'Gold' })),
      { authorization: 'Basic dXNlcjpwYXNz' },
    ];
    for (const headers of wrong) {
      const answer = await ask(gateway, STATUS, {}, headers as Record<string, string>);
      expect(answer.status).toBe(401);
      expect(answer.errors?.[0]?.extensions?.['code']).toBe('UNAUTHENTICATED');
      for (const accept of ['text/event-stream', 'multipart/mixed;subscriptionSpec="1.0"']) {
        const streamed = await fetch(
          `${gateway.url}/graphql?query=${encodeURIComponent(UPDATES)}`,
          {
            headers: { ...headers, accept },
          },
        );
        expect(streamed.status).toBe(401);
        expect(streamed.headers.get('www-authenticate')).toBe('Bearer');
      }
      const client = await new RawClient(gateway).init(headers);
      client.subscribe('1', STATUS);
      await client.until(() => client.closed !== undefined, 'it is closed');
      expect(client.closed?.code).toBe(4403);
      expect(client.of('1').every(({ type }) => type === 'error')).toBe(true);
    }
    expect(await (await fetch(`${gateway.url}/metrics`)).text()).toMatch(
      /ime_gateway_refused_tokens_total [1-9]/,
    );
  });

  test('lets somebody in by the handshake, the init payload, or an operation as GraphiQL sends it', async () => {
    const gateway = await testGateway(JWT);
    const shown = bearer(await token());
    const byHandshake = await new RawClient(gateway, shown).init();
    const byInit = await new RawClient(gateway).init({ Authorization: shown.authorization });
    const byOperation = await new RawClient(gateway).init();
    byHandshake.subscribe('1', STATUS);
    byInit.subscribe('1', STATUS);
    byOperation.subscribe('1', STATUS, { extensions: { headers: shown } });
    for (const client of [byHandshake, byInit, byOperation]) {
      await client.until(() => client.of('1').length > 0, 'it is answered');
      expect(client.of('1')[0]).toMatchObject({ payload: { data: { status: { ready: true } } } });
    }
    expect((await ask(gateway, STATUS, {}, shown)).status).toBe(200);
  });

  test('closes a connection that shows no token soon', async () => {
    const gateway = await testGateway(JWT);
    const client = await new RawClient(gateway).init();
    expect(client.closed).toBeUndefined();
    await client.until(() => client.closed !== undefined, 'it is closed');
    expect(client.closed?.code).toBe(4403);
  });

  test('checks issuer, audience and algorithm', async () => {
    const gateway = await testGateway({ ...JWT, JWT_ISSUER: 'us', JWT_AUDIENCE: 'gateway' });
    const statusWith = async (claims: Record<string, unknown>) =>
      (await ask(gateway, STATUS, {}, bearer(await token(claims)))).status;
    expect(await statusWith({ iss: 'us', aud: 'gateway' })).toBe(200);
    expect(await statusWith({ iss: 'us', aud: ['other', 'gateway'] })).toBe(200);
    expect(await statusWith({ iss: 'them', aud: 'gateway' })).toBe(401);
    expect(await statusWith({ iss: 'us' })).toBe(401);
    const unsigned = `${Buffer.from('{"alg":"none"}').toString('base64url')}.${Buffer.from('{"sub":"x","iss":"us","aud":"gateway"}').toString('base64url')}.`;
    expect((await ask(gateway, STATUS, {}, bearer(unsigned))).status).toBe(401);
  });

  test.each([
    ['RS256', () => generateKeyPairSync('rsa', { modulusLength: 2048 })],
    ['ES256', () => generateKeyPairSync('ec', { namedCurve: 'P-256' })],
    ['EdDSA', () => generateKeyPairSync('ed25519')],
  ] as const)('takes %s by a PEM and by a JWKS, whose keys may rotate', async (alg, make) => {
    const { publicKey, privateKey } = make();
    const file = join(mkdtempSync(join(tmpdir(), 'ime-gateway-')), 'key.pem');
    writeFileSync(file, publicKey.export({ type: 'spki', format: 'pem' }));
    const sign = (key: typeof privateKey, kid: string) =>
      new SignJWT({ sub: 'x' }).setProtectedHeader({ alg, kid }).setExpirationTime('1h').sign(key);
    const byPem = await testGateway({ AUTH: 'jwt', JWT_PUBLIC_KEY_FILE: file });
    expect((await ask(byPem, STATUS, {}, bearer(await sign(privateKey, 'a')))).status).toBe(200);
    expect((await ask(byPem, STATUS, {}, bearer(await token()))).status).toBe(401);

    let keys = [{ ...(await exportJWK(publicKey)), kid: 'a', alg }];
    let isDown = false;
    const server = createServer((_request, response) => {
      response.statusCode = isDown ? 500 : 200;
      response.end(JSON.stringify({ keys }));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => void server.close());
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/keys`;
    isDown = true;
    const byJwks = await testGateway({ AUTH: 'jwt', JWT_JWKS_URL: url });
    const shown = bearer(await sign(privateKey, 'a'));
    expect((await ask(byJwks, STATUS, {}, shown)).status).toBe(503);
    isDown = false;
    // It is asked again in a while: not once for each token.
    let status = 0;
    const asking = setInterval(() => {
      void ask(byJwks, STATUS, {}, shown).then((answer) => {
        status = answer.status;
      });
    }, 100);
    await until(() => status === 200, 'it is asked again');
    clearInterval(asking);
    // Keys that are there stay in force while others cannot be fetched.
    isDown = true;
    byJwks.reload();
    await ask(byJwks, STATUS, {}, bearer(await sign(make().privateKey, 'unknown')));
    const another = await new SignJWT({ sub: 'y' })
      .setProtectedHeader({ alg, kid: 'a' })
      .setExpirationTime('1h')
      .sign(privateKey);
    expect((await ask(byJwks, STATUS, {}, bearer(another))).status).toBe(200);
    isDown = false;
    const next = make();
    keys = [...keys, { ...(await exportJWK(next.publicKey)), kid: 'b', alg }];
    const rotated = await testGateway({ AUTH: 'jwt', JWT_JWKS_URL: url });
    expect((await ask(rotated, STATUS, {}, bearer(await sign(next.privateKey, 'b')))).status).toBe(
      200,
    );
  });

  test('shows each only the contracts that they may see, and nothing of the others', async () => {
    const market = await new TestExchange().listen();
    market.unlisted.add('name:unknown');
    const gateway = await testGateway({
      ...JWT,
      IME_URL: market.url,
      IME_PINNED_NAMES: 'Gold 1,Oil 1',
    });
    await market.carries(names('Gold 1', 'Oil 1'));
    market.publish('name:Gold 1', 1);
    market.publish('name:Oil 1', 2);
    await until(() => gateway.report().contracts.LIVE === 2, 'both are live');
    const shown = bearer(await token({ contracts: ['name:Gold*'] }));

    const all = await ask<{ contracts: { id: string }[] }>(
      gateway,
      '{ contracts { id } }',
      {},
      shown,
    );
    expect(all.data?.contracts).toEqual([{ id: 'name:Gold 1' }]);
    for (const name of ['Oil 1', 'unknown', 'never asked']) {
      const one = await ask(gateway, `{ contract(name: "${name}") { status } }`, {}, shown);
      expect(one.data).toEqual({ contract: null });
      expect(one.errors?.map(({ message, extensions }) => [message, extensions])).toEqual([
        [
          `name:${name} is not among the contracts that you may see`,
          { code: 'FORBIDDEN', contract: `name:${name}` },
        ],
      ]);
    }
    const some = await ask<{ contracts: unknown[] }>(
      gateway,
      '{ contracts(names: ["Oil 1", "Gold 1"]) { id } }',
      {},
      shown,
    );
    expect(some.data?.contracts).toEqual([null, { id: 'name:Gold 1' }]);
    expect(some.errors?.map(({ path }) => path)).toEqual([['contracts', 0]]);

    const variables = { names: ['Gold 1', 'Oil 1'] };
    const clients = [wsClient(gateway, { connectionParams: shown }), sseClient(gateway, shown)];
    for (const client of clients) {
      const inbox = new Inbox<ContractUpdate>(client, UPDATES, variables);
      await inbox.until(
        (box) => pricesOf(box).length === 1 && box.errors.length === 1,
        'both are told',
      );
      expect(inbox.errors[0]).toMatchObject({
        path: ['contractUpdates'],
        extensions: { code: 'FORBIDDEN', contract: 'name:Oil 1' },
      });
      const none = new Inbox<ContractUpdate>(client, UPDATES, { names: ['Oil 1'] });
      await none.until(({ completed }) => completed, 'nothing is left');
      expect(none.errors).toHaveLength(1);
      expect(none.values).toEqual([]);
    }
    expect(market.exchange.subscriptions.flatMap((set) => [...set])).not.toContain(
      'name:never asked',
    );
  });

  test("tells the gateway's details to operators only", async () => {
    const gateway = await testGateway(JWT);
    const query =
      '{ status { ready clients subscriptions contracts { total } upstream { dials } } }';
    const stranger = await ask<{ status: object }>(gateway, query, {}, bearer(await token()));
    expect(stranger.data?.status).toEqual({
      ready: true,
      clients: null,
      subscriptions: null,
      contracts: null,
      upstream: null,
    });
    expect(new Set(stranger.errors?.map(({ extensions }) => extensions?.['code']))).toEqual(
      new Set(['FORBIDDEN']),
    );
    const operator = bearer(await token({ scope: 'read operator' }));
    expect((await ask(gateway, query, {}, operator)).errors).toBeUndefined();
  });
});

describe('a living connection', () => {
  const RENEW = (shown: string) =>
    `mutation { renewAuthorization(token: "${shown}") { principal expiresAt contracts } }`;

  test('is closed when its token expires, on every transport', async () => {
    const market = await new TestExchange().listen();
    const gateway = await testGateway({ ...JWT, IME_URL: market.url });
    const expiresAtMs = Date.now() + 3_000;
    const shown = bearer(await token({}, 3));
    const client = await new RawClient(gateway).init(shown);
    client.subscribe('1', 'subscription { contractUpdates(names: ["x"]) { id } }');
    const query = encodeURIComponent('subscription { contractUpdates(names: ["x"]) { id } }');
    const streams = await Promise.all(
      ['text/event-stream', 'multipart/mixed;subscriptionSpec="1.0"'].map((accept) =>
        fetch(`${gateway.url}/graphql?query=${query}`, { headers: { ...shown, accept } }),
      ),
    );
    await client.until(() => client.closed !== undefined, 'it is closed');
    expect(client.closed).toEqual({ code: 4403, reason: 'The token has expired.' });
    expect(Date.now()).toBeGreaterThan(expiresAtMs - 1_100);
    expect(Date.now()).toBeLessThan(expiresAtMs + 2_000);
    for (const stream of streams) {
      const text = await stream.text();
      expect(text).toContain('"message":"The token has expired."');
      expect(text).toContain('"code":"UNAUTHENTICATED"');
    }
  });

  test('goes on with a renewed token, without losing an update', async () => {
    const market = await new TestExchange().listen();
    const gateway = await testGateway({ ...JWT, IME_URL: market.url });
    const client = await new RawClient(gateway).init(bearer(await token({}, 3)));
    const endsAtMs = Date.now() + 3_000;
    client.subscribe(
      '1',
      'subscription { contractUpdates(names: ["A"], initial: false) { snapshot { aggregate { lastPrice } } } }',
    );
    await market.carries(names('A'));
    client.subscribe('2', RENEW(await token({}, 600)));
    await client.until(() => client.of('2').length > 0, 'it is renewed');
    expect(client.of('2')[0]).toMatchObject({
      payload: { data: { renewAuthorization: { principal: 'token somebody', contracts: ['*'] } } },
    });
    let price = 0;
    while (Date.now() < endsAtMs + 1_000) {
      market.publish('name:A', ++price);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    await client.until(() => client.of('1').length === price, 'every update has come');
    expect(client.closed).toBeUndefined();
  });

  test('does not take a token of somebody else, or one that is not accepted', async () => {
    const gateway = await testGateway(JWT);
    const client = await new RawClient(gateway).init(bearer(await token()));
    client.subscribe('1', RENEW(await token({ sub: 'other' })));
    client.subscribe('2', RENEW('rubbish'));
    await client.until(
      () => client.of('2').length > 0 && client.of('1').length > 0,
      'both are answered',
    );
    expect(client.codes('1')).toEqual(['FORBIDDEN']);
    expect(client.codes('2')).toEqual(['UNAUTHENTICATED']);
    expect(client.closed).toBeUndefined();
    const overHttp = await ask(gateway, RENEW(await token()), {}, bearer(await token()));
    expect(overHttp.errors?.[0]?.extensions?.['code']).toBe('BAD_USER_INPUT');
  });

  test('loses the contracts that a renewed token does not allow any more', async () => {
    const gateway = await testGateway(JWT);
    const client = await new RawClient(gateway).init(bearer(await token()));
    client.subscribe('a', 'subscription { contractUpdates(names: ["A"]) { id } }');
    client.subscribe('b', 'subscription { contractUpdates(names: ["B"]) { id } }');
    await client.until(
      () => client.of('a').length + client.of('b').length === 2,
      'both have begun',
    );
    client.subscribe('r', RENEW(await token({ contracts: ['name:B'] })));
    await client.until(() => client.of('a').length === 2, 'one ends');
    expect(client.of('a')[1]?.type).toBe('error');
    expect(client.codes('a')).toEqual(['FORBIDDEN']);
    expect(client.of('b')).toHaveLength(1);
  });
});

describe('a gateway with AUTH=keys', () => {
  const directory = () => mkdtempSync(join(tmpdir(), 'ime-gateway-'));
  const makeKey = (file: string, ...more: string[]) =>
    execFileSync('node_modules/.bin/tsx', ['src/access/key.ts', '--file', file, ...more], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    }).trim();

  test('takes the keys that npm run key makes, and closes whoever is revoked', async () => {
    const file = join(directory(), 'keys.json');
    const key = makeKey(file, '--label', 'app', '--contracts', 'name:Gold*');
    const other = makeKey(file, '--label', 'ops', '--scopes', 'operator');
    expect(readFileSync(file, 'utf8')).not.toContain(key);
    const gateway = await testGateway({ AUTH: 'keys', AUTH_KEYS_FILE: file });
    expect((await ask(gateway, STATUS, {}, bearer('ime_wrong'))).status).toBe(401);
    expect((await ask(gateway, STATUS, {}, bearer(key))).status).toBe(200);
    expect(
      (await ask(gateway, '{ status { clients } }', {}, bearer(other))).errors,
    ).toBeUndefined();
    const revoked = await new RawClient(gateway).init(bearer(key));
    const kept = await new RawClient(gateway).init(bearer(other));
    const { keys } = JSON.parse(readFileSync(file, 'utf8'));
    writeFileSync(file, '{"keys": [');
    await new Promise((resolve) => setTimeout(resolve, 1_200));
    expect(revoked.closed).toBeUndefined();
    writeFileSync(file, JSON.stringify({ keys: keys.slice(1) }));
    await revoked.until(() => revoked.closed !== undefined, 'it is closed');
    expect(revoked.closed).toEqual({ code: 4403, reason: 'The API key was revoked or changed.' });
    expect((await ask(gateway, STATUS, {}, bearer(key))).status).toBe(401);
    kept.subscribe('1', STATUS);
    await kept.until(() => kept.of('1').length > 0, 'the other goes on');
  });

  test('refuses to start with a file that it cannot use, and says where', async () => {
    const file = join(directory(), 'keys.json');
    const startWith = async (text: string) => {
      writeFileSync(file, text);
      const line = readConfig([], { PORT: '0', AUTH: 'keys', AUTH_KEYS_FILE: file });
      if (line.run !== 'start') throw new Error(JSON.stringify(line));
      return startGateway(line.config, createLog('silent'));
    };
    await expect(startWith('{}')).rejects.toThrow('AUTH_KEYS_FILE: expected a key file, got keys:');
    await expect(startWith('x')).rejects.toThrow('the file is not JSON');
    const entry = { label: 'a', sha256: '0'.repeat(64), contracts: ['Gold'] };
    await expect(startWith(JSON.stringify({ keys: [entry] }))).rejects.toThrow('keys.0.contracts');
  });
});
