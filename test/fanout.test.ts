import { connect } from 'node:net';
import fc from 'fast-check';
import {
  execute,
  type GraphQLError,
  type GraphQLObjectType,
  isObjectType,
  parse,
  validate,
} from 'graphql';
import { describe, expect, onTestFinished, test } from 'vitest';
import { WebSocket } from 'ws';
import { ContractState } from '../src/hub/contract-state.ts';
import type { BatchProjection } from '../src/render/batch-projection.ts';
import { Projections } from '../src/render/projections.ts';
import type { GatewayContext } from '../src/schema/resolver-context.ts';
import { schema } from '../src/schema/schema.ts';
import {
  ask,
  type ContractUpdate,
  Inbox,
  pricesOf,
  sseClient,
  UPDATES,
  wsClient,
} from './kit/clients.ts';
import { marketState, names, TEHRAN, TestExchange, testGateway, until } from './kit/gateway.ts';
import { projectionFor } from './kit/projection.ts';

const state = new ContractState('name:نیم\u200cسکه "x"', {
  status: 'LIVE',
  statusSinceMs: 1_700_000_000_000,
  statusReason: null,
  statusCode: null,
  position: { epoch: 'e', offset: 1 },
  snapshot: {
    sequence: 7,
    timestamp: '2026-05-23T15:10:00.000001',
    receivedAtMs: 1_700_000_000_001,
    raw: '{}',
    ...marketState('12345678901234567891.50'),
  },
});
const context = { zone: TEHRAN } as GatewayContext;
const projections = new Projections(schema, (error) => error as GraphQLError, context);

function projectionOf(
  source: string,
  variables: Record<string, unknown> = {},
  operationName?: string,
) {
  const document = parse(source);
  expect(validate(schema, document)).toEqual([]);
  return projectionFor(projections, { document, operationName, variables });
}

function byGraphqlJs(source: string, rootValue: unknown, variables: Record<string, unknown> = {}) {
  const args = {
    schema,
    document: parse(source),
    rootValue,
    contextValue: context,
    variableValues: variables,
  };
  return JSON.stringify(execute(args));
}

/** A random selection on a type, fields, aliases, arguments, fragments and directives. */
function selection(type: GraphQLObjectType, depth: number): fc.Arbitrary<string> {
  const field = fc.constantFrom(...Object.values(type.getFields())).chain((definition) => {
    const below = schema.getType(String(definition.type).replace(/[[\]!]/g, ''));
    const text = fc.record({
      alias: fc.constantFrom('', '', 'a: ', 'b: ', 'c: '),
      directive: fc.constantFrom(
        '',
        '',
        ' @include(if: $yes)',
        ' @skip(if: $yes)',
        ' @skip(if: $no)',
      ),
      args: fc.constantFrom(
        ...(definition.name === 'bestLimits' ? ['', '(depth: 1)', '(depth: $depth)'] : ['']),
      ),
      below: isObjectType(below) ? selection(below, depth - 1) : fc.constant(''),
    });
    // An alias belongs to one field and its arguments, so that selections never conflict.
    return text.map(({ alias, directive, args, below: set }) => {
      const name =
        alias || args ? `${alias.slice(0, 1)}_${definition.name}${args.replace(/\W/g, '')}: ` : '';
      return `${name}${definition.name}${args}${directive}${set}`;
    });
  });
  const leaf = fc.constantFrom(
    '__typename',
    ...Object.values(type.getFields())
      .filter(({ type: of }) => !isObjectType(schema.getType(String(of).replace(/[[\]!]/g, ''))))
      .map(({ name }) => name),
  );
  const item = depth <= 0 ? leaf : field;
  const wrapped = fc
    .tuple(item, fc.constantFrom('', '', '...on', '...'))
    .map(([text, wrap]) =>
      wrap === ''
        ? text
        : wrap === '...on'
          ? `... on ${type.name} { ${text} }`
          : `... @include(if: $yes) { ${text} }`,
    );
  return fc
    .array(wrapped, { minLength: 1, maxLength: 6 })
    .map((items) => ` { __typename ${items.join(' ')} }`);
}

function batchesOf(source: string, variables: Record<string, unknown> = {}): BatchProjection {
  const operation = { document: parse(source), operationName: undefined, variables };
  return projectionFor(projections, operation) as BatchProjection;
}

