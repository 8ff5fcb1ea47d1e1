import { createRequire } from 'node:module';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { FrameBatch } from '../src/fanout/frame-batch.ts';
import type { CarriedSubscription, FrameEncoder } from '../src/fanout/frame-encoder.ts';
import { ContractState } from '../src/hub/contract-state.ts';
import { Projection } from '../src/render/projection.ts';
import { RenderedStates } from '../src/render/rendered-states.ts';
import { NextFrames, ownTextOf } from '../src/websocket/next-frames.ts';
import { names, TestExchange, testGateway, until } from './kit/gateway.ts';
import { RawClient } from './kit/raw.ts';

const IDS = ['1', '2', 'a-longer-id', 'سکه', 'نیم‌سکه', '"\\\n', '😀', '\ud800'];
const state = (key: string) => ContractState.pending(`name:${key}`, 0);

/** What ws itself makes of a text message. */
const { Sender } = createRequire(import.meta.url)('ws') as {
  Sender: { frame(data: Buffer, options: object): Buffer[] };
};

/** An encoder that knows states alone, and has nothing of a client's own in its messages. */
class KeyFrames implements FrameEncoder {
  readonly ownTextAt = 0;

  constructor(readonly isCompressed: boolean) {}

  messageBytes(_ownText: string, { key }: ContractState): number {
    return Buffer.byteLength(key);
  }

  writeMessage(_ownText: string, { key }: ContractState, target: Buffer, at: number): number {
    return at + target.write(key, at);
  }
}

/** A kind of message: who encodes it, and what it reads as for an id. */
interface MessageKind {
  readonly encoder: FrameEncoder;
  readonly ownText: (id: string) => string;
  readonly read: (id: string, state: ContractState) => string;
}

function nextKind(text: string): MessageKind {
  const projection = new Projection(
    text,
    'c',
    ({ key }) => text + key,
    new RenderedStates(),
    () => {},
  );
  return {
    encoder: NextFrames.of(projection),
    ownText: ownTextOf,
    read: (id, { key }) => `{"id":${JSON.stringify(id)},"type":"next","payload":${text}${key}}`,
  };
}

function keyKind(isCompressed: boolean): MessageKind {
  return { encoder: new KeyFrames(isCompressed), ownText: () => '', read: (_id, { key }) => key };
}

test('a batch of frames reads as the messages one by one, whatever was written before', () => {
  const kinds = [
    ...['{"a":1}', `"${'x'.repeat(80)}"`, `"${'y'.repeat(400)}"`, `"${'z'.repeat(70_000)}"`].map(
      nextKind,
    ),
    keyKind(false),
    keyKind(true),
  ];
  const states = [state('A'), state('سکه')];
  const message = fc.record({
    id: fc.constantFrom(...IDS),
    kind: fc.constantFrom(...kinds),
    state: fc.constantFrom(...states),
  });
  const write = fc.record({
    messages: fc.array(message, { minLength: 1, maxLength: 3 }),
    // The same messages again, for a subscription with another id: what sharing is for.
    again: fc.option(fc.constantFrom(...IDS)),
    isKept: fc.boolean(),
    endsTick: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(write, { maxLength: 10 }), (writes) => {
      const batch = new FrameBatch();
      const kept: { buffer: Buffer; copy: Buffer }[] = [];
      const check = (messages: { id: string; kind: MessageKind; state: ContractState }[]) => {
        batch.clear();
        for (const { id, kind, state } of messages) batch.add(carried(kind, id), state);
        const expected = messages.map(({ id, kind, state }) => Buffer.from(kind.read(id, state)));
        const frames = Buffer.concat(
          expected.flatMap((data, place) => {
            const rsv1 = messages[place]?.kind.encoder.isCompressed;
            return Sender.frame(data, { fin: true, opcode: 1, mask: false, rsv1, readOnly: true });
          }),
        );
        expect(batch.bytes).toBe(frames.length);
        expect(batch.own().equals(frames)).toBe(true);
        expect(Buffer.concat(batch.messages()).equals(Buffer.concat(expected))).toBe(true);
        const shared = batch.shared();
        expect(shared.equals(frames)).toBe(true);
        return shared;
      };
      for (const { messages, again, isKept, endsTick } of writes) {
        const shared = check(messages);
        if (isKept) {
          kept.push({ buffer: shared, copy: Buffer.from(shared) });
          batch.kept();
        }
        if (again !== null) check(messages.map((message) => ({ ...message, id: again })));
        if (endsTick) batch.forget();
      }
      for (const { buffer, copy } of kept) expect(buffer.equals(copy)).toBe(true);
    }),
    { numRuns: 200, endOnFailure: true },
  );
});

function carried({ encoder, ownText }: MessageKind, id: string): CarriedSubscription {
  return { encoder, ownText: ownText(id), isOver: false };
}

test('an encoder that throws leaves nothing half laid out for the next connection', () => {
  const good = keyKind(false);
  let isBroken = true;
  const broken: FrameEncoder = {
    isCompressed: false,
    ownTextAt: 0,
    messageBytes: () => 3,
    writeMessage: (_ownText, _state, target, at) => {
      if (isBroken) throw new Error('broken');
      return at + target.write('abc', at);
    },
  };
  const batch = new FrameBatch();
  const write = () => {
    batch.clear();
    batch.add(carried(good, ''), state('A'));
    batch.add({ encoder: broken, ownText: '', isOver: false }, state('A'));
    return batch.shared();
  };
  batch.add(carried(good, ''), state('B'));
  expect(batch.shared().toString()).toContain('name:B');
  expect(write).toThrow('broken');
  isBroken = false;
  expect(write().toString('latin1')).toBe('\x81\x06name:A\x81\x03abc');
});

