import { capacity, latencyAt, stoppedClient } from './capacity.ts';
import { Load } from './load.ts';
import { type Measurement, SELECTION, sleep, subscriptionTo } from './measurement.ts';
import { emptyQueries, snapshotQueries } from './queries.ts';
import { type ServerKind, ServerProcess, type UpstreamProcess } from './servers.ts';

const CLIENTS = 1_000;
const MEASURE_MS = 4_000;
const IDLE_CLIENTS = 5_000;

/** A row of the comparison. */
export interface Row {
  readonly title: string;
  readonly unit: string;
  readonly servers: readonly ServerKind[];
  readonly measure: (kind: ServerKind, upstream: UpstreamProcess) => Promise<Measurement>;
}

interface Delivery {
  /** Contracts published together. */
  readonly together: number;
  readonly everyMs: number;
  /** How many different selections the clients have. */
  readonly selections?: number;
  /** Whether each client adds a contract of its own that is never published. */
  readonly ownList?: boolean;
  readonly clients?: number;
  /** Further clients, whose contract is never published. */
  readonly quietClients?: number;
}

/** CPU time of the whole server process for each delivered frame, in microseconds. */
function delivery(wish: Delivery) {
  const { together, everyMs, selections = 1, ownList = false } = wish;
  const { clients = CLIENTS, quietClients = 0 } = wish;
  return async (kind: ServerKind, upstream: UpstreamProcess): Promise<Measurement> => {
    const published = Array.from({ length: together }, (_, at) => `c${at}`);
    const quiet = ownList ? Array.from({ length: CLIENTS }, (_, at) => `q${at}`) : [];
    const server = await ServerProcess.start(kind, upstream.url, [...published, ...quiet, 'quiet']);
    const load = new Load();
    try {
      // A gateway takes a moment to have all its contracts carried.
      await sleep(ownList ? 6_000 : 1_500);
      const query = (client: number) => {
        const variant = client % selections;
        const names = [...published, ...(ownList ? [quiet[client]] : [])];
        const extra = variant === 0 ? '' : `v${variant}: status`;
        return {
          query: `subscription ($names: [String!]) { contractUpdates(names: $names) { ${SELECTION} ${extra} } }`,
          variables: { names },
        };
      };
      await load.open(
        server.port,
        clients,
        kind === 'relay' ? undefined : query,
        'graphql-transport-ws',
      );
      if (quietClients > 0) {
        await load.open(
          server.port,
          quietClients,
          () => subscriptionTo(['quiet']),
          'graphql-transport-ws',
        );
      }
      await sleep(1_500);
      upstream.publish({ names: published, everyMs });
      await sleep(1_500);
      load.reset();
      const before = server.cpuSeconds();
      await sleep(MEASURE_MS);
      const cpu = server.cpuSeconds() - before;
      const { frames, latenciesMs, wrong } = load.received;
      upstream.publish({ names: [], everyMs: 0 });
      const expected = (MEASURE_MS / everyMs) * together * clients;
      if (wrong > 0) throw new Error(`${kind}: ${wrong} sampled frames are wrong`);
      if (frames < 0.8 * expected)
        throw new Error(`${kind}: ${frames} frames, expected ${expected}`);
      latenciesMs.sort((a, b) => a - b);
      const p99Ms = latenciesMs[Math.floor(latenciesMs.length * 0.99)] ?? Number.NaN;
      return { value: (cpu / frames) * 1e6, p99Ms };
    } finally {
      upstream.publish({ names: [], everyMs: 0 });
      load.close();
      server.stop();
    }
  };
}

