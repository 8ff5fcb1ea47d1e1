/**
 * The long runs: `npm run soak -- --minutes 30 --seed 1` walks at random and then reports whether
 * anything is left; `npm run soak -- --faults` measures the faults that take a minute and more;
 * `npm run soak -- --operations 30` has operations refused, raced and aborted for so many minutes;
 * `npm run soak -- --renewal 120` has tokens of 12 s renewed, and their sockets cut, for so many seconds.
 */
import { parseArgs } from 'node:util';
import { createClient } from 'graphql-ws';
import { WebSocket } from 'ws';
import { type Gateway, startGateway } from '../src/app/gateway.ts';
import { readConfig } from '../src/config/command-line.ts';
import { LocalTimeZone } from '../src/contract/local-time.ts';
import { createLog } from '../src/observability/log.ts';
import { Exchange } from '../src/simulator/exchange.ts';
import { OperationsWalk } from './kit/operations-walk.ts';
import { renewal } from './kit/renewal.ts';
import { Walk } from './kit/walk.ts';

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '30' },
    seed: { type: 'string', default: '1' },
    faults: { type: 'boolean', default: false },
    operations: { type: 'string' },
    renewal: { type: 'string' },
  },
});

const ZONE = new LocalTimeZone('Asia/Tehran');
const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
const say = (text: string) => process.stdout.write(`${text}\n`);

function heapMb(): number {
  globalThis.gc?.();
  return process.memoryUsage().heapUsed / 1e6;
}

/** What keeps the process alive, besides its own output. */
function handles(): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const kind of process.getActiveResourcesInfo()) {
    if (kind === 'TTYWrap' || kind === 'PipeWrap') continue;
    counts[kind] = (counts[kind] ?? 0) + 1;
  }
  return counts;
}

async function walk(minutes: number, seed: number): Promise<void> {
  const walked = new Walk(seed);
  await walked.start();
  await walked.stretch(200);
  await walked.empty();
  await sleep(3_000);
  const before = {
    heap: heapMb(),
    handles: handles(),
    sockets: walked.gateway.report().upstream.sockets.length,
  };
  say(`at the start: heap ${before.heap.toFixed(1)} MB, handles ${JSON.stringify(before.handles)}`);
  const endsAtMs = performance.now() + minutes * 60_000;
  let nextSayMs = performance.now() + 60_000;
  while (performance.now() < endsAtMs) {
    await walked.stretch(100);
    if (performance.now() < nextSayMs) continue;
    nextSayMs += 60_000;
    say(JSON.stringify(walked.report));
  }
  await walked.empty();
  // Sockets that were closed with 1000 are given their time.
  await sleep(5_000);
  const after = {
    heap: heapMb(),
    handles: handles(),
    sockets: walked.gateway.report().upstream.sockets.length,
  };
  say(`at the end:   heap ${after.heap.toFixed(1)} MB, handles ${JSON.stringify(after.handles)}`);
  say(JSON.stringify(walked.report));
  await walked.stop();
  if (after.sockets !== before.sockets)
    throw new Error(`${after.sockets} sockets, ${before.sockets} at the start`);
  if (after.heap > before.heap + 10) throw new Error('the heap has grown by more than 10 MB');
  for (const [kind, count] of Object.entries(after.handles)) {
    if (count > (before.handles[kind] ?? 0) + 2) throw new Error(`${count} ${kind} are left`);
  }
}

/** A gateway with one subscriber of one contract that is published ten times a second. */
async function withOneContract(
  names: string,
  run: (exchange: Exchange, gateway: Gateway, status: () => string) => Promise<void>,
): Promise<void> {
  const exchange = new Exchange({
    basePath: '/ime',
    token: 'good',
    refuse: 'after',
    lists: () => true,
  });
  const url = await exchange.listen(0);
  const commandLine = readConfig([], {
    PORT: '0',
    AUTH: 'none',
    LOG_LEVEL: 'silent',
    IME_URL: url,
    IME_TOKEN: 'good',
    IME_PINNED_NAMES: names,
  });
  if (commandLine.run !== 'start') throw new Error(JSON.stringify(commandLine));
  const gateway = await startGateway(commandLine.config, createLog('silent'));
  const client = createClient({
    url: `${gateway.url.replace('http', 'ws')}/graphql`,
    webSocketImpl: WebSocket,
  });
  let status = '';
  client.subscribe<{ contractUpdates: { status: string } }>(
    { query: 'subscription { contractUpdates(names: ["A"]) { status } }' },
    {
      next: ({ data }) => {
        status = data?.contractUpdates.status ?? '';
      },
      error: () => {},
      complete: () => {},
    },
  );
  let price = 0;
  const empty = { bestLimits: [], aggregate: null, allowedPriceRange: null };
  const publishing = setInterval(() => {
    const contractInfo = { openInterest: String(++price), openInterestChanges: '0' };
    exchange.publish(['name:A'], ZONE.toLocal(Date.now()), { ...empty, contractInfo });
  }, 100);
  try {
    await run(exchange, gateway, () => status);
  } finally {
    clearInterval(publishing);
    await client.dispose();
    await gateway.close();
    await exchange.close();
  }
}

