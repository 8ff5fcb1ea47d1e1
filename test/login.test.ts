import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import { FurtherHeaders } from '../src/ime/credentials/further-headers.ts';
import { Login } from '../src/ime/credentials/login.ts';
import { Password } from '../src/ime/credentials/password.ts';
import { createLog } from '../src/observability/log.ts';
import { names, TEHRAN, TestExchange, until } from './kit/gateway.ts';
import { imeSource, PatientDialer } from './kit/ime-source.ts';
import { ManualClock } from './kit/manual-clock.ts';
import { RecordingSink } from './kit/source-suite.ts';

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;

let clock: ManualClock;
/** Requests of the login that nobody has answered yet. */
let underWay = 0;

beforeEach(() => {
  clock = new ManualClock();
  const real = globalThis.fetch;
  vi.spyOn(globalThis, 'fetch').mockImplementation(async (...request) => {
    underWay++;
    try {
      const response = await real(...request);
      return new Response(await response.text(), response);
    } finally {
      underWay--;
    }
  });
});
afterEach(() => void vi.restoreAllMocks());

/** Lets time pass by the clock, with as much of the real one in between as logins take. */
async function pass(ms: number, stepMs = 250, over = () => false): Promise<number> {
  for (let passedMs = 0; passedMs < ms; passedMs += stepMs) {
    if (over()) return passedMs;
    await clock.advance(stepMs);
    while (underWay > 0) await new Promise((resolve) => setTimeout(resolve, 1));
    for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve));
  }
  return ms;
}

/** The same, with real time for what sockets have to say. */
async function passOnSockets(dialer: PatientDialer, ms: number, over = () => false): Promise<void> {
  for (let passedMs = 0; passedMs < ms && !over(); passedMs += 100) {
    await pass(100, 100);
    await dialer.wait();
  }
}

/** A service that one logs in to, and the login of a gateway there. */
async function loggingIn(options: {
  tokenLifeMs: number;
  serviceMs?: () => number;
  /** By how much the Date of its answers is behind. */
  dateBehindMs?: number;
}) {
  const { tokenLifeMs, serviceMs = () => clock.nowMs(), dateBehindMs = 0 } = options;
  const service = {
    requests: 0,
    /** When the last token that was given ends, by our clock. */
    endsAtMs: 0,
    /** Answers in place of a login. */
    fault: undefined as ((response: ServerResponse) => void) | undefined,
    /** Called with each token. */
    gives: (_token: string) => {},
  };
  const server = createServer((request, response) => {
    service.requests++;
    request.resume().on('end', () => {
      if (service.fault !== undefined) return service.fault(response);
      const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
      const exp = (serviceMs() + tokenLifeMs) / 1_000;
      service.endsAtMs = clock.nowMs() + tokenLifeMs;
      response.setHeader('date', new Date(serviceMs() - dateBehindMs).toUTCString());
      const token = `${part({ alg: 'HS256' })}.${part({ exp })}.x`;
      service.gives(token);
      response.end(JSON.stringify({ Authorization: token }));
    });
  });
  const listen = (port: number) =>
    new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  await listen(0);
  onTestFinished(() => void server.close());
  const { port } = server.address() as AddressInfo;
  const log = createLog('silent');
  const login = new Login(
    {
      url: new URL(`http://127.0.0.1:${port}/`),
      username: 'me',
      password: new Password('secret', undefined, log),
      service: new URL('http://127.0.0.1/'),
    },
    new FurtherHeaders(undefined, log),
    clock,
    log,
  );
  onTestFinished(() => login.close());
  const stop = () => {
    server.closeAllConnections();
    return new Promise((resolve) => server.close(resolve));
  };
  return { service, login, stop, start: () => listen(port) };
}

const answering =
  (status: number, headers = {}) =>
  (response: ServerResponse) =>
    void response.writeHead(status, headers).end('{"detail":"no"}');

