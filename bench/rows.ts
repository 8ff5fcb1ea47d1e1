import { capacity, latencyAt, stoppedClient } from './capacity.ts';
import { Load } from './load.ts';
import { type Measurement, p99, SELECTION, sleep, subscriptionTo } from './measurement.ts';
import { emptyQueries, snapshotQueries } from './queries.ts';
import { type ServerKind, ServerProcess, type UpstreamProcess } from './servers.ts';

const CLIENTS = 1_000;
const MEASURE_MS = 5_000;
const IDLE_CLIENTS = 5_000;

/** A delivery is measured as it is after a minute's work: so many messages come before the first client. */
const WARM_UP_MESSAGES = 1_000;
const WARM_UP_EVERY_MS = 4;
/** A row of the comparison. */
export interface Row {
  readonly title: string;
  readonly unit: string;
  readonly servers: readonly ServerKind[];
  readonly measure: (kind: ServerKind, upstream: UpstreamProcess) => Promise<Measurement>;
  /** The title of the row whose figures the gateway's are compared with besides. */
  readonly against?: string;
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
  /** Whether what the same messages cost without a client is taken off. */
  readonly beyondMessages?: boolean;
}

/** CPU time of the whole server process for each delivered frame, in microseconds. */
function delivery(wish: Delivery) {
  const { together, everyMs, selections = 1, ownList = false, beyondMessages = false } = wish;
  const { clients = CLIENTS, quietClients = 0 } = wish;
  return async (kind: ServerKind, upstream: UpstreamProcess): Promise<Measurement> => {
    const published = Array.from({ length: together }, (_, at) => `c${at}`);
    const quiet = ownList ? Array.from({ length: CLIENTS }, (_, at) => `q${at}`) : [];
    const server = await ServerProcess.start(kind, upstream.url, [...published, ...quiet, 'quiet']);
    const load = new Load();
    const used = async (ms: number) => {
      const before = server.cpuSeconds();
      await sleep(ms);
      return server.cpuSeconds() - before;
    };
    try {
      // A gateway takes a moment to have all its contracts carried.
      await sleep(ownList ? 6_000 : 1_500);
      upstream.publish({ names: published, everyMs: WARM_UP_EVERY_MS * together });
      await sleep(WARM_UP_MESSAGES * WARM_UP_EVERY_MS);
      upstream.publish({ names: published, everyMs });
      const cpuOfMessages = beyondMessages ? await used(MEASURE_MS) : 0;
      upstream.publish({ names: [], everyMs: 0 });
      const query = (client: number) => {
        const variant = client % selections;
        const names = [...published, ...(ownList ? [quiet[client]] : [])];
        const extra = variant === 0 ? '' : `v${variant}: status`;
        return {
          query: `subscription ($names: [String!]) { contractUpdates(names: $names) { ${SELECTION} ${extra} } }`,
          variables: { names },
        };
      };
      const asked = kind === 'relay' ? undefined : query;
      await load.open(server.port, clients, asked, 'graphql-transport-ws');
      const none = () => subscriptionTo(['quiet']);
      await load.open(server.port, quietClients, none, 'graphql-transport-ws');
      await sleep(1_500);
      upstream.publish({ names: published, everyMs });
      await sleep(1_500);
      load.reset();
      const cpu = (await used(MEASURE_MS)) - cpuOfMessages;
      const { frames, latenciesMs, wrong } = load.received;
      const expected = (MEASURE_MS / everyMs) * together * clients;
      if (wrong > 0) throw new Error(`${kind}: ${wrong} sampled frames are wrong`);
      if (frames < 0.8 * expected)
        throw new Error(`${kind}: ${frames} frames, expected ${expected}`);
      return { value: (cpu / frames) * 1e6, p99Ms: p99(latenciesMs) };
    } finally {
      upstream.publish({ names: [], everyMs: 0 });
      load.close();
      server.stop();
    }
  };
}

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

const ONE = 'One update at a time, 1,000 clients, one selection';
const TEN = 'Ten contracts in a tick, 1,000 clients, one selection';
const GROWTH = '1,000 clients, one update at a time, less what the messages cost without a client';

/** Everything that is compared, the gateway first in each row. */
export const ROWS: readonly Row[] = [
  {
    title: ONE,
    unit: 'µs CPU a frame',
    servers: ['gateway', 'relay', 'yoga', 'mercurius'],
    measure: (kind, upstream) =>
      delivery({ together: 1, everyMs: kind === 'gateway' || kind === 'relay' ? 50 : 200 })(
        kind,
        upstream,
      ),
  },
  {
    title: TEN,
    unit: 'µs CPU a frame',
    servers: ['gateway', 'relay', 'yoga', 'mercurius'],
    measure: (kind, upstream) =>
      delivery({ together: 10, everyMs: kind === 'gateway' || kind === 'relay' ? 100 : 2_000 })(
        kind,
        upstream,
      ),
  },
  {
    title: '1,000 clients with 1,000 different lists of contracts, one selection',
    unit: 'µs CPU a frame',
    servers: ['gateway'],
    measure: delivery({ together: 1, everyMs: 50, ownList: true }),
    against: ONE,
  },
  {
    title: '100 distinct selections, one update at a time',
    unit: 'µs CPU a frame',
    servers: ['gateway'],
    measure: delivery({ together: 1, everyMs: 50, selections: 100 }),
    against: ONE,
  },
  {
    title: '100 distinct selections, ten contracts in a tick',
    unit: 'µs CPU a frame',
    servers: ['gateway'],
    measure: delivery({ together: 10, everyMs: 100, selections: 100 }),
    against: TEN,
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
    title: GROWTH,
    unit: 'µs CPU a frame',
    servers: ['gateway'],
    measure: delivery({ together: 1, everyMs: 50, beyondMessages: true }),
  },
  {
    title: '250 clients, one update at a time, less what the messages cost without a client',
    unit: 'µs CPU a frame',
    servers: ['gateway'],
    measure: delivery({ together: 1, everyMs: 50, beyondMessages: true, clients: 250 }),
    against: GROWTH,
  },
  {
    title: '2,000 clients, one update at a time, less what the messages cost without a client',
    unit: 'µs CPU a frame',
    servers: ['gateway'],
    measure: delivery({ together: 1, everyMs: 50, beyondMessages: true, clients: 2_000 }),
    against: GROWTH,
  },
  {
    title: '1,000 clients, and 4,000 subscriptions that receive nothing',
    unit: 'µs CPU a frame',
    servers: ['gateway'],
    measure: delivery({ together: 1, everyMs: 50, quietClients: 4_000 }),
    against: ONE,
  },
  {
    title: 'Messages of IME that nobody subscribes to',
    unit: 'µs CPU a message',
    servers: ['gateway'],
    measure: unheard,
  },
];
