import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { WebSocket } from 'ws';
import { hashOfKey, type KeyEntry } from '../../src/access/key-file.ts';
import type { Config } from '../../src/config/command-line.ts';
import { LocalTimeZone } from '../../src/contract/local-time.ts';
import type { MarketState } from '../../src/contract/snapshot.ts';
import { Exchange } from '../../src/simulator/exchange.ts';
import { Attacked } from './attacked.ts';

const ZONE = new LocalTimeZone('Asia/Tehran');
/** The contracts that the gateway under attack holds, besides the witness's. */
export const HELD = Array.from({ length: 500 }, (_, at) => `c${at}`);
/** The witness's contract, and how often it changes. */
const WITNESSED = 'A';
const PUBLISH_MS = 20;
/** Who attacks and who watches, each with a key of its own. */
const ATTACKER = 'attackers-key';
const WITNESS = 'witness-key';

/** A market state with all that IME sends, its last price as given. */
export function fullState(lastPrice: number): MarketState {
  const limit = (level: number) => ({
    level,
    buyQuantity: String(100 + level),
    buyPrice: String(1_234_500 - level),
    sellQuantity: String(200 + level),
    sellPrice: String(1_234_500 + level),
  });
  return {
    bestLimits: [1, 2, 3, 4, 5].map(limit),
    aggregate: {
      date: '2026-05-23',
      time: '15:10:00',
      tradeCount: '31',
      totalVolume: '1200',
      totalValue: '12345678901234567891',
      closingPrice: '1234500',
      lastPrice: String(lastPrice),
      lowPrice: '1230000',
      highPrice: '1240000',
      openPrice: '1233000',
      previousClose: '1234000',
    },
    allowedPriceRange: { minAllowedPrice: '1200000', maxAllowedPrice: '1300000' },
    contractInfo: { openInterest: '4321', openInterestChanges: '-12' },
  };
}

/** An ordinary client beside the attacks: what it is told of one contract, and how late. */
class Witness {
  readonly prices: number[] = [];
  /** How long after its publication each update came, in milliseconds. */
  latenciesMs: number[] = [];
  closed: number | undefined;
  readonly #socket: WebSocket;

  constructor(url: string, token: string, publishedAtMs: ReadonlyMap<number, number>) {
    this.#socket = new WebSocket(`${url.replace('http', 'ws')}/graphql`, 'graphql-transport-ws', {
      headers: { authorization: `Bearer ${token}` },
    });
    this.#socket.on('error', () => {});
    this.#socket.on('close', (code) => {
      this.closed = code;
    });
    this.#socket.on('open', () => this.#socket.send('{"type":"connection_init"}'));
    this.#socket.on('message', (data) => {
      const nowMs = performance.now();
      const text = String(data);
      if (text.includes('connection_ack')) {
        const query = `subscription { contractUpdates(names: ["${WITNESSED}"]) { status snapshot { aggregate { lastPrice } } } }`;
        this.#socket.send(JSON.stringify({ id: '1', type: 'subscribe', payload: { query } }));
        return;
      }
      const price = Number(/"lastPrice":"(\d+)"/.exec(text)?.[1] ?? Number.NaN);
      if (Number.isNaN(price)) return;
      this.prices.push(price);
      const sentAtMs = publishedAtMs.get(price);
      if (sentAtMs !== undefined) this.latenciesMs.push(nowMs - sentAtMs);
    });
  }

  /** How late the latest 1 % came at least since this was asked last. */
  takeP99Ms(): number {
    const sorted = this.latenciesMs.sort((a, b) => a - b);
    this.latenciesMs = [];
    return sorted[Math.floor(sorted.length * 0.99)] ?? 0;
  }

  close(): void {
    this.#socket.terminate();
  }
}

/**
 * Where attacks happen: an exchange, a gateway in a process of its own with everything at its default but
 * what a test says, and somebody beside who is served all the while.
 */
