import { Load } from './load.ts';
import { type Measurement, p99, sleep, subscriptionTo } from './measurement.ts';
import { type ServerKind, ServerProcess, type UpstreamProcess } from './servers.ts';

const WARM_UP_MS = 1_500;
const CAPACITY_CLIENTS = 500;
const CAPACITY_EVERY_MS = 20;
const CAPACITY_MEASURE_MS = 2_000;
const MOST_P99_MS = 50;
/** Contracts in a tick, tried one after the other until the latency is too high. */
const STEPS = [1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96];
const STOPPED_CLIENTS = 200;
const STOPPED_CONTRACTS = 20;
const STOPPED_EVERY_MS = 20;
const STOPPED_MS = 60_000;
/** As long before and after it in all, so that what the machine does besides falls on both alike. */
const UNSTOPPED_MS = 30_000;
/** What a full collection and a return hold up is not counted. */
const SETTLE_MS = 5_000;

/** A server with clients that all subscribe to the same contracts. */
async function withClients<T>(
  kind: ServerKind,
  upstream: UpstreamProcess,
  names: readonly string[],
  clients: number,
  measure: (server: ServerProcess, load: Load) => Promise<T>,
): Promise<T> {
  const server = await ServerProcess.start(kind, upstream.url, names);
  const load = new Load();
  try {
    await sleep(WARM_UP_MS);
    const query = kind === 'relay' ? undefined : () => subscriptionTo(names);
    await load.open(server.port, clients, query, 'graphql-transport-ws');
    await sleep(WARM_UP_MS);
    return await measure(server, load);
  } finally {
    upstream.publish({ names: [], everyMs: 0 });
    load.close();
    server.stop();
  }
}

/** The most frames a second that arrive with a p99 under 50 ms. */
export function capacity(kind: ServerKind, upstream: UpstreamProcess): Promise<Measurement> {
  const names = Array.from({ length: STEPS.at(-1) ?? 1 }, (_, at) => `c${at}`);
  return withClients(kind, upstream, names, CAPACITY_CLIENTS, async (_server, load) => {
    let most = 0;
    for (const together of STEPS) {
      upstream.publish({ names: names.slice(0, together), everyMs: CAPACITY_EVERY_MS });
      await sleep(WARM_UP_MS);
      load.reset();
      await sleep(CAPACITY_MEASURE_MS);
      const { frames, latenciesMs } = load.received;
      const isTooLate = !(p99(latenciesMs) < MOST_P99_MS);
      if (isTooLate) break;
      most = Math.max(most, frames / (CAPACITY_MEASURE_MS / 1_000));
    }
    return { value: most };
  });
}

/**
 * One client of 200 stops reading for a minute at full rate: how the others fare, what it costs, and how
 * soon it has the newest states again.
 */
export function stoppedClient(kind: ServerKind, upstream: UpstreamProcess): Promise<Measurement> {
  const names = Array.from({ length: STOPPED_CONTRACTS }, (_, at) => `c${at}`);
  return withClients(kind, upstream, names, STOPPED_CLIENTS, async (server, load) => {
    const stopped = new Load();
    try {
      await stopped.open(server.port, 1, () => subscriptionTo(names), 'graphql-transport-ws');
      upstream.publish({ names, everyMs: STOPPED_EVERY_MS });
      await sleep(UNSTOPPED_MS);
      const heldBefore = await server.memory();
      const before = await latencies(load, UNSTOPPED_MS);
      stopped.pause(0, true);
      load.reset();
      await sleep(STOPPED_MS);
      const during = [...load.received.latenciesMs];
      const held = await server.memory();
      const memory = (held.heldBytes - heldBefore.heldBytes) / 2 ** 20;
      stopped.reset();
      const resumedAtMs = performance.now();
      stopped.pause(0, false);
      const freshAfterMs = await firstFresh(stopped, resumedAtMs);
      const after = await latencies(load, UNSTOPPED_MS);
      return {
        value: p99(during) / p99([...before, ...after]),
        note: `${memory.toFixed(2)} MB more are held after the minute, garbage collected; newest states ${Math.round(freshAfterMs)} ms after it reads again`,
      };
    } finally {
      stopped.close();
    }
  });
}

/** The latencies of a while, after what went before has settled. */
async function latencies(load: Load, ms: number): Promise<number[]> {
  await sleep(SETTLE_MS);
  load.reset();
  await sleep(ms);
  return [...load.received.latenciesMs];
}

/** When the first state arrives that is less than a second old, in milliseconds from the return. */
async function firstFresh(load: Load, resumedAtMs: number): Promise<number> {
  for (;;) {
    if (load.received.latenciesMs.some((ms) => ms < 1_000)) return performance.now() - resumedAtMs;
    if (performance.now() - resumedAtMs > 20_000) throw new Error('no fresh state within 20 s');
    await sleep(5);
  }
}
