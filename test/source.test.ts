import { existsSync } from 'node:fs';
import { describe, expect, onTestFinished, test } from 'vitest';
import { WebSocket } from 'ws';
import { type Clock, systemClock } from '../src/lib/clock.ts';
import { createLog } from '../src/observability/log.ts';
import type { Channel } from '../src/workers/link/channel.ts';
import { connectToPrimary, WorkersDoor } from '../src/workers/link/door.ts';
import { SourceServer } from '../src/workers/source-server.ts';
import { WorkerSource } from '../src/workers/worker-source.ts';
import { countingClock } from './kit/counting-clock.ts';
import { names, snapshotOf, TEHRAN, TestExchange, until } from './kit/gateway.ts';
import { imeSource } from './kit/ime-source.ts';
import { ManualClock } from './kit/manual-clock.ts';
import { ScriptedSource } from './kit/scripted-source.ts';
import { RecordingSink, sourceSuite } from './kit/source-suite.ts';

sourceSuite('IME', async (sink) => {
  const market = await new TestExchange().listen();
  const clock = countingClock();
  const sockets = new Set<WebSocket>();
  const dial = (url: string, options: object) => {
    const socket = new WebSocket(url, options);
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
    return socket;
  };
  const source = imeSource(market.url, sink, { clock, dial });
  return {
    source,
    carries: (keys) => market.carries(keys),
    publish: (key, price) => market.publish(key, price),
    lose: () => market.exchange.drop(),
    leftOpen: () => clock.timers() + sockets.size,
  };
});

sourceSuite('scripted', async (sink) => {
  const source = new ScriptedSource(sink);
  return {
    source,
    carries: async () => {},
    publish: (key, price) => source.publish(key, snapshotOf(price, Date.now())),
    lose: () => source.lose(),
    leftOpen: () => 0,
  };
});

sourceSuite('worker', async (sink) => {
  const market = await new TestExchange().listen();
  const log = createLog('silent');
  const clock = countingClock();
  const faults: unknown[] = [];
  const server = new SourceServer(30_000, TEHRAN, clock, log);
  const source = imeSource(market.url, server, { clock, dial: dialed });
  server.connect(source);
  const open = new Set<Channel>();
  const door = new WorkersDoor(
    (channel) => {
      open.add(channel);
      channel.onClose(() => open.delete(channel));
      server.serve(channel);
    },
    (error) => faults.push(error),
  );
  const path = await door.open();
  onTestFinished(async () => {
    server.close();
    source.close();
    await door.close();
    // A socket's own timer ends with its close.
    await until(() => clock.timers() === 0, 'no timer is left');
    expect(existsSync(path)).toBe(false);
    expect(faults).toEqual([]);
  });
  const channel = await connectToPrimary(path, (error) => faults.push(error));
  const workerClock = countingClock();
  return {
    source: await WorkerSource.open(channel, sink, TEHRAN, workerClock),
    carries: (keys) => market.carries(keys),
    publish: (key, price) => market.publish(key, price),
    lose: () => market.exchange.drop(),
    leftOpen: () => open.size + workerClock.timers(),
  };
});

/** A source that carries two contracts on one socket. */
async function carriedTwo() {
  const market = await new TestExchange().listen();
  const sink = new RecordingSink();
  const source = imeSource(market.url, sink, { clock: systemClock, dial: dialed });
  onTestFinished(() => source.close());
  const [a, b] = names('A', 'B');
  if (a === undefined || b === undefined) throw new Error('no names');
  source.retain([a, b]);
  await market.carries([a, b]);
  return { market, sink, source, a, b };
}

