import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import { WebSocket } from 'ws';
import type { ContractKey } from '../src/contract/key.ts';
import { systemClock } from '../src/lib/clock.ts';
import type { ExchangeFaults } from '../src/simulator/faults.ts';
import { names, TEHRAN, TestExchange, until } from './kit/gateway.ts';
import { givenToken, imeSource, PatientDialer } from './kit/ime-source.ts';
import { ManualClock } from './kit/manual-clock.ts';
import { RecordingSink } from './kit/source-suite.ts';
import { numbered } from './kit/upstream.ts';

const KEYS = names(...numbered(8));
const MINUTE_MS = 60_000;

/** Lets time pass by the clock, with real time in between for what the network has to say. */
async function pass(
  { clock, dialer }: { clock: ManualClock; dialer: PatientDialer },
  ms: number,
  over = () => false,
  stepMs = 100,
): Promise<number> {
  for (let passedMs = 0; passedMs < ms; passedMs += stepMs) {
    if (over()) return passedMs;
    await clock.advance(stepMs);
    await dialer.wait();
  }
  return ms;
}

/** A source whose clock the test moves, and an exchange. */
async function patientSource(token = 'good', credentials = givenToken(token)) {
  const market = await new TestExchange(token).listen();
  const clock = new ManualClock();
  const dialer = new PatientDialer();
  const time = { clock, dialer };
  const sink = new RecordingSink();
  const source = imeSource(market.url, sink, { clock, dial: dialer.dial }, { credentials });
  onTestFinished(() => source.close());
  const { exchange } = market;
  const carries = (keys: readonly ContractKey[]) => {
    const carried = new Set(exchange.subscriptions.flatMap((set) => [...set]));
    return keys.every((key) => carried.has(key));
  };
  return { market, exchange, time, sink, source, carries };
}

/** Eight contracts were carried and refused, all at once; the inquiry into it meets a fault. */
async function faultyInquiry(
  fault: (faults: ExchangeFaults) => void,
  { token = 'good', isQuiet = false } = {},
) {
  const { market, exchange, time, sink, source, carries } = await patientSource(token);
  source.retain(KEYS);
  const isCarried = () => carries(KEYS);
  await pass(time, 10_000, isCarried);
  const publish = (price: number) => {
    for (const key of KEYS) market.publish(key, price, TEHRAN.toLocal(time.clock.nowMs()));
  };
  if (!isQuiet) publish(1);
  await pass(time, 5_000);
  const before = exchange.dials;
  fault(exchange.faults);
  exchange.drop(1008);
  return { market, time, sink, source, isCarried, publish, dials: () => exchange.dials - before };
}