async function seconds(holds: () => boolean, withinMs: number): Promise<number> {
  const startedMs = performance.now();
  while (!holds()) {
    if (performance.now() - startedMs > withinMs) throw new Error(`not within ${withinMs} ms`);
    await sleep(20);
  }
  return (performance.now() - startedMs) / 1_000;
}

function within(what: string, figure: number, most: number): void {
  say(`${what}: ${figure.toFixed(1)}, at most ${most}`);
  if (figure > most) throw new Error(`${what} is over its bound`);
}

async function faults(): Promise<void> {
  await withOneContract('A', async (exchange, gateway, status) => {
    await seconds(() => status() === 'LIVE', 10_000);
    exchange.faults.dieOnOpenMs = 20;
    const before = exchange.dials;
    exchange.drop();
    await sleep(60_000);
    within('dials of a shard that opens and dies for 60 s', exchange.dials - before, 15);
    say(`  status says: ${gateway.report().upstream.problems.join(' ')}`);
  });
  await withOneContract('A', async (exchange, gateway, status) => {
    await seconds(() => status() === 'LIVE', 10_000);
    exchange.faults.cut();
    const cutMs = performance.now();
    within(
      'seconds until a cut path is noticed',
      await seconds(() => status() === 'STALE', 15_000),
      12,
    );
    await sleep(70_000 - (performance.now() - cutMs));
    say(`  status says: ${gateway.report().upstream.problems.join(' ')}`);
    exchange.faults.thaw();
    within(
      'seconds from its healing until data',
      await seconds(() => status() === 'LIVE', 60_000),
      35,
    );
  });
  const many = Array.from({ length: 200 }, (_, place) => `c${place}`).join(',');
  await withOneContract(many, async (exchange, gateway, status) => {
    await seconds(() => status() === 'LIVE', 10_000);
    exchange.token = 'other';
    const before = exchange.dials;
    exchange.drop();
    await seconds(() => gateway.report().reasons.join().includes('token'), 20_000);
    within('dials until a bad token is understood, 200 contracts', exchange.dials - before, 4);
    const understood = exchange.dials;
    await sleep(60_000);
    within('dials in the minute after it', exchange.dials - understood, 2);
    say(`  status says: ${gateway.report().upstream.problems.join(' ')}`);
    if (gateway.report().contracts.INVALID > 0) throw new Error('a contract was marked INVALID');
  });
}

/** Half of the time with tokens, half of it with keys. */
async function operations(minutes: number, seed: number): Promise<void> {
  for (const auth of ['jwt', 'keys'] as const) {
    const walk = new OperationsWalk(seed, auth);
    await walk.start();
    try {
      const endsAtMs = performance.now() + (minutes / 2) * 60_000;
      let before: number | undefined;
      while (performance.now() < endsAtMs) {
        await walk.run(20_000);
        const left = await walk.left();
        before ??= heapMb();
        say(
          `${auth}: ${walk.steps} steps, left ${JSON.stringify(left)}, heap ${heapMb().toFixed(1)} MB`,
        );
        if (left.clients + left.subscriptions > 0 || left.contracts !== 1 || left.upstream !== 1) {
          throw new Error('something was not given back');
        }
        if (walk.leaks.length > 0)
          throw new Error(`told to somebody who may not: ${walk.leaks[0]}`);
        if (walk.faults.length > 0) throw new Error(`a fault in the log: ${walk.faults[0]}`);
      }
      if (heapMb() > (before ?? 0) + 10) throw new Error('the heap has grown by more than 10 MB');
    } finally {
      await walk.close();
    }
  }
}

async function renewals(forSeconds: number): Promise<void> {
  const figures = await renewal(forSeconds);
  say(JSON.stringify(figures));
  within('updates lost', figures.lost, 0);
  within('updates that came twice', figures.twice, 0);
  within('updates out of order', figures.outOfOrder, 0);
  within('updates that were not LIVE', figures.notLive, 0);
}

try {
  if (values.operations !== undefined)
    await operations(Number(values.operations), Number(values.seed));
  else if (values.renewal !== undefined) await renewals(Number(values.renewal));
  else if (values.faults) await faults();
  else await walk(Number(values.minutes), Number(values.seed));
  say('all as it should be');
} catch (error) {
  say(`FAILED: ${error instanceof Error ? error.stack : error}`);
  process.exit(1);
}