describe('a projection', () => {
  const contractType = schema.getType('Contract') as GraphQLObjectType;

  test('renders any selection byte for byte as graphql-js does', () => {
    const partial = new ContractState(state.key, {
      ...state,
      status: 'STALE',
      statusReason: 'lost "x"\u2028',
      snapshot: state.snapshot && { ...state.snapshot, bestLimits: null, aggregate: null },
    });
    const pending = new ContractState(state.key, { ...state, status: 'PENDING', snapshot: null });
    const head = 'subscription ($yes: Boolean! = true, $no: Boolean! = false, $depth: Int) ';
    let compared = 0;
    fc.assert(
      fc.property(selection(contractType, 3), fc.option(fc.nat(4), { nil: null }), (set, depth) => {
        const source = `${head}{ u: contractUpdates(ids: [1])${set} }`;
        // Some pieces may ask one field with two argument values under one name: no valid document.
        if (validate(schema, parse(source)).some(({ message }) => message.includes('conflict')))
          return;
        // A variable that is declared and not used is no fault of the selection.
        const projection = projectionFor(projections, {
          document: parse(source),
          operationName: undefined,
          variables: { depth },
        });
        for (const one of [state, partial, pending]) {
          expect(projection.payload(one).toString('utf8')).toBe(
            byGraphqlJs(source, one, { depth }),
          );
        }
        const batched = source.replace('contractUpdates', 'contractBatches');
        const batches = batchesOf(batched, { depth });
        const states = [state, partial, pending].slice(0, 1 + (compared % 3));
        expect(batches.bundle(states).toString()).toBe(byGraphqlJs(batched, states, { depth }));
        compared++;
      }),
      { numRuns: 400 },
    );
    expect(compared).toBeGreaterThan(200);
  });

  test('is shared whatever the contracts, names, whitespace, variables and fragments', () => {
    const one = projectionOf(
      'subscription A { contractUpdates(names: ["x"]) { id snapshot { bestLimits(depth: 2) { level } } } }',
    );
    const same = [
      projectionOf(
        'subscription B($n: [ID!]) {\n contractUpdates(ids: $n, maxUpdatesPerSecond: 1) { id, snapshot { bestLimits(depth: 2) { level } } } }',
        { n: ['7'] },
      ),
      projectionOf(
        'subscription ($d: Int) { contractUpdates(ids: [1]) { ...F } } fragment F on Contract { id snapshot { bestLimits(depth: $d) { level } } }',
        { d: 2 },
      ),
      projectionOf(
        'subscription ($no: Boolean!) { contractUpdates(ids: [1]) { id ... on Contract { snapshot { bestLimits(depth: 2) { level } } } name @include(if: $no) } }',
        { no: false },
      ),
      projectionOf(
        'subscription { contractUpdates(ids: [1]) { id id snapshot { bestLimits(depth: 2) { level } } snapshot { bestLimits(depth: 2) { level } } } }',
      ),
    ];
    for (const other of same) expect(other).toBe(one);
    const before = projections.renderings;
    const fresh = new ContractState(state.key, state);
    expect(one.payload(fresh)).toBe(one.payload(fresh));
    expect(projections.renderings - before).toBe(1);
  });

  test('is not shared where the answer differs', () => {
    const all = [
      'subscription { contractUpdates(ids: [1]) { id } }',
      'subscription { x: contractUpdates(ids: [1]) { id } }',
      'subscription { contractUpdates(ids: [1]) { y: id } }',
      'subscription { contractUpdates(ids: [1]) { id name } }',
      'subscription { contractUpdates(ids: [1]) { name id } }',
      'subscription { contractUpdates(ids: [1]) { snapshot { bestLimits(depth: 1) { level } } } }',
      'subscription { contractUpdates(ids: [1]) { snapshot { bestLimits(depth: 2) { level } } } }',
      'subscription { contractUpdates(ids: [1]) { snapshot { bestLimits { level } } } }',
    ].map((source) => projectionOf(source));
    expect(new Set(all).size).toBe(all.length);
  });

  test('says an error inside of it as the specification wants', () => {
    const source =
      'subscription { contractUpdates(ids: [1]) { id snapshot { bestLimits(depth: -1) { level } } } }';
    const { data, errors } = JSON.parse(projectionOf(source).payload(state).toString('utf8'));
    expect(data).toEqual({ contractUpdates: { id: state.key, snapshot: null } });
    expect(errors[0]).toMatchObject({
      path: ['contractUpdates', 'snapshot', 'bestLimits'],
      extensions: { code: 'BAD_USER_INPUT' },
    });
    const batches = batchesOf(source.replace('contractUpdates', 'contractBatches'));
    const bundle = JSON.parse(batches.bundle([state, state]).toString());
    expect(bundle.data.contractBatches).toEqual(Array(2).fill({ id: state.key, snapshot: null }));
    expect(bundle.errors[1].path[1]).toBe(1);
    expect(batches.reads(state)).toContain('BAD_USER_INPUT');
  });
});