describe('an inquiry into a refusal that IME does not answer', () => {
  // Shorter waits than the mean: as many dials as ill luck makes of it.
  beforeEach(() => void vi.spyOn(Math, 'random').mockReturnValue(0.3));
  afterEach(() => void vi.restoreAllMocks());

  test.each<[string, (faults: ExchangeFaults) => void]>([
    ['HTTP 500', (faults) => Object.assign(faults, { answer: { status: 500 } })],
    ['an opening that dies at once', (faults) => Object.assign(faults, { dieOnOpenMs: 1 })],
  ])('but with %s: at most 15 dials in a minute, and back after it', async (_, fault) => {
    const { market, time, sink, source, isCarried, publish, dials } = await faultyInquiry(fault);
    await pass(time, MINUTE_MS);
    expect(dials()).toBeLessThanOrEqual(15);
    expect(dials()).toBeGreaterThanOrEqual(5);
    expect(await source.check()).toEqual([expect.stringContaining('IME')]);
    expect(source.report().problems).toHaveLength(1);
    market.exchange.faults.answer = undefined;
    market.exchange.faults.dieOnOpenMs = undefined;
    await pass(time, 35_000, isCarried);
    expect(isCarried()).toBe(true);
    publish(2);
    await pass(time, 5_000, () => KEYS.every((key) => sink.lastOf(key) === 'LIVE'));
    expect(KEYS.map((key) => sink.lastOf(key))).toEqual(KEYS.map(() => 'LIVE'));
    expect(sink.told.filter((one) => 'status' in one && one.status.status === 'INVALID')).toEqual(
      [],
    );
    expect(await source.check()).toEqual([]);
  });

  test('but with HTTP 404: says that the URL is wrong, and tries again every five minutes', async () => {
    const { market, time, source, isCarried, dials } = await faultyInquiry((faults) => {
      faults.answer = { status: 404 };
    });
    await pass(time, 4 * MINUTE_MS, undefined, 500);
    expect(dials()).toBe(1);
    const problem =
      'IME_URL has no such endpoint: answered HTTP 404 with an empty body; tried again every 5 minutes.';
    expect(await source.check()).toEqual([problem]);
    expect(source.report().problems).toEqual([problem]);
    market.exchange.faults.answer = undefined;
    await pass(time, 2 * MINUTE_MS, isCarried, 500);
    expect(isCarried()).toBe(true);
  });

  test('but with HTTP 429: waits as long as IME says', async () => {
    const { time, dials } = await faultyInquiry((faults) => {
      faults.answer = { status: 429, headers: { 'retry-after': '45' } };
    });
    await pass(time, 40_000);
    expect(dials()).toBe(1);
    await pass(time, 10_000);
    expect(dials()).toBe(2);
  });

  test.each([502, 503, 504])('but with HTTP %i: back within 5 s of its return', async (status) => {
    const { market, time, isCarried } = await faultyInquiry((faults) => {
      faults.answer = { status };
    });
    await pass(time, MINUTE_MS);
    market.exchange.faults.answer = undefined;
    expect(await pass(time, 10_000, isCarried)).toBeLessThanOrEqual(5_000);
  });
});

/** Contracts of four who ask for one that exists and one that does not are searched when a fault begins. */
async function faultySearches(fault: (faults: ExchangeFaults) => void) {
  const parts = await patientSource();
  const { market, exchange, time, source, carries } = parts;
  source.retain(KEYS);
  await pass(time, 10_000, () => carries(KEYS));
  await pass(time, 5_000);
  const askers = numbered(4, 'asker');
  const good = names(...askers.map((asker) => `good of ${asker}`));
  const bad = names(...askers.map((asker) => `bad of ${asker}`));
  for (const key of bad) market.unlisted.add(key);
  const before = exchange.dials;
  for (const [place, asker] of askers.entries()) {
    source.retain(
      [good[place], bad[place]].filter((key) => key !== undefined),
      asker,
    );
  }
  await pass(time, 5_000, () => exchange.dials - before >= askers.length);
  const { dials } = exchange;
  fault(exchange.faults);
  source.release(KEYS);
  return { ...parts, good, bad, dials: () => exchange.dials - dials };
}

describe('searches that IME does not answer', () => {
  beforeEach(() => void vi.spyOn(Math, 'random').mockReturnValue(0.3));
  afterEach(() => void vi.restoreAllMocks());

  test('are all back within 5 s of its return: what reached nobody is no dial of theirs', async () => {
    const { exchange, time, sink, source, carries, good, bad, dials } = await faultySearches(
      (faults) => {
        faults.answer = { status: 503 };
      },
    );
    await pass(time, 45_000);
    expect(dials()).toBeGreaterThan(64);
    const problem =
      'IME cannot be asked why it has refused a connection: answered HTTP 503 with an empty body.';
    expect(await source.check()).toContain(problem);
    expect(source.report().problems).toContain(problem);
    exchange.faults.answer = undefined;
    expect(await pass(time, 10_000, () => carries(good))).toBeLessThanOrEqual(5_000);
    await pass(time, 10_000, () => bad.every((key) => sink.lastOf(key) === 'INVALID'));
    expect(bad.map((key) => sink.lastOf(key))).toEqual(bad.map(() => 'INVALID'));
    expect(good.map((key) => sink.lastOf(key))).toEqual(good.map(() => 'PENDING'));
    expect(await source.check()).toEqual([]);
  });

  test('but with HTTP 404: each tries again every five minutes, and /ready says why', async () => {
    const { exchange, time, source, carries, good, dials } = await faultySearches((faults) => {
      faults.answer = { status: 404 };
    });
    await pass(time, 4 * MINUTE_MS, undefined, 500);
    expect(dials()).toBeLessThanOrEqual(4);
    const problem =
      'IME_URL has no such endpoint: answered HTTP 404 with an empty body; tried again every 5 minutes.';
    expect(await source.check()).toEqual([problem]);
    exchange.faults.answer = undefined;
    await pass(time, 2 * MINUTE_MS, () => carries(good), 500);
    expect(carries(good)).toBe(true);
  });
});

