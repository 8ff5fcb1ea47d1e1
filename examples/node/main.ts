/** Prints every change of the first three contracts, and goes on after a restart of the gateway. */
import { createClient } from 'graphql-ws';
import { WebSocket } from 'ws';

interface Contract {
  readonly id: string;
  readonly name: string | null;
  readonly status: string;
  readonly snapshot: { readonly aggregate: { readonly lastPrice: string | null } | null } | null;
}

const url = (process.env['GATEWAY_URL'] ?? 'http://127.0.0.1:4000').replace(/^http/, 'ws');
const token = process.env['GATEWAY_TOKEN'];
const client = createClient({
  url: `${url}/graphql`,
  webSocketImpl: WebSocket,
  retryAttempts: Number.POSITIVE_INFINITY,
  shouldRetry: () => true,
  ...(token ? { connectionParams: { authorization: `Bearer ${token}` } } : {}),
});

const names: string[] = [];
for await (const { data } of client.iterate<{ contracts: Contract[] }>({
  query: '{ contracts { name } }',
})) {
  names.push(...(data?.contracts ?? []).flatMap(({ name }) => (name === null ? [] : [name])));
}
const query = `subscription ($names: [String!]) {
  contractUpdates(names: $names) { id name status snapshot { aggregate { lastPrice } } }
}`;
const updates = client.iterate<{ contractUpdates: Contract }>({
  query,
  variables: { names: names.slice(0, 3) },
});
for await (const { data } of updates) {
  if (!data) continue;
  const { name, status, snapshot } = data.contractUpdates;
  process.stdout.write(`${name}: ${snapshot?.aggregate?.lastPrice ?? '–'} (${status})\n`);
}