test.each([
  ['right', 0],
  ['65 minutes fast', 65],
  ['3.5 hours slow', -210],
])(
  '24 hours with tokens of an hour and a clock that is %s: one always lives, nobody is hammered',
  async (_, aheadMinutes) => {
    const { service, login } = await loggingIn({
      tokenLifeMs: HOUR_MS,
      serviceMs: () => clock.nowMs() - aheadMinutes * MINUTE_MS,
    });
    await until(() => login.current !== undefined, 'it has logged in');
    for (let minute = 0; minute < 24 * 60; minute++) {
      await pass(MINUTE_MS, MINUTE_MS);
      expect(login.current?.expiresAtMs ?? 0, `minute ${minute}`).toBeGreaterThan(clock.nowMs());
      expect(service.endsAtMs, `minute ${minute}`).toBeGreaterThan(clock.nowMs());
    }
    expect(service.requests).toBeGreaterThanOrEqual(24);
    expect(service.requests).toBeLessThanOrEqual(32);
  },
  60_000,
);

test('24 hours with tokens of an hour: every socket is replaced before its token ends, nothing is lost, nothing STALE', async () => {
  const market = await new TestExchange('none yet').listen();
  const { exchange } = market;
  const { login, service } = await loggingIn({ tokenLifeMs: HOUR_MS });
  await until(() => login.current !== undefined, 'it has logged in');
  exchange.token = login.current?.token;
  service.gives = (token) => {
    exchange.token = token;
  };
  const sink = new RecordingSink();
  const dialer = new PatientDialer();
  // As real time hardly passes, a pong would come too late by the clock.
  const about = { credentials: login, pingIntervalMs: HOUR_MS };
  const source = imeSource(market.url, sink, { clock, dial: dialer.dial }, about);
  onTestFinished(() => source.close());
  const keys = names('A', 'B', 'C');
  source.retain(keys);
  await passOnSockets(dialer, 10_000, () => exchange.subscriptions.length === 1);
  let price = 0;
  const publish = async () => {
    price++;
    for (const key of keys) market.publish(key, price, TEHRAN.toLocal(clock.nowMs()));
    await until(() => keys.every((key) => sink.states(key).length >= price), 'all have come');
  };
  let renewals = 0;
  for (let minute = 0; minute < 24 * 60; minute++) {
    const { current } = login;
    await publish();
    await pass(MINUTE_MS, MINUTE_MS);
    if (login.current === current) continue;
    renewals++;
    for (let second = 0; second < 8; second++) {
      await passOnSockets(dialer, 1_000);
      await publish();
    }
    // Whoever was dialed with the last token is gone, long before that ends.
    expect(exchange.subscriptions, `minute ${minute}`).toHaveLength(1);
    expect(exchange.dials).toBe(1 + renewals);
  }
  expect(renewals).toBeGreaterThanOrEqual(24);
  const prices = Array.from({ length: price }, (_, place) => String(place + 1));
  for (const key of keys) {
    const got = sink.states(key).map(({ snapshot }) => snapshot.aggregate?.lastPrice);
    expect(got, key).toEqual(prices);
  }
  const told = sink.told.flatMap((one) => ('status' in one ? [one.status.status] : []));
  expect(told).toEqual(['PENDING', 'PENDING', 'PENDING']);
}, 60_000);

test('a Date that is as old as its connection, as uvicorn writes it, makes no token live longer', async () => {
  const { login, service } = await loggingIn({ tokenLifeMs: HOUR_MS, dateBehindMs: 50_000 });
  await until(() => login.current !== undefined, 'it has logged in');
  expect(login.current?.expiresAtMs).toBe(service.endsAtMs);
});

test('a token that says it has ended already is used, and not asked for again and again', async () => {
  const { service, login } = await loggingIn({ tokenLifeMs: -HOUR_MS });
  await until(() => login.current !== undefined, 'it has logged in');
  await pass(10 * MINUTE_MS, 1_000);
  expect(service.requests).toBe(1);
  expect(login.current).toMatchObject({ expiresAtMs: undefined });
  login.refused(login.current);
  await until(() => service.requests === 2, 'it is replaced when it is refused');
});

