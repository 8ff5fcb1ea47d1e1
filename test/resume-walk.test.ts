import { expect, onTestFinished, test } from 'vitest';
import { SeededRandom } from '../src/simulator/random.ts';
import { ask, Inbox, wsClient } from './kit/clients.ts';
import { CuttingProxy } from './kit/cutting-proxy.ts';
import { names, TestExchange, testGateway } from './kit/gateway.ts';
import {
  ResumeWalker,
  readingOf,
  SEEN,
  type SeenState,
  type WalkerWish,
} from './kit/resume-walker.ts';

const SEED = Number(process.env['WALK_SEED'] ?? Date.now() % 1_000_000);
/** As many interruptions are walked through. */
const CUTS = Number(process.env['WALK_CUTS'] ?? 1_000);
const WALKERS = 24;
const NAMES = Array.from({ length: 12 }, (_, at) => `c${at}`);

test(`after ${CUTS} interruptions (seed ${SEED}) each client knows what one knows that was never cut`, async () => {
  const random = new SeededRandom(SEED);
  const exchange = await new TestExchange().listen();
  const settings = {
    IME_URL: exchange.url,
    IME_PINNED_NAMES: NAMES.join(','),
    IME_LINGER_MS: '30',
    CLIENT_BUFFER_BYTES: '16384',
    MAX_OPERATIONS_PER_SECOND: '100000',
    MAX_OPERATIONS_PER_SECOND_PER_PRINCIPAL: '100000',
  };
  let gateway = await testGateway(settings);
  await exchange.carries(names(...NAMES));
  let isCutting = true;
  const proxy = new CuttingProxy(gateway.address.port, () => ({
    cutAfterBytes: isCutting ? random.integer(1, random.chance(0.3) ? 600 : 20_000) : undefined,
    slowForMs: isCutting && random.chance(0.3) ? random.integer(10, 400) : 0,
  }));
  const url = await proxy.listen();
  onTestFinished(() => proxy.close());
  const walkers = Array.from({ length: WALKERS }, (_, at) => {
    const wish: WalkerWish = {
      transport: (['websocket', 'compressed', 'events'] as const)[at % 3] ?? 'websocket',
      names: at % 4 === 3 ? undefined : NAMES.filter(() => random.chance(0.7)).concat('c0'),
      batches: random.chance(0.35),
      pace: random.chance(0.4) ? random.integer(2, 60) : 0,
      changesOnly: random.chance(0.3),
      withoutInitial: random.chance(0.5),
    };
    return new ResumeWalker(url, { ...wish, names: wish.names && [...new Set(wish.names)] });
  });
  const running = walkers.map((walker) => walker.run());
  onTestFinished(async () => {
    for (const walker of walkers) walker.stop();
    await Promise.all(running);
  });

  const wrong = async () => {
    const { data } = await ask<{ contracts: SeenState[] }>(gateway, `{ contracts { ${SEEN} } }`);
    const newest = new Map(data?.contracts.map((state) => [state.id, state]));
    return walkers.flatMap((walker) => {
      const { names: wished, changesOnly } = walker.wish;
      const expected = wished?.map((name) => newest.get(`name:${name}`)) ?? [...newest.values()];
      const missing = expected.filter((state) => {
        const seen = walker.states.get(state?.id ?? '');
        if (seen === undefined || state === undefined) return true;
        return changesOnly ? readingOf(seen) !== readingOf(state) : seen.cursor !== state.cursor;
      });
      const left = [...walker.states.values()].filter(
        ({ id, statusCode }) => !newest.has(id) && statusCode !== 'RELEASED',
      );
      return [...missing, ...left].map((state) => ({
        wish: walker.wish,
        state,
        seen: walker.states.get(state?.id ?? ''),
      }));
    });
  };
  /** All are cut at once, and nothing changes any more: what they do not know then is lost. */
  const check = async () => {
    isCutting = false;
    for (const walker of walkers) walker.cut();
    const deadline = performance.now() + 10_000;
    let still = await wrong();
    while (still.length > 0 && performance.now() < deadline) {
      await new Promise((resolve) => setTimeout(resolve, 20));
      still = await wrong();
    }
    expect(still.slice(0, 3)).toEqual([]);
    isCutting = true;
    for (const walker of walkers) walker.cut();
  };
  const cuts = () => walkers.reduce((sum, { cuts: own }) => sum + own, 0);

  // Others come and go, so that contracts join and are let go.
  let passers = wsClient(gateway);
  const passing: Inbox<unknown>[] = [];
  let isRestarted = false;
  for (let turn = 1; cuts() < CUTS; turn++) {
    for (let count = random.integer(1, 25); count > 0; count--) {
      // Few prices, so that many states read as the last one did.
      exchange.publish(`name:c${random.integer(0, 11)}`, random.integer(1, 3));
    }
    if (random.chance(0.03)) exchange.exchange.drop();
    if (random.chance(0.1)) {
      const query = `subscription { contractUpdates(names: ["p${random.integer(0, 5)}"]) { id } }`;
      passing.push(new Inbox(passers, query));
    }
    if (passing.length > 3) passing.shift()?.unsubscribe();
    if (random.chance(0.1)) exchange.publish(`name:p${random.integer(0, 5)}`, 7);
    if (random.chance(0.05)) walkers[random.integer(0, WALKERS - 1)]?.cut();
    await new Promise((resolve) => setTimeout(resolve, random.integer(0, 6)));
    if (turn % 40 === 0) await check();
    if (cuts() > CUTS / 2 && !isRestarted) {
      // What clients have of the one before is of another epoch to the next.
      isRestarted = true;
      const { port } = gateway.address;
      await gateway.close();
      gateway = await testGateway({ ...settings, PORT: String(port) });
      passers = wsClient(gateway);
    }
  }
  for (const one of passing) one.unsubscribe();
  await check();
  expect(walkers.flatMap(({ faults }) => faults).slice(0, 5)).toEqual([]);
  expect(walkers.every((walker) => walker.cuts > 3)).toBe(true);
  if (process.env['WALK_CUTS']) {
    const told = walkers.reduce((sum, one) => sum + one.told, 0);
    process.stdout.write(`${cuts()} cuts, ${told} states told, seed ${SEED}\n`);
  }
}, 120_000);