describe('a contract that was released', () => {
  test('and is asked for again while its socket is open is told its last state at once', async () => {
    const { market, sink, source, a, b } = await carriedTwo();
    market.publish(a, 1);
    await until(() => sink.states(a).length === 1, 'its state has come');
    source.release([a]);
    // It changes while nobody wants it: the socket carries it on for the other's sake.
    market.publish(a, 2);
    market.publish(b, 1);
    await until(() => sink.states(b).length === 1, 'the other has come');
    source.retain([a]);
    expect(sink.lastOf(a)).toBe('LIVE');
    expect(sink.states(a).map(({ snapshot }) => snapshot.aggregate?.lastPrice)).toEqual(['1', '2']);
  });
});

test('a contract that is asked for anew is told its whole state, after a message of a part of it too', async () => {
  const { market, sink, source, a } = await carriedTwo();
  market.publish(a, 1);
  const nothing = {
    bestLimits: null,
    aggregate: null,
    allowedPriceRange: null,
    contractInfo: null,
  };
  market.exchange.publish([a], TEHRAN.toLocal(Date.now()), nothing);
  await until(() => sink.states(a).length === 2, 'both have come');
  source.release([a]);
  source.retain([a]);
  expect(sink.states(a).at(-1)?.snapshot.aggregate?.lastPrice).toBe('1');
});

describe('a clock that somebody sets', () => {
  test.each([-1, 1])('by %d hours makes no message late', async (hours) => {
    const market = await new TestExchange().listen();
    let offsetMs = 0;
    const clock: Clock = { ...systemClock, nowMs: () => Date.now() + offsetMs };
    const sink = new RecordingSink();
    const source = imeSource(market.url, sink, { clock, dial: dialed });
    onTestFinished(() => source.close());
    const [a] = names('A');
    if (a === undefined) throw new Error('no name');
    source.retain([a]);
    await market.carries([a]);
    market.publish(a, 1);
    await until(() => sink.states(a).length === 1, 'it is served');
    offsetMs = hours * 3_600_000;
    for (let price = 2; price <= 4; price++) market.publish(a, price);
    await until(() => sink.states(a).length === 4, 'all have come');
    expect(sink.states(a).map(({ stale }) => stale)).toEqual([
      undefined,
      undefined,
      undefined,
      undefined,
    ]);
  });

  test.each([-30, -1 / 24, 1 / 24, 30])('by %d days keeps nothing from its time', async (days) => {
    const clock = new ManualClock();
    let ran = 0;
    clock.setTimeout(() => ran++, 60_000);
    clock.step(days * 86_400_000);
    await clock.advance(59_999);
    expect(ran).toBe(0);
    await clock.advance(1);
    expect(ran).toBe(1);
  });

  test('does not delay IME being asked again for a contract that it refused', async () => {
    const market = await new TestExchange().listen();
    market.unlisted.add('name:X');
    let offsetMs = 0;
    const clock: Clock = { ...systemClock, nowMs: () => Date.now() + offsetMs };
    const sink = new RecordingSink();
    const source = imeSource(market.url, sink, { clock, dial: dialed });
    onTestFinished(() => source.close());
    const [a, x] = names('A', 'X');
    if (a === undefined || x === undefined) throw new Error('no names');
    source.retain([a, x]);
    await until(() => sink.lastOf(x) === 'INVALID', 'it is refused');
    offsetMs = -30 * 86_400_000;
    market.unlisted.clear();
    // An inferred refusal is tried once more after five seconds, whatever the time of day is then.
    await market.carries([x], 15_000);
    market.publish(x, 1);
    await until(() => sink.lastOf(x) === 'LIVE', 'it is served');
  });
});

test('waits that are no wait, and those that are longer than Node can wait, neither spin nor end at once', async () => {
  let ran = 0;
  const cancels = [2 ** 31, 1e15, Number.POSITIVE_INFINITY].map((ms) =>
    systemClock.setTimeout(() => ran++, ms),
  );
  let soon = 0;
  for (const ms of [Number.NaN, -1, 0]) systemClock.setTimeout(() => soon++, ms);
  await until(() => soon === 3, 'those without a time have run');
  expect(ran).toBe(0);
  for (const cancel of cancels) cancel();
});

const dialed = (url: string, options: object) => new WebSocket(url, options);
