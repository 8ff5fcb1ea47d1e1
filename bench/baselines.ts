/**
 * What the gateway is compared with, each a complete gateway built from published packages as their own
 * documentation shows: plain Yoga with graphql-ws and createPubSub, Mercurius, and a relay that knows no
 * GraphQL at all. `BASELINE` names the one to run, `UPSTREAM` its upstream, `NAMES` its contracts.
 */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import Fastify from 'fastify';
import { useServer } from 'graphql-ws/use/ws';
import { createPubSub, createSchema, createYoga, Repeater } from 'graphql-yoga';
import mercurius from 'mercurius';
import { WebSocket, WebSocketServer } from 'ws';

interface Message {
  readonly contractName: string;
  readonly timestamp: string;
  readonly data: Record<string, Record<string, Record<string, unknown> & unknown>>;
}

const upstreamUrl = process.env['UPSTREAM'] ?? '';
const names = (process.env['NAMES'] ?? '').split(',');
const latest = new Map<string, object>();

const typeDefs = /* GraphQL */ `
  type Query { contracts(names: [String!]): [Contract]! }
  type Subscription { contractUpdates(names: [String!]): Contract! }
  type Contract { id: ID! status: String! snapshot: Snapshot }
  type Snapshot { sequence: String! timestamp: String! bestLimits: [BestLimit!]! aggregate: Aggregate allowedPriceRange: AllowedPriceRange contractInfo: ContractInfo }
  type BestLimit { level: Int! buyQuantity: String buyPrice: String sellQuantity: String sellPrice: String }
  type Aggregate { date: String time: String tradeCount: String totalVolume: String totalValue: String closingPrice: String lastPrice: String lowPrice: String highPrice: String openPrice: String previousClose: String }
  type AllowedPriceRange { minAllowedPrice: String maxAllowedPrice: String }
  type ContractInfo { openInterest: String openInterestChanges: String }
`;
const query = {
  contracts: (_: unknown, args: { names: string[] }) => args.names.map((name) => latest.get(name)),
};

let sequence = 0;
const text = (value: unknown) => (value === undefined || value === null ? null : String(value));

/** The contract as the GraphQL types name it. */
function toContract({ contractName, timestamp, data }: Message): object {
  const {
    BestLimit = {},
    Aggregate: a = {},
    AllowedPriceRange: range = {},
    ContractInfo: info = {},
  } = data;
  const contract = {
    id: `name:${contractName}`,
    status: 'LIVE',
    snapshot: {
      sequence: String(++sequence),
      timestamp,
      bestLimits: Object.entries(BestLimit).map(([level, limit]) => ({
        level: Number(level),
        buyQuantity: text(limit['buy_quantity']),
        buyPrice: text(limit['buy_price']),
        sellQuantity: text(limit['sell_quantity']),
        sellPrice: text(limit['sell_price']),
      })),
      aggregate: {
        date: text(a['date']),
        time: text(a['time']),
        tradeCount: text(a['trade_count']),
        totalVolume: text(a['total_volume']),
        totalValue: text(a['total_value']),
        closingPrice: text(a['closing_price']),
        lastPrice: text(a['last_price']),
        lowPrice: text(a['low_price']),
        highPrice: text(a['high_price']),
        openPrice: text(a['open_price']),
        previousClose: text(a['previous_close']),
      },
      allowedPriceRange: {
        minAllowedPrice: text(range['minAllowedPrice']),
        maxAllowedPrice: text(range['maxAllowedPrice']),
      },
      contractInfo: {
        openInterest: text(info['open_interest']),
        openInterestChanges: text(info['open_interest_changes']),
      },
    },
  };
  latest.set(contractName, contract);
  return contract;
}

/** Receives every message of the upstream, on as many sockets as their URLs allow. */
function receive(onMessage: (data: Buffer) => void): void {
  for (let at = 0; at < names.length; at += 100) {
    const search = names
      .slice(at, at + 100)
      .map((name) => `contract_name=${encodeURIComponent(name)}`);
    const socket = new WebSocket(
      `${upstreamUrl}/live/data/websocket/contract/name?${search.join('&')}`,
    );
    socket.on('message', (data) => onMessage(data as Buffer));
  }
}

async function yoga(): Promise<number> {
  const pubSub = createPubSub<{ contract: [name: string, contract: object] }>();
  const schema = createSchema({
    typeDefs,
    resolvers: {
      Query: query,
      Subscription: {
        contractUpdates: {
          subscribe: (_: unknown, args: { names: string[] }) =>
            Repeater.merge(args.names.map((name) => pubSub.subscribe('contract', name))),
          resolve: (contract: unknown) => contract,
        },
      },
    },
  });
  const served = createYoga({ schema, logging: false });
  const http = createServer(served);
  const webSockets = new WebSocketServer({ server: http, path: '/graphql' });
  useServer(
    {
      execute: (args) => (args.rootValue as { execute: (a: unknown) => never }).execute(args),
      subscribe: (args) => (args.rootValue as { subscribe: (a: unknown) => never }).subscribe(args),
      onSubscribe: async (ctx, _id, params) => {
        const {
          schema: of,
          execute,
          subscribe,
          contextFactory,
          parse,
          validate,
        } = served.getEnveloped({
          ...ctx,
          req: ctx.extra.request,
          socket: ctx.extra.socket,
          params,
        });
        const args = {
          schema: of,
          operationName: params.operationName,
          document: parse(params.query),
          variableValues: params.variables,
          contextValue: await contextFactory(),
          rootValue: { execute, subscribe },
        };
        const errors = validate(args.schema, args.document);
        return errors.length ? errors : args;
      },
    },
    webSockets,
  );
  receive((data) => {
    const message = JSON.parse(String(data)) as Message;
    pubSub.publish('contract', message.contractName, toContract(message));
  });
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));
  return (http.address() as AddressInfo).port;
}

async function mercuriusServer(): Promise<number> {
  const app = Fastify();
  await app.register(mercurius, {
    schema: typeDefs,
    jit: 1,
    subscription: true,
    resolvers: {
      Query: query,
      Subscription: {
        contractUpdates: {
          subscribe: async (
            _root: unknown,
            args: { names: string[] },
            { pubsub }: { pubsub: { subscribe(topics: string[]): unknown } },
          ) => pubsub.subscribe(args.names),
        },
      },
    } as never,
  });
  await app.listen({ port: 0, host: '127.0.0.1' });
  receive((data) => {
    const message = JSON.parse(String(data)) as Message;
    app.graphql.pubsub.publish({
      topic: message.contractName,
      payload: { contractUpdates: toContract(message) },
    } as never);
  });
  return (app.server.address() as AddressInfo).port;
}

async function relay(): Promise<number> {
  const http = createServer((_request, response) => response.end('{}'));
  const webSockets = new WebSocketServer({ server: http });
  receive((data) => {
    for (const client of webSockets.clients) client.send(data, { binary: false });
  });
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));
  return (http.address() as AddressInfo).port;
}

const servers: Record<string, () => Promise<number>> = { yoga, mercurius: mercuriusServer, relay };
const port = await servers[process.env['BASELINE'] ?? 'relay']?.();
process.send?.({ port });
process.on('disconnect', () => process.exit());
