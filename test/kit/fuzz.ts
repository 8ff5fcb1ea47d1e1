import { randomBytes } from 'node:crypto';
import { connect } from 'node:net';
import { createClient } from 'graphql-ws';
import { WebSocket } from 'ws';
import { type Gateway, startGateway } from '../../src/app/gateway.ts';
import { readConfig } from '../../src/config/command-line.ts';
import { LocalTimeZone } from '../../src/contract/local-time.ts';
import { createLog } from '../../src/observability/log.ts';
import { Exchange } from '../../src/simulator/exchange.ts';
import { SeededRandom } from '../../src/simulator/random.ts';
import { marketState } from './gateway.ts';

const ZONE = new LocalTimeZone('Asia/Tehran');
/** How long an attack waits for an answer before it goes away. */
const ATTACK_MS = 150;

const DOCUMENTS = [
  '{ status { ready reasons upstream { sockets { state } } } }',
  'query ($n: [String!], $d: Int) { contracts(names: $n, waitMs: 0) { id snapshot { bestLimits(depth: $d) { level buyPrice } } } }',
  'subscription S($n: [String!]) { contractUpdates(names: $n, maxUpdatesPerSecond: 1.5) { ...F } } fragment F on Contract { id status }',
  'mutation { renewAuthorization(token: "x") { principal } }',
  '{ __schema { types { name fields { name } } } }',
];
const TOKENS = [
  '{',
  '}',
  '(',
  ')',
  '...',
  '$n',
  '"',
  '"""',
  '@include(if: true)',
  'fragment F on Contract',
  '1e999',
  '-',
  '#',
  '\u0000',
  '\ud800',
  'contracts',
  'on',
  '&',
  '!',
  '[',
  ']',
  ':',
];
const TYPES = [
  'connection_init',
  'connection_ack',
  'ping',
  'pong',
  'subscribe',
  'next',
  'error',
  'complete',
  '',
  'x',
  '__proto__',
];

/** What a run of the fuzzer has seen. */
export interface FuzzReport {
  attacks: number;
  readonly kinds: Record<string, number>;
  /** Lines of the log at level error or above: each is a fault of the gateway. */
  readonly faults: string[];
  told: number;
}

/**
 * Sends rubbish on every transport of a gateway while an ordinary client is served beside it. Everything
 * is drawn from one seed.
 */
