/**
 * `npm run watch -- NAME…`: contracts in a terminal, through a gateway. A table that is drawn anew in place; lines of
 * JSON, one for each change, where the output is no terminal.
 */
import { parseArgs } from 'node:util';
import { createClient } from 'graphql-ws';
import { WebSocket } from 'ws';
import { Table } from './table.ts';
import { SELECTION, type WatchedContract } from './watched-contract.ts';

const USAGE = `usage: npm run watch -- NAME… [--ids] [--all] [--url URL] [--token TOKEN]
  NAME…    contract names; with --ids contract IDs
  --all    every contract that the gateway holds, instead
  --url    the gateway, by default GATEWAY_URL or http://127.0.0.1:4000
  --token  an access token or key, by default GATEWAY_TOKEN
`;
const EXIT_USAGE = 2;
const EXIT_REFUSED = 1;
/** The close codes that coming again does not help against. */
const REFUSED = new Map([
  [4400, 'the gateway does not understand this'],
  [4403, 'the token is refused, or one is needed: --token'],
]);
const MOST_RETRY_MS = 5_000;
const TABLE_EVERY_MS = 200;

interface Watch {
  readonly query: string;
  readonly variables: Record<string, unknown>;
  readonly url: URL;
  readonly token: string | undefined;
}

function readWatch(isTable: boolean): Watch {
  const { positionals, values } = parseArgs({
    allowPositionals: true,
    options: {
      ids: { type: 'boolean', default: false },
      all: { type: 'boolean', default: false },
      url: { type: 'string' },
      token: { type: 'string' },
    },
  });
  if (values.all === positionals.length > 0) {
    throw new TypeError(
      `expected either contracts or --all, got ${values.all ? 'both' : 'neither'}`,
    );
  }
  const given = values.url ?? process.env['GATEWAY_URL'] ?? 'http://127.0.0.1:4000';
  if (!URL.canParse(given) || !/^(?:http|ws)s?:$/.test(new URL(given).protocol)) {
    throw new TypeError(`--url: expected http://host:port, got ${given}`);
  }
  const url = new URL(given);
  url.protocol = url.protocol.replace('http', 'ws');
  if (!url.pathname.endsWith('/graphql')) {
    url.pathname = `${url.pathname.replace(/\/+$/, '')}/graphql`;
  }
  const which = values.all ? 'all: true' : values.ids ? 'ids: $of' : 'names: $of';
  const declared = values.all ? '' : values.ids ? '($of: [ID!])' : '($of: [String!])';
  // A table needs the newest of each only, a program every change.
  const field = isTable
    ? `contractBatches(${which}, everyMs: ${TABLE_EVERY_MS})`
    : `contractUpdates(${which})`;
  return {
    query: `subscription${declared} { ${field} { ${SELECTION} } }`,
    variables: values.all ? {} : { of: positionals },
    url,
    token: values.token ?? process.env['GATEWAY_TOKEN'],
  };
}

function fail(code: number, message: string): never {
  process.stderr.write(`${message}\n`);
  process.exit(code);
}

/** Follows contracts until it is ended, through every loss of the connection. */
function watch(
  { query, variables, url, token }: Watch,
  told: (contracts: readonly WatchedContract[]) => void,
  noted: (note: string) => void,
): void {
  const client = createClient({
    url: url.href,
    webSocketImpl: WebSocket,
    lazy: false,
    ...(token !== undefined && { connectionParams: { authorization: `Bearer ${token}` } }),
    retryAttempts: Number.POSITIVE_INFINITY,
    retryWait: (retries) =>
      new Promise((resolve) => setTimeout(resolve, Math.min(MOST_RETRY_MS, 250 * 2 ** retries))),
    shouldRetry: (error) => !REFUSED.has((error as { code?: number }).code ?? 0),
    // Handled where the subscription ends.
    onNonLazyError: () => {},
    on: {
      connected: () => noted(''),
      closed: (event) => {
        const { code } = event as { code?: number };
        if (!REFUSED.has(code ?? 0)) noted(`${url.host} is not there; it is tried again`);
      },
      error: () => noted(`${url.host} is not there; it is tried again`),
    },
  });
  client.subscribe<Record<string, WatchedContract | readonly WatchedContract[]>>(
    { query, variables },
    {
      next({ data, errors }) {
        for (const { message } of errors ?? []) noted(message);
        for (const value of Object.values(data ?? {})) {
          if (value !== null) told([value].flat() as WatchedContract[]);
        }
      },
      error(error) {
        if (Array.isArray(error)) {
          fail(EXIT_REFUSED, error.map(({ message }) => message).join('\n'));
        }
        const { code = 0, reason } = error as { code?: number; reason?: string };
        fail(EXIT_REFUSED, REFUSED.get(code) ?? reason ?? String(error));
      },
      complete: () => fail(EXIT_REFUSED, 'IME knows none of these contracts'),
    },
  );
}

function drawTable(asked: Watch): void {
  const { stdout } = process;
  const table = new Table();
  const draw = () => stdout.write(table.draw(stdout.rows || 24, stdout.columns || 80));
  stdout.on('resize', draw);
  watch(
    asked,
    (contracts) => {
      for (const contract of contracts) table.set(contract);
      draw();
    },
    (note) => {
      table.note(note);
      draw();
    },
  );
}

function printLines(asked: Watch): void {
  const cursors = new Map<string, string>();
  let noted = '';
  watch(
    asked,
    (contracts) => {
      for (const contract of contracts) {
        // After a loss of the connection it begins with what is known, which may have been printed.
        if (cursors.get(contract.id) === contract.cursor) continue;
        cursors.set(contract.id, contract.cursor);
        process.stdout.write(`${JSON.stringify(contract)}\n`);
      }
    },
    (note) => {
      if (note !== '' && note !== noted) process.stderr.write(`${note}\n`);
      noted = note;
    },
  );
}

// Whoever has read enough closes the pipe.
process.stdout.on('error', () => process.exit(0));
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => process.exit(0));
try {
  const isTable = process.stdout.isTTY === true;
  const asked = readWatch(isTable);
  if (isTable) drawTable(asked);
  else printLines(asked);
} catch (error) {
  fail(EXIT_USAGE, `${(error as Error).message}\n${USAGE}`);
}
