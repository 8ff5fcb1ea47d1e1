import { createHash } from 'node:crypto';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import { WebSocket } from 'ws';
import { type Gateway, startGateway } from '../../src/app/gateway.ts';
import { readConfig } from '../../src/config/command-line.ts';
import { contractKey } from '../../src/contract/key.ts';
import { LocalTimeZone } from '../../src/contract/local-time.ts';
import { createLog } from '../../src/observability/log.ts';
import { Exchange } from '../../src/simulator/exchange.ts';
import { SeededRandom } from '../../src/simulator/random.ts';
import { marketState } from './gateway.ts';
import { ODD_OPERATIONS } from './odd-operations.ts';

/** Who may come in, and how that is found out. */
export type WalkAuth = 'jwt' | 'keys';

const ZONE = new LocalTimeZone('Asia/Tehran');
/** Held for good, on a socket of its own: names and IDs never share one. */
const PINNED_ID = '1';
/** The letters that contracts begin with: a pattern of a token or a key allows one of them, or all. */
const LETTERS = ['a', 'b', 'c'];
const SCOPES = ['*', ...LETTERS];
const KEYS = 6;
/** How many steps are under way at once. */
const AT_ONCE = 24;
const PUBLISH_MS = 4;
const REKEY_MS = 700;
const JWKS_DELAY_MS = 40;
/** How long everything may take to be given back, in milliseconds. */
const BACK_MS = 20_000;

/** What is left that should not be. */
export interface WalkLeft {
  readonly clients: number;
  readonly subscriptions: number;
  readonly contracts: number;
  readonly upstream: number;
}

/**
 * A random walk of operations that are refused, raced and aborted, on every transport, while keys are
 * revoked and narrowed. Everything is drawn from one seed.
 */