/** A WebSocket client that speaks the protocol by hand, for what no library does. */
async function rawClient(
  url: string,
  options = {},
): Promise<{ socket: WebSocket; texts: string[] }> {
  const socket = new WebSocket(
    `${url.replace('http', 'ws')}/graphql`,
    'graphql-transport-ws',
    options,
  );
  onTestFinished(() => socket.terminate());
  const texts: string[] = [];
  socket.on('message', (data) => texts.push(String(data)));
  await new Promise((resolve) => socket.once('open', resolve));
  socket.send('{"type":"connection_init"}');
  await until(
    () => texts.some((text) => text.includes('connection_ack')),
    'the connection is acknowledged',
  );
  return { socket, texts };
}

describe.each(['off', 'on'])('frames, with compression %s', (compression) => {
  test('are right for any id and for payloads of any length', async () => {
    const market = await new TestExchange().listen();
    const gateway = await testGateway({
      IME_URL: market.url,
      WS_COMPRESSION: compression,
      MAX_ALIASES: '2000',
      MAX_TOKENS: '20000',
    });
    const { socket, texts } = await rawClient(gateway.url);
    expect(socket.extensions).toBe(compression === 'on' ? 'permessage-deflate' : '');
    const aliases = (count: number) =>
      Array.from(
        { length: count },
        (_, place) => `a${place}: snapshot { timestamp aggregate { lastPrice } }`,
      ).join(' ');
    const ids: Record<string, number> = {
      '1': 0,
      'سکه "\\': 1,
      [`x${'y'.repeat(255)}`]: 20,
      '😀\u0001': 1_500,
    };
    for (const [id, count] of Object.entries(ids)) {
      const query = `subscription { contractUpdates(names: ["A"]) { id ${aliases(count)} } }`;
      socket.send(JSON.stringify({ id, type: 'subscribe', payload: { query } }));
    }
    await market.carries(names('A'));
    await until(() => gateway.report().subscriptions === 4, 'all are subscribed');
    for (let price = 1; price <= 5; price++) market.publish('name:A', price);
    const nexts = () => texts.map((text) => JSON.parse(text)).filter(({ type }) => type === 'next');
    await until(() => nexts().length === 4 * 6, 'every state has come to each');
    for (const [id, count] of Object.entries(ids)) {
      const mine = nexts().filter((message) => message.id === id);
      expect(mine).toHaveLength(6);
      for (const { payload } of mine) {
        expect(payload.data.contractUpdates.id).toBe('name:A');
        expect(Object.keys(payload.data.contractUpdates)).toHaveLength(count + 1);
      }
    }
    expect(Math.max(...texts.map((text) => text.length))).toBeGreaterThan(65_536);
    socket.send('{"type":"ping"}');
    await until(() => texts.at(-1) === '{"type":"pong"}', 'nothing more comes before the pong');
  });
});