describe('a name or password that is refused', () => {
  test.each([400, 401, 403])(
    'with %i is at most 4 requests in the first minute, then fewer and fewer',
    async (status) => {
      const { service, login } = await loggingIn({ tokenLifeMs: HOUR_MS });
      let withFirstNames = 0;
      service.fault = (response) => {
        // The field names of the API document are not those of this service.
        const isFirst = withFirstNames++ === 0;
        answering(isFirst ? 422 : status)(response);
      };
      await until(() => login.report().logins['refused'] === 1, 'it is refused');
      await pass(MINUTE_MS);
      expect(service.requests).toBeLessThanOrEqual(4);
      expect(login.problem).toContain(
        `refuses the login by IME_USERNAME and its password: HTTP ${status}: no`,
      );
      await pass(59 * MINUTE_MS, 1_000);
      expect(service.requests).toBeLessThanOrEqual(9);
      service.fault = undefined;
      await pass(15 * MINUTE_MS, 1_000);
      expect(login.current).toBeDefined();
    },
  );
});

describe('a login that is down for a minute', () => {
  type Door = Awaited<ReturnType<typeof loggingIn>>;
  const faults: [string, (door: Door) => unknown, (door: Door) => unknown][] = [
    ...[500, 502, 503, 504].map((status): (typeof faults)[number] => [
      `HTTP ${status}`,
      ({ service }) => Object.assign(service, { fault: answering(status) }),
      ({ service }) => Object.assign(service, { fault: undefined }),
    ]),
    [
      'a connection that breaks',
      ({ service }) =>
        Object.assign(service, { fault: (response: ServerResponse) => response.destroy() }),
      ({ service }) => Object.assign(service, { fault: undefined }),
    ],
    ['nobody listening', ({ stop }) => stop(), ({ start }) => start()],
  ];

  test.each(faults)('by %s is noticed by nobody while the token lives', async (_, fail, mend) => {
    const door = await loggingIn({ tokenLifeMs: 10 * MINUTE_MS });
    const { login, service } = door;
    await until(() => login.current !== undefined, 'it has logged in');
    const first = login.current;
    await pass(7.5 * MINUTE_MS, 1_000);
    await fail(door);
    const asked = service.requests;
    await pass(MINUTE_MS, 250, () => login.current !== first);
    expect(login.current).toBe(first);
    expect(login.problem).toContain('cannot be reached');
    expect(service.requests - asked).toBeLessThanOrEqual(40);
    await mend(door);
    expect(await pass(10_000, 250, () => login.current !== first)).toBeLessThanOrEqual(5_000);
    expect(login.problem).toBeUndefined();
  });

  test.each(faults)(
    'by %s is said once the token has ended, and back within 5 s',
    async (_, fail, mend) => {
      const door = await loggingIn({ tokenLifeMs: MINUTE_MS });
      const { login } = door;
      await until(() => login.current !== undefined, 'it has logged in');
      await pass(30_000, 1_000);
      await fail(door);
      await pass(MINUTE_MS, 250);
      expect(login.current).toBeUndefined();
      expect(login.problem).toMatch(/cannot be reached: .+\.$/);
      await mend(door);
      expect(await pass(10_000, 250, () => login.current !== undefined)).toBeLessThanOrEqual(5_000);
    },
  );

  test('by HTTP 429 is left alone for as long as it says', async () => {
    const { login, service } = await loggingIn({ tokenLifeMs: HOUR_MS });
    service.fault = answering(429, { 'retry-after': '45' });
    await until(() => login.report().logins['unreachable'] === 1, 'it throttles');
    await pass(44_000);
    expect(service.requests).toBe(1);
    await pass(2_000);
    expect(service.requests).toBe(2);
  });
});
