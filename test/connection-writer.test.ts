import { createServer as createHttpServer, type IncomingMessage } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import type { SecureContextOptions, TlsOptions } from 'node:tls';
import { describe, expect, onTestFinished, test } from 'vitest';
import { WebSocket, WebSocketServer } from 'ws';
import { ConnectionWriter } from '../src/fanout/connection-writer.ts';
import { FanOut, type SlowReaderBounds, type TickMember } from '../src/fanout/fanout.ts';
import type { CarriedSubscription, FrameEncoder } from '../src/fanout/frame-encoder.ts';
import { ContractState } from '../src/hub/contract-state.ts';
import type { Logger } from '../src/observability/log.ts';
import { until } from './kit/gateway.ts';

/** Messages of a state's key, its time and some padding, the own text before them. */
class PaddedFrames implements FrameEncoder {
  readonly isCompressed = false;
  readonly ownTextAt = 0;

  constructor(readonly paddingBytes = 0) {}

  messageBytes(ownText: string, state: ContractState): number {
    return ownText.length + Buffer.byteLength(this.#text(state));
  }

  writeMessage(ownText: string, state: ContractState, target: Buffer, at: number): number {
    const textAt = at + target.write(ownText, at, 'latin1');
    return textAt + target.write(this.#text(state), textAt);
  }

  #text({ key, statusSinceMs }: ContractState): string {
    return ` ${key} ${statusSinceMs}${' '.repeat(this.paddingBytes)}`;
  }
}

const state = (key: string, round: number) => ContractState.pending(`name:${key}`, round);
const subscription = (ownText: string, encoder: FrameEncoder): CarriedSubscription => ({
  encoder,
  ownText,
  isOver: false,
});

/** TLS without a certificate: both sides know a key. */
const PRESHARED = {
  ciphers: 'PSK',
  minVersion: 'TLSv1.2',
  maxVersion: 'TLSv1.2',
} as const satisfies SecureContextOptions;
const KEY = Buffer.from('a key that both sides know');

/** Connections of a fan-out of this test's own. */
class Connections {
  readonly errors: unknown[] = [];
  readonly fanOut: FanOut;
  readonly #server: WebSocketServer;
  readonly #url: string;

  private constructor(bounds: SlowReaderBounds, server: WebSocketServer, url: string) {
    const log = { error: (of: { error: unknown }) => this.errors.push(of.error) };
    this.fanOut = new FanOut(bounds, () => {}, log as unknown as Logger);
    onTestFinished(() => this.fanOut.close());
    this.#server = server;
    this.#url = url;
  }

  static async listen(
    bounds: Partial<SlowReaderBounds> = {},
    transport: 'ws' | 'wss' = 'ws',
    compression = false,
  ): Promise<Connections> {
    const psk: TlsOptions = { ...PRESHARED, pskCallback: () => KEY };
    const http = transport === 'ws' ? createHttpServer() : createHttpsServer(psk);
    await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => void http.close());
    const server = new WebSocketServer({ server: http, perMessageDeflate: compression });
    const { port } = http.address() as AddressInfo;
    const all = { bufferBytes: 262_144, stallMs: 30_000, ...bounds };
    return new Connections(all, server, `${transport}://127.0.0.1:${port}`);
  }

  async openAll(count: number) {
    const all: Awaited<ReturnType<Connections['open']>>[] = [];
    while (all.length < count) all.push(await this.open());
    return all;
  }

  /** One more connection; the next may be opened once it is there. */
  async open() {
    const accepted = new Promise<[WebSocket, IncomingMessage]>((resolve) => {
      this.#server.once('connection', (...of) => resolve(of));
    });
    const client = new WebSocket(this.#url, {
      ...PRESHARED,
      pskCallback: () => ({ psk: KEY, identity: 'test' }),
      checkServerIdentity: () => undefined,
    } as object);
    onTestFinished(() => client.terminate());
    const texts: string[] = [];
    client.on('message', (data) => texts.push(String(data).trimEnd()));
    client.on('error', () => {});
    let code: number | undefined;
    client.on('close', (with_) => {
      code = with_;
    });
    const [serverSide, request] = await accepted;
    serverSide.on('error', () => {});
    await until(() => client.readyState === WebSocket.OPEN, 'it is open');
    const flow: string[] = [];
    const writer = new ConnectionWriter(serverSide, request.socket, this.fanOut, {
      clogged: () => flow.push('clogged'),
      flowing: () => flow.push('flowing'),
    });
    serverSide.on('close', () => writer.close());
    const socket: Socket = request.socket;
    return { client, serverSide, socket, writer, texts, flow, code: () => code };
  }
}