describe('a slow reader', () => {
  /** A client that stops reading at TCP. */
  async function stoppedReader(url: string, contracts: string[]) {
    const { socket, texts } = await rawClient(url);
    const query =
      'subscription ($n: [String!]) { contractUpdates(names: $n) { id snapshot { sequence bestLimits { level buyPrice sellPrice } } } }';
    socket.send(
      JSON.stringify({
        id: '1',
        type: 'subscribe',
        payload: { query, variables: { n: contracts } },
      }),
    );
    await until(() => texts.length > contracts.length, 'the first states have come');
    socket.pause();
    return { socket, texts };
  }

  test('gets the newest state of each contract when it reads again, and delays nobody', async () => {
    const market = await new TestExchange().listen();
    const gateway = await testGateway({ IME_URL: market.url, CLIENT_BUFFER_BYTES: '16384' });
    const contracts = ['A', 'B', 'C'];
    const quick = new Inbox<ContractUpdate>(wsClient(gateway), UPDATES, { names: contracts });
    await market.carries(names(...contracts));
    const { socket, texts } = await stoppedReader(gateway.url, contracts);
    const rounds = 8_000;
    for (let round = 1; round <= rounds; round++) {
      for (const key of names(...contracts)) market.publish(key, round);
      if (round % 20 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    await quick.until(
      (box) => pricesOf(box, 'name:C').at(-1) === String(rounds),
      'the quick one has all',
      30_000,
    );
    for (const key of names(...contracts)) expect(pricesOf(quick, key)).toHaveLength(rounds);
    socket.resume();
    const lastOf = () => {
      const last = new Map<string, string>();
      for (const text of texts) {
        const update = JSON.parse(text).payload?.data?.contractUpdates;
        if (update?.snapshot) last.set(update.id, update.snapshot.sequence);
      }
      return last;
    };
    await until(
      () => names(...contracts).every((key) => lastOf().get(key) === String(rounds)),
      'it has the newest',
      5_000,
    );
    expect(texts.length).toBeLessThan(contracts.length * rounds);
    const sequences = texts.flatMap((text) => {
      const update = JSON.parse(text).payload?.data?.contractUpdates;
      return update?.id === 'name:A' && update.snapshot ? [Number(update.snapshot.sequence)] : [];
    });
    expect(sequences).toEqual([...sequences].sort((a, b) => a - b));
  }, 60_000);

  test('that takes nothing for too long is closed with a code its client comes back on', async () => {
    const market = await new TestExchange().listen();
    const gateway = await testGateway({
      IME_URL: market.url,
      CLIENT_BUFFER_BYTES: '4096',
      CLIENT_STALL_MS: '1000',
    });
    const subscribing = stoppedReader(gateway.url, ['A']);
    await market.carries(names('A'));
    market.publish('name:A', 0);
    const { socket } = await subscribing;
    const publishing = setInterval(() => {
      for (let count = 0; count < 2_000; count++) market.publish('name:A', count);
    }, 20);
    onTestFinished(() => clearInterval(publishing));
    await until(() => gateway.report().clients === 0, 'the connection is gone', 20_000);
    clearInterval(publishing);
    const code = new Promise<number>((resolve) => socket.once('close', resolve));
    socket.resume();
    // The close frame stands behind what was never read; where it is lost, clients see 1006.
    expect([1013, 1006]).toContain(await code);
    expect(gateway.report().subscriptions).toBe(0);
  }, 60_000);

  test('is nobody who reads, however small the bound', async () => {
    const market = await new TestExchange().listen();
    const gateway = await testGateway({
      IME_URL: market.url,
      CLIENT_BUFFER_BYTES: '1024',
      CLIENT_STALL_MS: '1500',
    });
    const { socket, texts } = await rawClient(gateway.url);
    const aliases = Array.from({ length: 25 }, (_, at) => `a${at}: snapshot { timestamp }`);
    const query = `subscription { contractUpdates(names: ["A"]) { ${aliases.join(' ')} snapshot { sequence } } }`;
    socket.send(JSON.stringify({ id: '1', type: 'subscribe', payload: { query } }));
    await market.carries(names('A'));
    let published = 0;
    const untilMs = performance.now() + 4_000;
    while (performance.now() < untilMs) {
      // More than the kernel takes at once while the client is busy with something else.
      socket.pause();
      for (let count = 0; count < 2_000; count++) market.publish('name:A', ++published);
      await new Promise((resolve) => setTimeout(resolve, 50));
      socket.resume();
      await until(
        () => texts.at(-1)?.includes(`"sequence":"${published}"`) ?? false,
        'the newest has come',
        5_000,
      );
    }
    expect(socket.readyState).toBe(WebSocket.OPEN);
    expect(gateway.report().clients).toBe(1);
  }, 60_000);

  test('of server-sent events costs a bounded run, and goes on with newer states', async () => {
    const market = await new TestExchange().listen();
    const gateway = await testGateway({ IME_URL: market.url });
    const query = encodeURIComponent(
      'subscription { contractUpdates(names: ["A"]) { id snapshot { sequence bestLimits { level buyPrice sellPrice buyQuantity } } } }',
    );
    const socket = connect(gateway.address.port, '127.0.0.1');
    onTestFinished(() => void socket.destroy());
    socket.write(
      `GET /graphql?query=${query} HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n\r\n`,
    );
    await market.carries(names('A'));
    socket.pause();
    const rounds = 30_000;
    for (let round = 1; round <= rounds; round++) {
      market.publish('name:A', round);
      if (round % 50 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    let text = '';
    socket.on('data', (chunk) => {
      text += chunk;
    });
    socket.resume();
    await until(() => text.includes(`"sequence":"${rounds}"`), 'the newest state has come');
    expect(text.split('event: next').length).toBeLessThan(rounds);
  }, 60_000);
});

describe('the pace of a subscription', () => {
  const PACED = `subscription ($pace: Float, $changes: Boolean! = false) {
    contractUpdates(names: ["A"], maxUpdatesPerSecond: $pace, changesOnly: $changes) {
      id status statusReason snapshot { aggregate { lastPrice } }
    }
  }`;

  test.each(['graphql-ws', 'graphql-sse'])(
    'is kept over %s, and the newest wins',
    async (transport) => {
      const market = await new TestExchange().listen();
      const gateway = await testGateway({ IME_URL: market.url });
      const client = transport === 'graphql-ws' ? wsClient(gateway) : sseClient(gateway);
      const inbox = new Inbox<ContractUpdate>(client, PACED, { pace: 10 });
      await market.carries(names('A'));
      const startedMs = performance.now();
      for (let price = 1; price <= 100; price++) {
        market.publish('name:A', price);
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
      await inbox.until((box) => pricesOf(box).at(-1) === '100', 'the newest has come');
      const seconds = (performance.now() - startedMs) / 1_000;
      expect(pricesOf(inbox).length).toBeLessThanOrEqual(10 * seconds + 2);
      expect(pricesOf(inbox).length).toBeGreaterThan(5);
      const prices = pricesOf(inbox).map(Number);
      expect(prices).toEqual([...prices].sort((a, b) => a - b));
    },
  );

  test('does not hold back a change of status', async () => {
    const market = await new TestExchange().listen();
    const gateway = await testGateway({ IME_URL: market.url });
    const inbox = new Inbox<ContractUpdate>(wsClient(gateway), PACED, { pace: 0.01 });
    await market.carries(names('A'));
    market.publish('name:A', 1);
    await inbox.until((box) => pricesOf(box).length === 1, 'the first state comes at once');
    market.publish('name:A', 2);
    market.exchange.drop();
    await inbox.until(
      ({ values }) => values.at(-1)?.contractUpdates.status === 'STALE',
      'the loss is told',
    );
    expect(pricesOf(inbox)).toEqual(['1', '2']);
  });

  test.each([0, 0.001, 1_001, -1])('of %d updates a second is bad input', async (pace) => {
    const gateway = await testGateway();
    const inbox = new Inbox(wsClient(gateway), PACED, { pace });
    await inbox.until(({ errors }) => errors.length > 0, 'it is refused');
    expect(inbox.errors[0]).toMatchObject({
      message: `maxUpdatesPerSecond: expected 0.01 to 1000 updates a second, got ${pace}`,
      extensions: { code: 'BAD_USER_INPUT' },
    });
  });

  test.each(['graphql-ws', 'graphql-sse'])(
    'leaves out over %s what reads as the last',
    async (transport) => {
      const market = await new TestExchange().listen();
      const gateway = await testGateway({ IME_URL: market.url });
      const client = transport === 'graphql-ws' ? wsClient(gateway) : sseClient(gateway);
      const inbox = new Inbox<ContractUpdate>(client, PACED, { changes: true });
      await market.carries(names('A'));
      for (const price of [1, 1, 1, 2, 2, 1, 3]) market.publish('name:A', price);
      await inbox.until((box) => pricesOf(box).at(-1) === '3', 'the last has come');
      expect(pricesOf(inbox)).toEqual(['1', '2', '1', '3']);
      const { data } = await ask<{ contract: { snapshot: { sequence: string } } }>(
        gateway,
        '{ contract(name: "A") { snapshot { sequence } } }',
      );
      expect(data?.contract.snapshot.sequence).toBe('7');
    },
  );
});