/** Resident memory of one idle connection with one subscription, in KB. */
async function idleMemory(kind: ServerKind, upstream: UpstreamProcess): Promise<Measurement> {
  const server = await ServerProcess.start(kind, upstream.url, ['c0']);
  const load = new Load();
  try {
    await sleep(1_500);
    const subscription = kind === 'relay' ? undefined : () => subscriptionTo(['c0']);
    // The first connections fill what is shared and what the heap keeps in reserve.
    await load.open(server.port, 500, subscription, 'graphql-transport-ws');
    await sleep(2_000);
    const before = server.residentBytes();
    await load.open(server.port, IDLE_CLIENTS, subscription, 'graphql-transport-ws');
    await sleep(8_000);
    return { value: (server.residentBytes() - before) / IDLE_CLIENTS / 1_024 };
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

/** Everything that is compared, the gateway first in each row. */
export const ROWS: readonly Row[] = [
  {
    title: 'One update at a time, 1,000 clients, one selection',
    unit: 'µs CPU a frame',
    servers: ['gateway', 'relay', 'yoga', 'mercurius'],
    measure: (kind, upstream) =>
      delivery({ together: 1, everyMs: kind === 'gateway' || kind === 'relay' ? 50 : 200 })(
        kind,
        upstream,
      ),
  },
  {
    title: 'Ten contracts in a tick, 1,000 clients, one selection',
    unit: 'µs CPU a frame',
    servers: ['gateway', 'relay', 'yoga', 'mercurius'],
    measure: (kind, upstream) =>
      delivery({ together: 10, everyMs: kind === 'gateway' || kind === 'relay' ? 500 : 2_000 })(
        kind,
        upstream,
      ),
  },
  {
    title: '1,000 clients with 1,000 different lists of contracts, one selection',
    unit: 'µs CPU a frame',
    servers: ['gateway'],
    measure: delivery({ together: 1, everyMs: 50, ownList: true }),
  },
  {
    title: '100 distinct selections, one update at a time',
    unit: 'µs CPU a frame',
    servers: ['gateway'],
    measure: delivery({ together: 1, everyMs: 50, selections: 100 }),
  },
  {
    title: '100 distinct selections, ten contracts in a tick',
    unit: 'µs CPU a frame',
    servers: ['gateway'],
    measure: delivery({ together: 10, everyMs: 500, selections: 100 }),
  },
  {
    title: '1,000 distinct selections, one update at a time',
    unit: 'µs CPU a frame',
    servers: ['gateway', 'yoga'],
    measure: (kind, upstream) =>
      delivery({ together: 1, everyMs: kind === 'gateway' ? 50 : 250, selections: 1_000 })(
        kind,
        upstream,
      ),
  },
  {
    title: 'Memory of an idle connection with one subscription, 5,000 of them',
    unit: 'KB',
    servers: ['gateway', 'relay', 'yoga', 'mercurius'],
    measure: idleMemory,
  },
  {
    title: 'A query for ten snapshots over HTTP',
    unit: 'µs CPU a query',
    servers: ['gateway', 'yoga', 'mercurius'],
    measure: snapshotQueries,
  },
  {
    title: 'An empty query over HTTP: { __typename }',
    unit: 'µs CPU a query',
    servers: ['gateway', 'yoga', 'mercurius'],
    measure: emptyQueries,
  },
  {
    title: 'p99 latency at 20,000 frames a second, 1,000 clients',
    unit: 'ms',
    servers: ['gateway', 'relay'],
    measure: latencyAt,
  },
  {
    title: 'Most frames a second with a p99 under 50 ms, 500 clients',
    unit: 'frames a second',
    servers: ['gateway', 'relay'],
    measure: capacity,
  },
  {
    title: 'One client of 200 stops for a minute: p99 of the others, times that before',
    unit: '×',
    servers: ['gateway'],
    measure: stoppedClient,
  },
  {
    title: '250 clients instead of 1,000, one update at a time',
    unit: 'µs CPU a frame',
    servers: ['gateway'],
    measure: delivery({ together: 1, everyMs: 50, clients: 250 }),
  },
  {
    title: '1,000 clients, and 4,000 subscriptions that receive nothing',
    unit: 'µs CPU a frame',
    servers: ['gateway'],
    measure: delivery({ together: 1, everyMs: 50, quietClients: 4_000 }),
  },
  {
    title: 'Messages of IME that nobody subscribes to',
    unit: 'µs CPU a message',
    servers: ['gateway'],
    measure: unheard,
  },
];