export class AttackGround {
  readonly exchange: Exchange;
  readonly keysFile: string;
  /** Where the exchange is. */
  imeUrl = '';
  /** What the attacker shows. */
  readonly token: string;
  readonly #witnessToken: string;
  readonly #folder = mkdtempSync(join(tmpdir(), 'attacked-'));
  readonly #settings: Partial<Record<keyof Config, string>>;
  readonly #publishedAtMs = new Map<number, number>();
  readonly #open = new Set<Socket | WebSocket>();
  readonly #expected = new Set<string>();
  #gateway: Attacked | undefined;
  #witness: Witness | undefined;
  #publishing: NodeJS.Timeout | undefined;
  #price = 0;

  /** @param more further tokens, and the one that the exchange wants */
  constructor(
    settings: Partial<Record<keyof Config, string>> = {},
    more: { readonly attacker?: string; readonly witness?: string; readonly ime?: string } = {},
  ) {
    this.#settings = settings;
    this.token = more.attacker ?? ATTACKER;
    this.#witnessToken = more.witness ?? WITNESS;
    this.keysFile = join(this.#folder, 'keys.json');
    this.exchange = new Exchange({
      basePath: '/ime',
      token: more.ime,
      refuse: 'after',
      lists: (key) => !key.includes('unknown'),
    });
  }

  get gateway(): Attacked {
    if (this.#gateway === undefined) throw new Error('nothing has been started');
    return this.#gateway;
  }

  get witness(): Witness {
    if (this.#witness === undefined) throw new Error('nothing has been started');
    return this.#witness;
  }

  /**
   * Starts all of it; every contract is LIVE then.
   *
   * @param first is done before anybody else comes
   */
  async start(
    held: readonly string[] = HELD,
    first: (ground: this) => Promise<void> = async () => {},
  ): Promise<this> {
    this.writeKeys({});
    this.imeUrl = await this.exchange.listen(0);
    this.#gateway = await Attacked.start({
      AUTH: 'keys',
      AUTH_KEYS_FILE: this.keysFile,
      IME_URL: this.imeUrl,
      IME_PINNED_NAMES: [WITNESSED, ...held].join(','),
      IME_LINGER_MS: '200',
      ...this.#settings,
    });
    await this.until('every contract is carried', async () => {
      const carried = new Set(this.exchange.subscriptions.flatMap((keys) => [...keys]));
      return carried.size > held.length;
    });
    for (const name of held) this.publish(name, 1);
    await first(this);
    this.publishWitnessed();
    this.#witness = new Witness(this.gateway.url, this.#witnessToken, this.#publishedAtMs);
    await this.until('the witness is told something', async () => this.witness.prices.length > 0);
    await this.until('every contract is live', async () => {
      return (await this.gateway.usage()).report.contracts.LIVE > held.length;
    });
    this.#publishing = setInterval(() => this.publishWitnessed(), PUBLISH_MS);
    return this;
  }

  async close(): Promise<void> {
    clearInterval(this.#publishing);
    this.leave();
    this.#witness?.close();
    await this.#gateway?.close();
    await this.exchange.close();
    rmSync(this.#folder, { recursive: true });
  }

  /** Writes the key file: the attacker's key with what is given, or none. */
  writeKeys(attacker: Partial<KeyEntry> | undefined): void {
    const entry = (label: string, key: string, more: Partial<KeyEntry> = {}): KeyEntry => ({
      label,
      sha256: hashOfKey(key),
      ...more,
    });
    const keys = [entry('witness', WITNESS)];
    if (attacker !== undefined) keys.push(entry('attacker', ATTACKER, attacker));
    writeFileSync(`${this.keysFile}.new`, JSON.stringify({ keys }));
    renameSync(`${this.keysFile}.new`, this.keysFile);
  }

  publish(name: string, lastPrice: number): void {
    this.exchange.publish([`name:${name}`], ZONE.toLocal(Date.now()), fullState(lastPrice));
  }

  /** The next price of the witness's contract. */
  publishWitnessed(): void {
    this.#publishedAtMs.set(++this.#price, performance.now());
    this.publish(WITNESSED, this.#price);
  }

  /** Publishes nothing until `run` is over, so that what it costs is its own. */
  async quietly<T>(run: () => Promise<T>): Promise<T> {
    clearInterval(this.#publishing);
    try {
      return await run();
    } finally {
      this.#publishing = setInterval(() => this.publishWitnessed(), PUBLISH_MS);
    }
  }

  /** A TCP connection of the attacker's; the ground ends it with {@link leave} at the latest. */
  socket(): Socket {
    const socket = connect(this.gateway.port, '127.0.0.1');
    socket.on('error', () => {});
    this.#open.add(socket);
    socket.on('close', () => this.#open.delete(socket));
    return socket;
  }

  /** A WebSocket of the attacker's that is acknowledged. */
  async webSocket(): Promise<WebSocket> {
    const socket = new WebSocket(
      `${this.gateway.url.replace('http', 'ws')}/graphql`,
      'graphql-transport-ws',
      { headers: { authorization: `Bearer ${this.token}` }, perMessageDeflate: false },
    );
    this.#open.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => this.#open.delete(socket));
    await new Promise<void>((resolve, reject) => {
      socket.once('open', () => socket.send('{"type":"connection_init"}'));
      socket.once('message', () => resolve());
      socket.once('close', () => reject(new Error('a connection was refused')));
    });
    return socket;
  }

  /** The attacker goes away, rudely. */
  leave(): void {
    for (const socket of this.#open) {
      if (socket instanceof WebSocket) socket.terminate();
      else socket.destroy();
    }
    this.#open.clear();
  }

  /**
   * What must hold after every attack: the process lives, its log has no fault, what was taken is given back,
   * and the witness has the latest state and has missed nothing.
   *
   * @throws where one of these does not
   */
  async settle(): Promise<void> {
    this.leave();
    await this.until('what was taken is given back', async () => {
      const { clients, subscriptions } = (await this.gateway.usage()).report;
      return clients === 1 && subscriptions === 1;
    });
    await this.until('the attacker is served again', async () => {
      return (await this.ask('{__typename status{ready}}')).includes('"__typename":"Query"');
    });
    const { faults: lines } = await this.gateway.usage();
    const faults = lines.filter((line) => !this.#expected.has(line));
    if (faults.length > 0) throw new Error(`a fault in the log: ${faults[0]?.slice(0, 1_000)}`);
    if (this.witness.closed !== undefined)
      throw new Error(`the witness was closed: ${this.witness.closed}`);
    const last = this.#price;
    await this.until('the witness has the latest state', async () => {
      return (this.witness.prices.at(-1) ?? 0) >= last;
    });
    const { prices } = this.witness;
    const gap = prices.findIndex((price, at) => at > 0 && price !== (prices[at - 1] ?? 0) + 1);
    if (gap !== -1)
      throw new Error(`the witness missed what is between ${prices[gap - 1]} and ${prices[gap]}`);
  }

  /** Lines of the log that an attack has to cause. */
  expectFaults(lines: readonly string[]): void {
    for (const line of lines) this.#expected.add(line);
  }

  /** What the witness has missed so far was IME's fault. */
  forgive(): void {
    this.witness.prices.length = 0;
    this.publishWitnessed();
  }

  /** Asks a query in the attacker's name. @returns the text of the answer */
  async ask(query: string): Promise<string> {
    const response = await fetch(`${this.gateway.url}/graphql`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${this.token}` },
      body: JSON.stringify({ query }),
    });
    return response.text();
  }

  async until(what: string, holds: () => Promise<boolean>, withinMs = 15_000): Promise<void> {
    const deadline = performance.now() + withinMs;
    for (;;) {
      if (this.#gateway?.end !== undefined) throw new Error(this.#gateway.end);
      if (await holds()) return;
      if (performance.now() > deadline) throw new Error(`waited ${withinMs} ms until ${what}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}