export class OperationsWalk {
  /** Lines of the log at level error: each is a fault of the gateway. */
  readonly faults: string[] = [];
  /** States that somebody got who may not see their contract. */
  readonly leaks: string[] = [];
  readonly kinds: Record<string, number> = {};
  steps = 0;
  readonly #auth: WalkAuth;
  readonly #random: SeededRandom;
  readonly #exchange = new Exchange({
    basePath: '/ime',
    token: undefined,
    refuse: 'after',
    lists: (key) => !key.includes('unknown'),
  });
  readonly #file = join(mkdtempSync(join(tmpdir(), 'walk-')), 'keys.json');
  #gateway: Gateway | undefined;
  #jwks: Server | undefined;
  #sign: (claims: Record<string, unknown>) => Promise<string> = async () => '';
  #timers: NodeJS.Timeout[] = [];
  #price = 0;

  constructor(seed: number, auth: WalkAuth) {
    this.#random = new SeededRandom(seed);
    this.#auth = auth;
  }

  get gateway(): Gateway {
    if (this.#gateway === undefined) throw new Error('the walk has not been started');
    return this.#gateway;
  }

  /** Starts the exchange, the gateway and what signs tokens. */
  async start(): Promise<void> {
    const url = await this.#exchange.listen(0);
    const auth = this.#auth === 'keys' ? this.#startKeys() : await this.#startJwks();
    const line = readConfig([], {
      PORT: '0',
      IME_URL: url,
      IME_LINGER_MS: '50',
      IME_PINNED_IDS: PINNED_ID,
      MAX_OPERATIONS_PER_SECOND: '1000000',
      MAX_OPERATIONS_PER_SECOND_PER_PRINCIPAL: '1000000',
      MAX_OPERATIONS_IN_FLIGHT: '10',
      MAX_OPERATIONS_IN_FLIGHT_PER_PRINCIPAL: '50',
      MAX_UNKNOWN_CONTRACTS_PER_MINUTE: '1000000',
      MAX_SUBSCRIPTIONS_PER_CONNECTION: '5',
      MAX_CONTRACTS_PER_CONNECTION: '12',
      ...auth,
    });
    if (line.run !== 'start') throw new Error(JSON.stringify(line));
    const log = createLog('error', {
      write: (text) => {
        // A JWKS server that fails is said; it is what the walk has made it do.
        if (!text.includes('tokens cannot be checked')) this.faults.push(text);
      },
    });
    this.#gateway = await startGateway(line.config, log);
    this.#timers.push(
      setInterval(() => this.#publish(), PUBLISH_MS),
      setInterval(() => this.#auth === 'keys' && this.#rewriteKeys(), REKEY_MS),
    );
  }

  /** Takes so many steps, some at once. */
  async run(steps: number): Promise<void> {
    const until = this.steps + steps;
    const walkers = Array.from({ length: AT_ONCE }, async () => {
      while (this.steps < until) await this.#step();
    });
    await Promise.all(walkers);
  }

  /** What is left once everything that was taken has had time to come back. */
  async left(): Promise<WalkLeft> {
    this.#rewriteKeys(true);
    const deadline = performance.now() + BACK_MS;
    for (;;) {
      const left = this.#left();
      const isBack = left.clients + left.subscriptions === 0 && left.contracts === 1;
      if ((isBack && left.upstream === 1) || performance.now() > deadline) return left;
      await pause(20);
    }
  }

  /** A token or key that may see everything, new in each call. */
  async credential(): Promise<string> {
    return this.#auth === 'keys' ? 'key-all' : this.#sign({ sub: 'fresh' });
  }

  async close(): Promise<void> {
    for (const timer of this.#timers) clearInterval(timer);
    await this.#gateway?.close();
    await this.#exchange.close();
    this.#jwks?.closeAllConnections();
    await new Promise((resolve) => (this.#jwks ? this.#jwks.close(resolve) : resolve(undefined)));
  }

  #left(): WalkLeft {
    const { clients, subscriptions, contracts } = this.gateway.report();
    return {
      clients,
      subscriptions,
      contracts: Object.values(contracts).reduce((sum, count) => sum + count, 0),
      upstream: new Set(this.#exchange.subscriptions.flatMap((set) => [...set])).size,
    };
  }

  #publish(): void {
    const letter = this.#pick(LETTERS);
    const key = contractKey('name', `${letter}${this.#below(4)}`);
    this.#exchange.publish([key], ZONE.toLocal(Date.now()), marketState(String(++this.#price)));
  }

  async #startJwks(): Promise<Record<string, string>> {
    const { publicKey, privateKey } = await generateKeyPair('ES256');
    const keys = { keys: [{ ...(await exportJWK(publicKey)), kid: 'one', alg: 'ES256' }] };
    this.#jwks = createServer((_request, response) => {
      setTimeout(() => {
        if (this.#below(4) === 0) response.writeHead(503).end();
        else response.end(JSON.stringify(keys));
      }, this.#below(JWKS_DELAY_MS));
    });
    await new Promise<void>((resolve) => this.#jwks?.listen(0, '127.0.0.1', resolve));
    this.#sign = (claims) =>
      new SignJWT({ jti: String(this.#below(1e9)), ...claims })
        .setProtectedHeader({ alg: 'ES256', kid: 'one' })
        .setExpirationTime('1h')
        .sign(privateKey);
    const { port } = this.#jwks.address() as AddressInfo;
    return { AUTH: 'jwt', JWT_JWKS_URL: `http://127.0.0.1:${port}/` };
  }

  #startKeys(): Record<string, string> {
    this.#rewriteKeys();
    return { AUTH: 'keys', AUTH_KEYS_FILE: this.#file };
  }

  /** Keys are revoked, narrowed and widened; the last of them may always see everything. */
  #rewriteKeys(all = false): void {
    const entry = (label: string, contracts: string[]) => ({
      label,
      sha256: createHash('sha256').update(`key-${label}`).digest('hex'),
      contracts,
      limits: { connections: 1_000 - this.#below(10) },
    });
    const keys = Array.from({ length: KEYS }, (_, place) => String(place))
      .filter(() => all || this.#below(4) > 0)
      .map((label) => entry(label, [this.#pattern(this.#pick(SCOPES))]));
    writeFileSync(this.#file, JSON.stringify({ keys: [...keys, entry('all', ['*'])] }));
  }

  #pattern(scope: string): string {
    return scope === '*' ? '*' : `name:${scope}*`;
  }

  /** Somebody's credential, and which letter they may see; `undefined` where that changes under them. */
  async #somebody(): Promise<{ shown: string; scope: string | undefined; sub: string }> {
    const sub = `somebody ${this.#below(5)}`;
    if (this.#below(12) === 0) return { shown: 'wrong', scope: undefined, sub };
    if (this.#auth === 'keys') return { shown: `key-${this.#below(KEYS)}`, scope: undefined, sub };
    const scope = this.#pick(SCOPES);
    return { shown: await this.#sign({ sub, contracts: [this.#pattern(scope)] }), scope, sub };
  }

  async #step(): Promise<void> {
    const kind = this.#pick(['segment', 'renewal', 'request', 'stream', 'vanishing'] as const);
    this.kinds[kind] = (this.kinds[kind] ?? 0) + 1;
    switch (kind) {
      case 'segment':
        return this.#segment(false);
      case 'renewal':
        return this.#segment(true);
      case 'request':
        return this.#request('application/json', 1);
      case 'stream':
        return this.#request(
          this.#pick(['text/event-stream', 'multipart/mixed;subscriptionSpec=1.0']),
          1,
        );
      case 'vanishing':
        return this.#request(this.#pick(['application/json', 'text/event-stream']), 0);
    }
  }

  /** Many messages in one segment of a WebSocket, ids used again among them. */
  async #segment(renews: boolean): Promise<void> {
    const { shown, scope, sub } = await this.#somebody();
    const socket = new WebSocket(
      `${this.gateway.url.replace('http', 'ws')}/graphql`,
      'graphql-transport-ws',
      { headers: { authorization: `Bearer ${shown}` } },
    );
    socket.on('error', () => {});
    let allowed = scope;
    const narrower = this.#pick(LETTERS);
    const renewal =
      renews && this.#auth === 'jwt'
        ? await this.#sign({ sub, contracts: [this.#pattern(narrower)] })
        : undefined;
    socket.on('message', (data) => {
      const message = JSON.parse(String(data)) as { id?: string; type: string; payload?: unknown };
      if (message.type === 'connection_ack') this.#sendSegment(socket, renewal);
      if (message.type !== 'next') return;
      if (message.id === 'renewal' && !JSON.stringify(message.payload).includes('errors')) {
        allowed = narrower;
      }
      this.#look(JSON.stringify(message.payload), allowed);
    });
    const gone = new Promise<void>((resolve) => socket.once('close', () => resolve()));
    socket.on('open', () => socket.send('{"type":"connection_init"}'));
    await Promise.race([gone, pause(this.#below(60))]);
    if (this.#below(2) === 0) socket.terminate();
    else socket.close();
    await Promise.race([gone, pause(500)]);
    socket.terminate();
  }

  #sendSegment(socket: WebSocket, renewal: string | undefined): void {
    const tcp = (socket as unknown as { _socket?: Socket })._socket;
    tcp?.cork();
    const messages = 2 + this.#below(8);
    for (let sent = 0; sent < messages; sent++) {
      this.steps++;
      const id = String(this.#below(3));
      const kind = this.#below(10);
      if (kind < 4) socket.send(JSON.stringify({ id, type: 'complete' }));
      const payload =
        kind === 9 ? this.#pick(ODD_OPERATIONS).payload : { query: this.#operation() };
      socket.send(
        JSON.stringify({ id: kind === 9 ? `odd ${sent}` : id, type: 'subscribe', payload }),
      );
      if (kind === 8) socket.send(JSON.stringify({ id, type: 'complete' }));
      if (renewal !== undefined && sent === 1) {
        const query = `mutation { renewAuthorization(token: "${renewal}") { principal } }`;
        socket.send(JSON.stringify({ id: 'renewal', type: 'subscribe', payload: { query } }));
      }
    }
    tcp?.uncork();
  }

  /** A request whose client may vanish anywhere: in its headers, in its body, while it is answered. */
  async #request(accept: string, patience: 0 | 1): Promise<void> {
    this.steps++;
    const { shown, scope } = await this.#somebody();
    const odd = this.#below(5) === 0;
    const payload = odd ? this.#pick(ODD_OPERATIONS).payload : { query: this.#operation() };
    const body = JSON.stringify(payload);
    const isPost = this.#below(3) > 0 || typeof payload['query'] !== 'string';
    const head = isPost
      ? `POST /graphql HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}`
      : `GET /graphql?query=${encodeURIComponent(toWellFormed(String(payload['query'])))} HTTP/1.1`;
    const text = `${head}\r\nHost: x\r\nAccept: ${accept}\r\nAuthorization: Bearer ${shown}\r\n\r\n`;
    const bytes = Buffer.from(isPost ? text + body : text);
    const cutAt = patience === 0 ? this.#below(bytes.length) : bytes.length;
    const splitAt = this.#below(cutAt + 1);
    const socket = connect(Number(new URL(this.gateway.url).port), '127.0.0.1');
    let read = '';
    socket.on('error', () => {});
    if (this.#below(5) > 0) socket.on('data', (chunk) => (read += chunk.toString('utf8')));
    const gone = new Promise<void>((resolve) => socket.once('close', () => resolve()));
    socket.write(bytes.subarray(0, splitAt));
    await Promise.race([gone, pause(this.#below(20))]);
    if (!socket.destroyed) socket.write(bytes.subarray(splitAt, cutAt));
    await Promise.race([gone, pause(this.#below(50))]);
    socket.destroy();
    await gone;
    this.#look(read, scope);
  }

  /** What came must be of contracts that the credential allows. */
  #look(text: string, scope: string | undefined): void {
    if (scope === undefined || scope === '*') return;
    // What is refused is named as well, but not as an id.
    for (const [, letter] of text.matchAll(/"id":"name:([abc])\d/g)) {
      if (letter !== scope) this.leaks.push(`${letter} to ${scope}: ${text.slice(0, 300)}`);
    }
  }

  #operation(): string {
    const name = () => `"${this.#pick(LETTERS)}${this.#below(4)}"`;
    const names = Array.from({ length: 1 + this.#below(4) }, name).join(' ');
    const state = '{ id status snapshot { aggregate { lastPrice } } }';
    return this.#pick([
      `subscription { contractUpdates(names: [${names}]) ${state} }`,
      `subscription { contractUpdates(names: [${names}], initial: false) ${state} }`,
      `subscription { contractUpdates(names: [${names}], maxUpdatesPerSecond: 20) ${state} }`,
      `subscription { contractUpdates(names: [${names}], changesOnly: true) ${state} }`,
      `subscription { contractUpdates(names: ["unknown ${this.#below(50)}" ${names}]) ${state} }`,
      `{ contracts(names: [${names}], waitMs: ${this.#below(60)}) ${state} }`,
      `{ contract(name: "quiet ${this.#below(20)}", waitMs: 300) ${state} }`,
      `{ contracts ${state} }`,
    ]);
  }

  #below(bound: number): number {
    return Math.floor(this.#random.next() * bound);
  }

  #pick<T>(items: readonly T[]): T {
    return items[this.#below(items.length)] as T;
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

function toWellFormed(text: string): string {
  return text.toWellFormed();
}
