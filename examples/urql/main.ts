/** urql in a few lines: queries over HTTP, subscriptions over one WebSocket. */
import { Client, fetchExchange, subscriptionExchange } from '@urql/core';
import { createClient } from 'graphql-ws';
import { WebSocket } from 'ws';

const url = `${process.env['GATEWAY_URL'] ?? 'http://127.0.0.1:4000'}/graphql`;
const socket = createClient({ url: url.replace(/^http/, 'ws'), webSocketImpl: WebSocket });
const client = new Client({
  url,
  preferGetMethod: false,
  exchanges: [
    fetchExchange,
    subscriptionExchange({
      forwardSubscription: ({ query = '', variables }) => ({
        subscribe: (sink) => ({
          unsubscribe: socket.subscribe({ query, ...(variables ? { variables } : {}) }, sink),
        }),
      }),
    }),
  ],
});

const { data } = await client.query('{ contracts { name } }', {}).toPromise();
const name: string = data.contracts[0].name;
client
  .subscription(
    'subscription ($names: [String!]) { contractUpdates(names: $names) { name snapshot { aggregate { lastPrice } } } }',
    { names: [name] },
  )
  .subscribe((result) => process.stdout.write(`${JSON.stringify(result.data ?? result.error)}\n`));