export class Fuzz {
  readonly report: FuzzReport = { attacks: 0, kinds: {}, faults: [], told: 0 };
  readonly #random: SeededRandom;
  readonly #exchange = new Exchange({
    basePath: '/ime',
    token: undefined,
    refuse: 'after',
    lists: (key) => key.length < 20,
  });
  #gateway: Gateway | undefined;
  #published = 0;

  constructor(seed: number) {
    this.#random = new SeededRandom(seed);
  }

  /** The gateway under attack. */
  get gateway(): Gateway {
    if (this.#gateway === undefined) throw new Error('the fuzzer has not been started');
    return this.#gateway;
  }

  async start(): Promise<void> {
    const line = readConfig([], {
      PORT: '0',
      AUTH: 'none',
      IME_URL: await this.#exchange.listen(0),
      IME_LINGER_MS: '100',
      IME_PINNED_NAMES: 'A',
      MAX_OPERATIONS_PER_SECOND: '100000',
      MAX_OPERATIONS_PER_SECOND_PER_PRINCIPAL: '100000',
      MAX_OPERATIONS_IN_FLIGHT: '1000',
      MAX_OPERATIONS_IN_FLIGHT_PER_PRINCIPAL: '10000',
    });
    if (line.run !== 'start') throw new Error(JSON.stringify(line));
    const log = createLog('error', { write: (text) => this.report.faults.push(text) });
    this.#gateway = await startGateway(line.config, log);
  }

  async close(): Promise<void> {
    await this.#gateway?.close();
    await this.#exchange.close();
  }

  /** Attacks so many times, some at once, while a client is told every update. */
  async run(attacks: number, atOnce = 16): Promise<void> {
    const prices: string[] = [];
    const client = createClient({
      url: `${this.gateway.url.replace('http', 'ws')}/graphql`,
      webSocketImpl: WebSocket,
      retryAttempts: 0,
    });
    let broken: unknown;
    client.subscribe<{
      contractUpdates: { snapshot: { aggregate: { lastPrice: string } } | null };
    }>(
      {
        query:
          'subscription { contractUpdates(names: ["A"], initial: false) { snapshot { aggregate { lastPrice } } } }',
      },
      {
        next: ({ data }) => prices.push(data?.contractUpdates.snapshot?.aggregate.lastPrice ?? '?'),
        error: (error) => {
          broken = error;
        },
        complete: () => {
          broken ??= 'completed';
        },
      },
    );
    await this.#until(
      () => this.gateway.report().subscriptions > 0 && this.#exchange.subscriptions.length > 0,
    );
    const first = this.#published + 1;
    const publishing = setInterval(() => this.#publish(), 5);
    try {
      for (let done = 0; done < attacks; done += atOnce) {
        await Promise.all(
          Array.from({ length: Math.min(atOnce, attacks - done) }, () => this.#attack()),
        );
        if (broken !== undefined)
          throw new Error(`an ordinary client was harmed: ${JSON.stringify(broken)}`);
      }
    } finally {
      clearInterval(publishing);
    }
    const expected = Array.from({ length: this.#published - first + 1 }, (_, at) =>
      String(first + at),
    );
    await this.#until(() => prices.length >= expected.length);
    if (prices.join() !== expected.join()) throw new Error('an ordinary client missed an update');
    this.report.told += prices.length;
    await client.dispose();
    await this.#until(
      () => this.gateway.report().clients === 0 && this.gateway.report().subscriptions === 0,
    );
  }

  #publish(): void {
    this.#exchange.publish(
      ['name:A'],
      ZONE.toLocal(Date.now()),
      marketState(String(++this.#published)),
    );
  }

  async #attack(): Promise<void> {
    const kinds = [
      'bytes',
      'request',
      'body',
      'url',
      'handshake',
      'frames',
      'protocol',
      'document',
      'relay',
    ] as const;
    const kind = this.#pick(kinds);
    this.report.attacks++;
    this.report.kinds[kind] = (this.report.kinds[kind] ?? 0) + 1;
    switch (kind) {
      case 'bytes':
        return this.#raw(this.#bytes(this.#upTo(2_000)));
      case 'request':
        return this.#raw(
          this.#mutated(Buffer.from(this.#request('POST', '/graphql', this.#body()))),
        );
      case 'body':
        return this.#raw(Buffer.from(this.#request('POST', this.#path(), this.#body())));
      case 'url':
        return this.#raw(
          Buffer.from(
            this.#request(
              'GET',
              `${this.#path()}?query=${encodeURIComponent(this.#document().toWellFormed())}&variables=${encodeURIComponent(JSON.stringify(this.#value(3)).toWellFormed())}`,
            ),
          ),
        );
      case 'handshake':
        return this.#raw(this.#mutated(Buffer.from(this.#handshake())));
      case 'frames':
        return this.#raw(
          Buffer.concat([
            Buffer.from(this.#handshake()),
            ...this.#many(8, () => this.#frame(this.#bytes(this.#upTo(300)))),
          ]),
        );
      case 'protocol':
        return this.#raw(
          Buffer.concat([
            Buffer.from(this.#handshake()),
            ...this.#many(12, () => this.#text(JSON.stringify(this.#message()))),
          ]),
        );
      case 'document':
        return this.#raw(
          Buffer.concat([
            Buffer.from(this.#handshake()),
            this.#text('{"type":"connection_init"}'),
            ...this.#many(6, (place) =>
              this.#text(
                JSON.stringify({
                  id: String(place),
                  type: 'subscribe',
                  payload: { query: this.#document(), variables: this.#variables() },
                }),
              ),
            ),
          ]),
        );
      case 'relay':
        return this.#raw(
          Buffer.concat([
            Buffer.from(this.#handshake(this.#relayTarget())),
            ...this.#many(4, () => this.#frame(this.#bytes(this.#upTo(300)))),
          ]),
        );
    }
  }

  /** Writes bytes to a connection, waits a moment for an answer, and goes away, sometimes rudely. */
  #raw(bytes: Buffer): Promise<void> {
    const rude = this.#random.chance(0.3);
    const cut = this.#random.chance(0.2) ? this.#upTo(bytes.length) : bytes.length;
    return new Promise((resolve) => {
      const socket = connect(this.gateway.address.port, '127.0.0.1');
      const timer = setTimeout(
        () => (rude ? socket.resetAndDestroy() : socket.destroy()),
        ATTACK_MS,
      );
      socket.on('error', () => {});
      socket.on('data', () => {});
      socket.on('close', () => {
        clearTimeout(timer);
        resolve();
      });
      socket.write(bytes.subarray(0, cut));
    });
  }

  #request(method: string, path: string, body = ''): string {
    const type = this.#pick([
      'application/json',
      'application/json; charset=x',
      'text/plain',
      'multipart/form-data; boundary=x',
      'application/graphql',
      '',
    ]);
    const accept = this.#pick([
      '*/*',
      'application/json',
      'text/event-stream',
      'multipart/mixed;subscriptionSpec="1.0"',
      'x',
      '',
    ]);
    return `${method} ${path} HTTP/1.1\r\nHost: x\r\nContent-Type: ${type}\r\nAccept: ${accept}\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`;
  }

  #handshake(target = '/graphql'): string {
    return `GET ${target} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: graphql-transport-ws\r\nSec-WebSocket-Key: ${randomBytes(16).toString('base64')}\r\n\r\n`;
  }

  /** One of IME's endpoints with contracts that there are, that there are not, and that cannot be. */
  #relayTarget(): string {
    const space = this.#pick(['name', 'id', 'id/', '%6Eame', 'x']);
    const parameters = this.#many(6, () => {
      const name = this.#pick(['contract_name', 'contract_id', 'snapshot', 'strict', '']);
      const value = this.#pick(['A', 'name:A', 'true', 'false', '%', String(this.#value(1))]);
      return `${name}=${this.#random.chance(0.8) ? encodeURIComponent(value.toWellFormed()) : ''}`;
    });
    return `/data-engine/ime/live/data/websocket/contract/${space}?${parameters.join('&')}`;
  }

  #path(): string {
    return this.#pick([
      '/graphql',
      '/graphql',
      '/graphql',
      '/graphql/stream',
      '/graphql/',
      '/',
      '//',
      '/metrics',
      '/%',
      '/ready?x',
    ]);
  }

  #body(): string {
    if (this.#random.chance(0.2)) return JSON.stringify(this.#value(4));
    return JSON.stringify({
      query: this.#random.chance(0.1) ? this.#value(2) : this.#document(),
      variables: this.#random.chance(0.2) ? this.#value(3) : this.#variables(),
      ...(this.#random.chance(0.3) ? { operationName: this.#value(1) } : {}),
      ...(this.#random.chance(0.3) ? { extensions: this.#value(3) } : {}),
    });
  }

  #variables(): unknown {
    return { n: this.#many(4, () => this.#value(1)), d: this.#value(1), x: this.#value(2) };
  }

  #message(): unknown {
    if (this.#random.chance(0.1)) return this.#value(3);
    return {
      type: this.#random.chance(0.9) ? this.#pick(TYPES) : this.#value(1),
      id: this.#random.chance(0.8) ? String(this.#upTo(3)) : this.#value(1),
      payload: this.#random.chance(0.6)
        ? { query: this.#document(), variables: this.#variables() }
        : this.#value(2),
    };
  }

  /** A valid document with tokens put in, taken out and repeated. */
  #document(): string {
    let text = this.#pick(DOCUMENTS);
    for (let left = this.#upTo(4); left > 0; left--) {
      const at = this.#upTo(text.length);
      const end = Math.min(text.length, at + this.#upTo(10));
      text =
        text.slice(0, at) +
        (this.#random.chance(0.7)
          ? this.#pick(TOKENS)
          : text.slice(at, end).repeat(this.#upTo(40))) +
        text.slice(this.#random.chance(0.5) ? at : end);
    }
    return text;
  }

  /** A value of JSON. */
  #value(depth: number): unknown {
    switch (this.#upTo(depth > 0 ? 8 : 6)) {
      case 0:
        return null;
      case 1:
        return this.#random.chance(0.5);
      case 2:
        return this.#pick([0, -1, 1e308, 2 ** 53, 0.1, 1e-7]);
      case 3:
        return this.#pick([
          '',
          'A',
          'قرارداد',
          '\u0000',
          '\ud800',
          '😀'.repeat(200),
          '__proto__',
          'constructor',
        ]);
      case 4:
        return 'x'.repeat(this.#upTo(400));
      case 5:
        return [];
      case 6:
        return this.#many(5, () => this.#value(depth - 1));
      default:
        return Object.fromEntries(
          this.#many(5, () => [
            this.#pick([
              'query',
              'type',
              'id',
              'payload',
              '__proto__',
              'headers',
              'authorization',
              'persistedQuery',
              'sha256Hash',
            ]),
            this.#value(depth - 1),
          ]),
        );
    }
  }

  #text(text: string): Buffer {
    return this.#frame(Buffer.from(text), 0x81);
  }

  /** A WebSocket frame; without a given head a senseless one. Source of the layout: RFC 6455, 5.2. */
  #frame(payload: Buffer, head = this.#upTo(256)): Buffer {
    const lie = this.#random.chance(0.05) ? this.#upTo(200) : 0;
    const length = payload.length + lie;
    const header =
      length < 126
        ? Buffer.from([head, 0x80 | length])
        : Buffer.from([head, 0xfe, length >>> 8, length & 0xff]);
    return Buffer.concat([header, Buffer.alloc(4), payload]);
  }

  #mutated(bytes: Buffer): Buffer {
    const copy = Buffer.from(bytes);
    for (let left = 1 + this.#upTo(8); left > 0; left--)
      copy[this.#upTo(copy.length)] = this.#upTo(256);
    return copy;
  }

  #bytes(length: number): Buffer {
    return Buffer.from(Array.from({ length }, () => this.#upTo(256)));
  }

  #many<T>(most: number, make: (place: number) => T): T[] {
    return Array.from({ length: this.#upTo(most + 1) }, (_, place) => make(place));
  }

  #pick<T>(items: readonly T[]): T {
    return items[this.#upTo(items.length)] as T;
  }

  /** A whole number below `bound`. */
  #upTo(bound: number): number {
    return Math.floor(this.#random.next() * bound);
  }

  async #until(holds: () => boolean): Promise<void> {
    const deadline = performance.now() + 20_000;
    while (!holds()) {
      if (performance.now() > deadline)
        throw new Error(
          `the gateway does not come to rest: ${JSON.stringify(this.gateway.report())}`,
        );
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }
}
