import { capacity, stoppedClient } from './capacity.ts';
import { DECODING } from './decoding.ts';
import { DELIVERIES } from './deliveries.ts';
import { Load } from './load.ts';
import { type Measurement, sleep, subscriptionTo } from './measurement.ts';
import { QUERIES } from './queries.ts';
import { inTurn, type Row } from './row.ts';
import { type ServerKind, ServerProcess, type UpstreamProcess } from './servers.ts';

const IDLE_CLIENTS = 5_000;
const MEASURE_MS = 5_000;

/** Resident memory of one idle connection with one subscription, garbage collected, in KB. */
async function idleMemory(kind: ServerKind, upstream: UpstreamProcess): Promise<Measurement> {
  const server = await ServerProcess.start(kind, upstream.url, ['c0']);
  const load = new Load();
  try {
    await sleep(1_500);
    const subscription = kind === 'relay' ? undefined : () => subscriptionTo(['c0']);
    // The first connections fill what is shared and what the heap keeps in reserve.
    await load.open(server.port, 500, subscription, 'graphql-transport-ws');
    await sleep(2_000);
    const before = await server.memory();
    await load.open(server.port, IDLE_CLIENTS, subscription, 'graphql-transport-ws');
    await sleep(4_000);
    const after = await server.memory();
    return { value: (after.residentBytes - before.residentBytes) / IDLE_CLIENTS / 1_024 };
  } finally {
    load.close();
    server.stop();
  }
}

/** CPU time of a message that no client subscribes to, in microseconds. */
async function unheard(kind: ServerKind, upstream: UpstreamProcess): Promise<Measurement> {
  const names = Array.from({ length: 20 }, (_, at) => `c${at}`);
  const everyMs = 10;
  const server = await ServerProcess.start(kind, upstream.url, names);
  try {
    await sleep(1_500);
    upstream.publish({ names, everyMs });
    await sleep(1_500);
    const before = server.cpuSeconds();
    const messages = await server.metric('ime_gateway_upstream_messages_total');
    await sleep(MEASURE_MS);
    const cpu = server.cpuSeconds() - before;
    const read = (await server.metric('ime_gateway_upstream_messages_total')) - messages;
    return { value: (cpu / read) * 1e6 };
  } finally {
    upstream.publish({ names: [], everyMs: 0 });
    server.stop();
  }
}

/** Everything that is compared. */
export const ROWS: readonly Row[] = [
  ...DELIVERIES,
  inTurn(
    'Memory of an idle connection with one subscription, 5,000 of them',
    'KB',
    ['gateway', 'relay', 'yoga', 'mercurius'],
    idleMemory,
  ),
  ...QUERIES,
  inTurn(
    'Most frames a second with a p99 under 50 ms, 500 clients',
    'frames a second',
    ['gateway', 'relay'],
    capacity,
  ),
  inTurn(
    'One client of 200 stops for a minute: p99 of the others, times that before and after',
    '×',
    ['gateway'],
    stoppedClient,
  ),
  inTurn('Messages of IME that nobody subscribes to', 'µs CPU a message', ['gateway'], unheard),
  DECODING,
];
