import { Agent, request } from 'node:http';
import { type Measurement, SELECTION, sleep } from './measurement.ts';
import { type ServerKind, ServerProcess, type UpstreamProcess } from './servers.ts';

const QUERIES = 2_000;
const AT_ONCE = 10;

/** CPU time of a query for ten snapshots over HTTP, in microseconds. */
export function snapshotQueries(kind: ServerKind, upstream: UpstreamProcess): Promise<Measurement> {
  const names = Array.from({ length: 10 }, (_, at) => `c${at}`);
  const query = `query ($names: [String!]) { contracts(names: $names) { ${SELECTION} } }`;
  return queries(kind, upstream, { query, variables: { names } }, '"lastPrice"');
}

/** CPU time of a query that asks for nothing, in microseconds: what HTTP and GraphQL cost by themselves. */
export function emptyQueries(kind: ServerKind, upstream: UpstreamProcess): Promise<Measurement> {
  return queries(kind, upstream, { query: '{ __typename }' }, '"Query"');
}

async function queries(
  kind: ServerKind,
  upstream: UpstreamProcess,
  asked: object,
  expected: string,
): Promise<Measurement> {
  const names = Array.from({ length: 10 }, (_, at) => `c${at}`);
  const server = await ServerProcess.start(kind, upstream.url, names);
  const agent = new Agent({ keepAlive: true, maxSockets: AT_ONCE });
  try {
    await sleep(1_500);
    upstream.publish({ names, everyMs: 200 });
    await sleep(1_000);
    const body = JSON.stringify(asked);
    const askMany = async (count: number) => {
      let left = count;
      const askers = Array.from({ length: AT_ONCE }, async () => {
        while (left-- > 0) {
          const text = await post(server.port, agent, body);
          if (!text.includes(expected) || text.includes('"errors"'))
            throw new Error(text.slice(0, 200));
        }
      });
      await Promise.all(askers);
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

function post(port: number, agent: Agent, body: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const headers = {
      'content-type': 'application/json',
      'content-length': Buffer.byteLength(body),
    };
    const options = { port, path: '/graphql', method: 'POST', agent, headers };
    const asked = request(options, (response) => {
      let text = '';
      response.on('data', (chunk) => {
        text += chunk;
      });
      response.on('end', () => resolve(text));
    });
    asked.on('error', reject);
    asked.end(body);
  });
}