describe('a connection', () => {
  test.each(['ws', 'wss'] as const)(
    'that is clogged below the socket’s own bound flows again, over %s',
    async (transport) => {
      const connections = await Connections.listen({ bufferBytes: 1_024 }, transport);
      const { client, writer, socket, texts, flow } = await connections.open();
      const to = subscription('1', new PaddedFrames(2_000));
      for (let time = 1; time <= 3; time++) {
        client.pause();
        let round = 0;
        while (!writer.isClogged) {
          writer.push(to, state('A', ++round));
          writer.flush();
          await new Promise((resolve) => setImmediate(resolve));
        }
        // No drain event will come for so little.
        if (transport === 'ws') expect(socket.writableNeedDrain).toBe(false);
        for (const key of ['B', 'A', 'B']) writer.push(to, state(key, ++round));
        client.resume();
        await until(() => texts.at(-1) === `1 name:B ${round}`, 'the newest has come');
        expect(texts.at(-2)).toBe(`1 name:A ${round - 1}`);
        expect(writer.isClogged).toBe(false);
        // The kernel may make room more than once.
        expect(flow.length).toBeGreaterThanOrEqual(2 * time);
        expect(flow).toEqual(flow.map((_, at) => (at % 2 === 0 ? 'clogged' : 'flowing')));
        expect(flow.at(-1)).toBe('flowing');
        texts.length = 0;
      }
      expect(connections.errors).toEqual([]);
    },
    60_000,
  );

  test.each([false, true])(
    'is clogged by messages of the protocol as by updates, compressed: %s',
    async (compression) => {
      const connections = await Connections.listen({}, 'ws', compression);
      const { client, writer, texts, flow } = await connections.open();
      const to = subscription('1', new PaddedFrames());
      client.pause();
      let sent = 0;
      while (!writer.isClogged) {
        writer.sendMessage({ answer: ++sent, noise: noise(100_000) });
        await new Promise((resolve) => setImmediate(resolve));
      }
      expect(writer.unsentBytes).toBeGreaterThan(262_144);
      expect(flow).toEqual(['clogged']);
      for (let round = 1; round <= 1_000; round++) writer.push(to, state('A', round));
      client.resume();
      await until(() => texts.at(-1) === '1 name:A 1000', 'the newest state has come');
      expect(texts).toHaveLength(sent + 1);
      expect(flow).toEqual(['clogged', 'flowing']);
      expect(connections.fanOut.counts.conflated).toBe(999);
      expect(writer.unsentBytes).toBe(0);
    },
    60_000,
  );

  test('keeps nothing for a subscription that is over', async () => {
    const connections = await Connections.listen({ bufferBytes: 1_024 });
    const { client, writer, texts } = await connections.open();
    const [one, other] = [
      subscription('1', new PaddedFrames()),
      subscription('2', new PaddedFrames()),
    ];
    client.pause();
    while (!writer.isClogged) writer.send('x'.repeat(100_000));
    writer.push(one, state('A', 1));
    writer.push(other, state('A', 1));
    writer.forget(one);
    client.resume();
    await until(() => texts.at(-1) === '2 name:A 1', 'the other has its state');
    expect(texts.filter((text) => text.includes('name:A'))).toHaveLength(1);
  });

  test('whose client takes nothing is closed, however little waits for it', async () => {
    const connections = await Connections.listen({ bufferBytes: 2 ** 30, stallMs: 500 });
    const { client, writer, code } = await connections.open();
    client.pause();
    while (writer.unsentBytes === 0) {
      writer.send('x'.repeat(1_000));
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(writer.isClogged).toBe(false);
    await until(() => connections.fanOut.counts.stalled === 1, 'it is closed');
    client.resume();
    await until(() => code() !== undefined, 'the client knows');
    expect([1013, 1006]).toContain(code());
  });

  test('whose client reads one long message slowly is not closed', async () => {
    const connections = await Connections.listen({ stallMs: 1_500 });
    const { client, writer, texts } = await connections.open();
    const message = 'x'.repeat(90 * 1024 * 1024);
    client.pause();
    writer.send(message);
    const { unsentBytes } = writer;
    expect(unsentBytes).toBeGreaterThan(0);
    const startMs = performance.now();
    // A little now and then: the message counts as unsent until all of it is taken.
    while (performance.now() - startMs < 4_000) {
      client.resume();
      await new Promise((resolve) => setImmediate(resolve));
      client.pause();
      await new Promise((resolve) => setTimeout(resolve, 150));
    }
    expect(writer.unsentBytes).toBe(unsentBytes);
    client.resume();
    await until(() => texts.length === 1, 'it has come');
    expect(texts[0]).toHaveLength(message.length);
    expect(connections.fanOut.counts.stalled).toBe(0);
    await until(() => !writer.isClogged, 'it flows again');
  }, 60_000);
});

describe('the buffer that connections share', () => {
  test.each(['ws', 'wss'] as const)(
    'is nobody else’s where a socket has not taken it yet, over %s',
    async (transport) => {
      const connections = await Connections.listen({}, transport);
      const all = await connections.openAll(4);
      const encoder = new PaddedFrames(500);
      for (const [place, { writer, socket }] of all.entries()) {
        if (place % 2 === 0) socket.cork();
        for (const key of ['A', 'B']) writer.push(subscription(`${place}`, encoder), state(key, 1));
      }
      const same = [state('A', 2), state('B', 2)];
      for (const [place, { writer }] of all.entries()) {
        for (const one of same) writer.push(subscription(`${place}`, encoder), one);
      }
      await new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
      for (const { socket } of all) socket.uncork();
      for (const [place, { texts }] of all.entries()) {
        await until(() => texts.length === 4, 'all have come');
        const rounds = [1, 1, 2, 2].map((round, at) => `${place} name:${'AB'[at % 2]} ${round}`);
        expect(texts).toEqual(rounds);
      }
    },
  );

  test('is nobody else’s where the kernel took a part of it', async () => {
    const connections = await Connections.listen();
    const [full, other] = [await connections.open(), await connections.open()];
    const encoder = new PaddedFrames(50_000);
    full.client.pause();
    let round = 0;
    while (full.writer.unsentBytes === 0) {
      const next = state('A', ++round);
      full.writer.push(subscription('1', encoder), next);
      other.writer.push(subscription('2', encoder), next);
      await new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
    }
    full.client.resume();
    for (const [ownText, { texts }] of [
      ['1', full],
      ['2', other],
    ] as const) {
      await until(() => texts.length === round, 'all have come');
      expect(texts).toEqual(
        Array.from({ length: round }, (_, at) => `${ownText} name:A ${at + 1}`),
      );
    }
  });
});

describe('what throws', () => {
  test('in a tick is ended alone: the others are written once, in this tick and the next', async () => {
    const connections = await Connections.listen();
    const all = await connections.openAll(5);
    const encoder = new PaddedFrames();
    const broken: FrameEncoder = {
      isCompressed: false,
      ownTextAt: 0,
      messageBytes: () => 10,
      writeMessage: () => {
        throw new Error('broken');
      },
    };
    for (const round of [1, 2]) {
      for (const [place, { writer }] of all.entries()) {
        // The third is sent something good first, as the others are.
        writer.push(subscription(`${place}`, encoder), state('A', round));
        if (place === 2) writer.push(subscription('2', broken), state('A', round));
      }
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    for (const [place, { texts }] of all.entries()) {
      if (place === 2) continue;
      await until(() => texts.length >= 2, 'both have come');
      expect(texts).toEqual([`${place} name:A 1`, `${place} name:A 2`]);
    }
    await until(() => all[2]?.code() === 1006, 'the broken one is gone');
    expect(all[2]?.texts).toEqual([]);
    expect(connections.errors).toMatchObject([{ message: 'broken' }]);
  });

  test('while readers are looked at, or while one is ended, disturbs no other', async () => {
    const connections = await Connections.listen();
    const seen: string[] = [];
    const member = (name: string, throws: boolean): TickMember => ({
      flush: () => {},
      checkStall: () => {
        seen.push(`looked at ${name}`);
        connections.fanOut.unwatch(members[name] as TickMember);
        if (throws) throw new Error(name);
      },
      fail: () => {
        seen.push(`ended ${name}`);
        throw new Error(`${name} again`);
      },
    });
    const members: Record<string, TickMember> = { a: member('a', true), b: member('b', false) };
    for (const one of Object.values(members)) connections.fanOut.watch(one);
    await until(() => seen.length === 3, 'all are looked at');
    expect(seen).toEqual(['looked at a', 'ended a', 'looked at b']);
    expect(connections.errors).toMatchObject([{ message: 'a' }, { message: 'a again' }]);
  });
});

/** Text that no compression makes much shorter. */
function noise(length: number): string {
  let text = '';
  while (text.length < length) text += Math.random().toString(36).slice(2);
  return text;
}
