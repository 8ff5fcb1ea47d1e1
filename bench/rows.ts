import { Agent, request } from 'node:http';
import { Load } from './load.ts';
import { type ServerKind, ServerProcess, type UpstreamProcess } from './servers.ts';

const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
const CLIENTS = 1_000;
const MEASURE_MS = 4_000;
const IDLE_CLIENTS = 5_000;
const QUERIES = 2_000;

const SELECTION = `id status snapshot { sequence timestamp
  bestLimits { level buyQuantity buyPrice sellQuantity sellPrice }
  aggregate { date time tradeCount totalVolume totalValue closingPrice lastPrice lowPrice highPrice openPrice previousClose }
  allowedPriceRange { minAllowedPrice maxAllowedPrice }
  contractInfo { openInterest openInterestChanges } }`;

/** One measurement: what it costs, and in what unit. */
export interface Measurement {
  readonly value: number;
  readonly p99Ms?: number;
}

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
}

/** CPU time of the whole server process for each delivered frame, in microseconds. */
function delivery({ together, everyMs, selections = 1, ownList = false }: Delivery) {
  return async (kind: ServerKind, upstream: UpstreamProcess): Promise<Measurement> => {
    const published = Array.from({ length: together }, (_, at) => `c${at}`);
    const quiet = ownList ? Array.from({ length: CLIENTS }, (_, at) => `q${at}`) : [];
    const server = await ServerProcess.start(kind, upstream.url, [...published, ...quiet]);
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
        CLIENTS,
        kind === 'relay' ? undefined : query,
        'graphql-transport-ws',
      );
      await sleep(1_500);
      upstream.publish({ names: published, everyMs });
      await sleep(1_500);
      load.reset();
      const before = server.cpuSeconds();
      await sleep(MEASURE_MS);
      const cpu = server.cpuSeconds() - before;
      const { frames, latenciesMs, wrong } = load.received;
      upstream.publish({ names: [], everyMs: 0 });
      const expected = (MEASURE_MS / everyMs) * together * CLIENTS;
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
    const query = () => ({
      query: `subscription ($names: [String!]) { contractUpdates(names: $names) { ${SELECTION} } }`,
      variables: { names: ['c0'] },
    });
    const subscription = kind === 'relay' ? undefined : query;
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

/** CPU time of a query for ten snapshots over HTTP, in microseconds. */
async function snapshotQueries(kind: ServerKind, upstream: UpstreamProcess): Promise<Measurement> {
  const names = Array.from({ length: 10 }, (_, at) => `c${at}`);
  const server = await ServerProcess.start(kind, upstream.url, names);
  const agent = new Agent({ keepAlive: true, maxSockets: 10 });
  try {
    await sleep(1_500);
    upstream.publish({ names, everyMs: 200 });
    await sleep(1_000);
    const body = JSON.stringify({
      query: `query ($names: [String!]) { contracts(names: $names) { ${SELECTION} } }`,
      variables: { names },
    });
    const ask = () =>
      new Promise<string>((resolve, reject) => {
        const asked = request(
          {
            port: server.port,
            path: '/graphql',
            method: 'POST',
            agent,
            headers: {
              'content-type': 'application/json',
              'content-length': Buffer.byteLength(body),
            },
          },
          (response) => {
            let text = '';
            response.on('data', (chunk) => {
              text += chunk;
            });
            response.on('end', () => resolve(text));
          },
        );
        asked.on('error', reject);
        asked.end(body);
      });
    const askMany = async (count: number) => {
      let left = count;
      const ten = Array.from({ length: 10 }, async () => {
        while (left-- > 0) {
          const text = await ask();
          if (!text.includes('"lastPrice"') || text.includes('"errors"'))
            throw new Error(text.slice(0, 200));
        }
      });
      await Promise.all(ten);
    };
    await askMany(500);
    const before = server.cpuSeconds();
    await askMany(QUERIES);
    return { value: ((server.cpuSeconds() - before) / QUERIES) * 1e6 };
  } finally {
    upstream.publish({ names: [], everyMs: 0 });
    agent.destroy();
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
];
