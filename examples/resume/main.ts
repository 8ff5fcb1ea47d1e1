/** Prints every contract's changes in bundles; after a lost connection only what has changed meanwhile. */
import { createClient } from 'graphql-ws';
import { WebSocket } from 'ws';
import { resuming } from './resuming.ts';

interface Bundle {
  readonly contractBatches: readonly {
    readonly id: string;
    readonly status: string;
    readonly snapshot: { readonly lastTradePrice: string | null } | null;
  }[];
}

const url = (process.env['GATEWAY_URL'] ?? 'http://127.0.0.1:4000').replace(/^http/, 'ws');
const token = process.env['GATEWAY_TOKEN'];
const client = resuming(
  createClient({
    url: `${url}/graphql`,
    webSocketImpl: WebSocket,
    retryAttempts: Number.POSITIVE_INFINITY,
    shouldRetry: () => true,
    ...(token ? { connectionParams: { authorization: `Bearer ${token}` } } : {}),
  }),
);
const query = `subscription ($since: Cursor) {
  contractBatches(all: true, everyMs: 250, since: $since) {
    id cursor status snapshot { lastTradePrice }
  }
}`;
client.subscribe<Bundle>(
  { query },
  {
    next: ({ data }) => {
      for (const { id, status, snapshot } of data?.contractBatches ?? []) {
        process.stdout.write(`${id}: ${snapshot?.lastTradePrice ?? '–'} (${status})\n`);
      }
    },
    error: (error) => {
      process.stderr.write(`${JSON.stringify(error)}\n`);
      process.exitCode = 1;
    },
    complete: () => {},
  },
);