test.each([1, 2, 3])(
  'a token that is replaced after %i dials of a search convicts nobody who was refused with the last one',
  async (refused) => {
    const file = join(mkdtempSync(join(tmpdir(), 'token-')), 'token');
    writeFileSync(file, 'one');
    const { market, exchange, time, sink, source, carries } = await patientSource(
      'one',
      givenToken(undefined, file),
    );
    source.retain(KEYS);
    await pass(time, 10_000, () => carries(KEYS));
    await pass(time, 5_000);
    const good = names(...numbered(8, 'newcomer'));
    const bad = names('unknown');
    market.unlisted.add('name:unknown');
    const { dials } = exchange;
    source.retain([...good, ...bad], 'asker');
    await pass(time, 5_000, () => exchange.dials > dials);
    exchange.token = 'two';
    await pass(time, 5_000, () => exchange.dials > dials + refused);
    writeFileSync(file, 'two');
    const isInvalid = () => bad.every((key) => sink.lastOf(key) === 'INVALID');
    await pass(time, MINUTE_MS, () => carries(good) && isInvalid());
    expect(carries(good)).toBe(true);
    const told = sink.told.filter((one) => 'status' in one && one.status.status === 'INVALID');
    expect(told.map(({ key }) => key)).toEqual(bad);
  },
);

test.each([{ isQuiet: false }, { isQuiet: true }])(
  'contracts that were carried until IME refused them for no reason are dialed again, and none is blamed, with %o',
  async (how) => {
    const { time, sink, isCarried, publish, dials } = await faultyInquiry(() => {}, how);
    // The canary, and once more as a whole.
    await pass(time, 10_000, () => dials() >= 2 && isCarried());
    expect(dials()).toBe(2);
    publish(2);
    await pass(time, 5_000, () => KEYS.every((key) => sink.lastOf(key) === 'LIVE'));
    expect(KEYS.map((key) => sink.lastOf(key))).toEqual(KEYS.map(() => 'LIVE'));
    const told = sink.told.flatMap((one) => ('status' in one ? [one.status.status] : []));
    expect(told).not.toContain('INVALID');
  },
);

test('a token that was given and has ended is refused with few dials, and said to have ended', async () => {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const exp = new ManualClock().nowMs() / 1_000 + 10;
  const token = `${part({ alg: 'HS256' })}.${part({ exp })}.x`;
  const { market, time, source, dials } = await faultyInquiry(() => {}, { token });
  market.exchange.token = 'another';
  await pass(time, 25_000);
  expect(dials()).toBeLessThanOrEqual(4);
  expect(await source.check()).toEqual([
    'The access token for IME has ended: set another IME_TOKEN, or write a valid one to IME_TOKEN_FILE.',
  ]);
});

test('a contract under search is told PENDING once, whatever its sockets go through, and then the verdict', async () => {
  const market = await new TestExchange().listen();
  market.unlisted.add('name:c5');
  const sink = new RecordingSink();
  const dial = (url: string, options: object) => new WebSocket(url, options);
  const source = imeSource(market.url, sink, { clock: systemClock, dial });
  onTestFinished(() => source.close());
  source.retain(KEYS);
  await until(() => sink.lastOf('name:c5') === 'INVALID', 'it is found');
  await market.carries(KEYS.filter((key) => key !== 'name:c5'));
  const told = (key: ContractKey) =>
    sink.told.flatMap((one) => (one.key === key && 'status' in one ? [one.status.status] : []));
  for (const key of KEYS) {
    expect(told(key), key).toEqual(key === 'name:c5' ? ['PENDING', 'INVALID'] : ['PENDING']);
  }
});
