import { Agent, request } from 'node:http';
import { SELECTION, sleep } from './measurement.ts';
import { alternating, outcomeOf, type Row } from './row.ts';
import { type ServerKind, ServerProcess, type UpstreamProcess } from './servers.ts';

const NAMES = Array.from({ length: 10 }, (_, at) => `c${at}`);
const KINDS: readonly ServerKind[] = ['gateway', 'yoga', 'mercurius'];
const QUERIES_OF_A_WINDOW = 2_000;
const WINDOWS = 12;
/** The first windows are not counted: what answers is compiled in them. */
const UNCOUNTED_WINDOWS = 4;
const AT_ONCE = 10;

/** The rows about what a query over HTTP costs. */
export const QUERIES: readonly Row[] = [
  queries('A query for ten snapshots over HTTP', '"lastPrice"', {
    query: `query ($names: [String!]) { contracts(names: $names) { ${SELECTION} } }`,
    variables: { names: NAMES },
  }),
  // What HTTP and GraphQL cost by themselves.
  queries('An empty query over HTTP: { __typename }', '"Query"', { query: '{ __typename }' }),
];

/** @param expected what is in every answer */
function queries(title: string, expected: string, asked: object): Row {
  const body = JSON.stringify(asked);
  return alternating(title, 'µs CPU a query', KINDS, async (kinds, upstream, report) => {
    const askers = new Map<ServerKind, Asker>();
    try {
      for (const kind of kinds) {
        const asker = await outcomeOf(Asker.start(kind, upstream));
        if (asker instanceof Error) report(kind, asker);
        else askers.set(kind, asker);
      }
      upstream.publish({ names: NAMES, everyMs: 200 });
      await sleep(1_000);
      const cpuSeconds = new Map<ServerKind, number>();
      for (let window = 0; window < WINDOWS; window++) {
        for (const [kind, asker] of askers) {
          const spent = await outcomeOf(asker.ask(body, expected));
          if (spent instanceof Error) {
            report(kind, spent);
            askers.delete(kind);
            cpuSeconds.delete(kind);
            asker.close();
          } else if (window >= UNCOUNTED_WINDOWS) {
            cpuSeconds.set(kind, (cpuSeconds.get(kind) ?? 0) + spent);
          }
        }
      }
      const asked = (WINDOWS - UNCOUNTED_WINDOWS) * QUERIES_OF_A_WINDOW;
      for (const [kind, spent] of cpuSeconds) report(kind, { value: (spent / asked) * 1e6 });
    } finally {
      upstream.publish({ names: [], everyMs: 0 });
      for (const asker of askers.values()) asker.close();
    }
  });
}

/** A server, and a few connections that ask it. */
class Asker {
  readonly #agent = new Agent({ keepAlive: true, maxSockets: AT_ONCE });
  readonly #server: ServerProcess;

  private constructor(server: ServerProcess) {
    this.#server = server;
  }

  static async start(kind: ServerKind, upstream: UpstreamProcess): Promise<Asker> {
    return new Asker(await ServerProcess.start(kind, upstream.url, NAMES));
  }

  /** One window. @returns the server's CPU time, in seconds */
  async ask(body: string, expected: string): Promise<number> {
    const before = this.#server.cpuSeconds();
    let left = QUERIES_OF_A_WINDOW;
    const askers = Array.from({ length: AT_ONCE }, async () => {
      while (left-- > 0) {
        const text = await post(this.#server.port, this.#agent, body);
        if (!text.includes(expected) || text.includes('"errors"')) {
          throw new Error(text.slice(0, 200));
        }
      }
    });
    await Promise.all(askers);
    return this.#server.cpuSeconds() - before;
  }

  close(): void {
    this.#agent.destroy();
    this.#server.stop();
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