test('many clients are told the same tick, each by its own ids', async () => {
  const market = await new TestExchange().listen();
  const gateway = await testGateway({ IME_URL: market.url });
  const contracts = ['A', 'B', 'C'];
  const query =
    'subscription ($n: [String!]) { contractUpdates(names: $n, initial: false) { id snapshot { aggregate { lastPrice } } } }';
  const clients = await Promise.all(
    Array.from({ length: 20 }, () => new RawClient(gateway).init()),
  );
  for (const [place, client] of clients.entries()) {
    for (const id of [`${place}`, `client ${place % 3}`, `سکه ${place}`]) {
      client.subscribe(id, query, { variables: { n: contracts } });
    }
  }
  await market.carries(names(...contracts));
  await until(() => gateway.report().subscriptions === 60, 'all are subscribed');
  const rounds = 20;
  for (let price = 1; price <= rounds; price++) {
    for (const key of names(...contracts)) market.publish(key, price);
    if (price % 3 === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  const nexts = (client: RawClient) =>
    client.messages.filter(
      ({ type, payload }) => type === 'next' && JSON.stringify(payload).includes('lastPrice":"'),
    );
  for (const [place, client] of clients.entries()) {
    await client.until(() => nexts(client).length >= 9 * rounds, 'it has been told all');
    for (const id of [`${place}`, `client ${place % 3}`, `سکه ${place}`]) {
      const told = nexts(client).filter((message) => message.id === id);
      const prices = told.map(({ payload }) => {
        const { contractUpdates } = (payload as { data: Record<string, unknown> }).data;
        const { id: key, snapshot } = contractUpdates as {
          id: string;
          snapshot: { aggregate: { lastPrice: string } };
        };
        return `${key} ${snapshot.aggregate.lastPrice}`;
      });
      const expected = contracts.flatMap((name) =>
        Array.from({ length: rounds }, (_, price) => `name:${name} ${price + 1}`),
      );
      expect(prices.sort()).toEqual(expected.sort());
    }
  }
});

test('bursts come whole and in order to more than a hundred connections', async () => {
  const market = await new TestExchange().listen();
  const gateway = await testGateway({ IME_URL: market.url });
  const contracts = ['A', 'B', 'C', 'D', 'E'];
  const query =
    'subscription ($n: [String!]) { contractUpdates(names: $n, initial: false) { id snapshot { aggregate { lastPrice } } } }';
  const clients = await Promise.all(
    Array.from({ length: 120 }, () => new RawClient(gateway).init()),
  );
  for (const client of clients) client.subscribe('1', query, { variables: { n: contracts } });
  await market.carries(names(...contracts));
  await until(() => gateway.report().subscriptions === clients.length, 'all are subscribed');
  const updates = (client: RawClient) =>
    client.of('1').map(({ payload }) => {
      const { contractUpdates } = (payload as { data: Record<string, unknown> }).data;
      const { id, snapshot } = contractUpdates as {
        id: string;
        snapshot: { aggregate: { lastPrice: string } } | null;
      };
      return `${id} ${snapshot?.aggregate.lastPrice}`;
    });
  const bursts = 12;
  const expected: string[] = [];
  for (let price = 1; price <= bursts; price++) {
    for (const key of names(...contracts)) {
      market.publish(key, price);
      expected.push(`${key} ${price}`);
      // The gateway gets to read between any two of them.
      await new Promise((resolve) => setImmediate(resolve));
    }
    for (const client of clients) {
      await client.until(() => client.of('1').length >= expected.length, 'the burst has come');
    }
  }
  for (const client of clients) expect(updates(client)).toEqual(expected);
});

test('an id is free again once the gateway has ended its subscription, which it tells once', async () => {
  const market = await new TestExchange().listen();
  market.unlisted.add('name:X');
  const gateway = await testGateway({ IME_URL: market.url, IME_PINNED_NAMES: 'A' });
  await market.carries(names('A'));
  const client = await new RawClient(gateway).init();
  const query = 'subscription { contractUpdates(names: ["X"]) { id status } }';
  const completions = () => client.of('1').filter(({ type }) => type === 'complete').length;
  // The first waits for the refusal; the second is told of it at once.
  for (let time = 1; time <= 2; time++) {
    client.subscribe('1', query);
    await client.until(() => completions() === time, 'it is complete');
    expect(client.of('1').at(-2)?.payload).toEqual({
      data: { contractUpdates: { id: 'name:X', status: 'INVALID' } },
    });
  }
  client.subscribe('1', 'subscription { contractUpdates(names: ["A"]) { id } }');
  await client.until(() => client.of('1').at(-1)?.type === 'next', 'the id serves a third time');
  expect(client.closed).toBeUndefined();
  expect(completions()).toBe(2);
  expect(gateway.report().subscriptions).toBe(1);
  client.send({ id: '1', type: 'complete' });
  await until(() => gateway.report().subscriptions === 0, 'the client has ended it');
  client.send({ type: 'ping' });
  await client.until(() => client.messages.at(-1)?.type === 'pong', 'nothing comes but the pong');
  expect(completions()).toBe(2);
});
