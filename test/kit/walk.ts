import { type Client, createClient } from 'graphql-ws';
import { WebSocket } from 'ws';
import { type Gateway, startGateway } from '../../src/app/gateway.ts';
import { readConfig } from '../../src/config/command-line.ts';
import {
  type ContractKey,
  contractKey,
  contractTextOf,
  keySpaceOf,
} from '../../src/contract/key.ts';
import { LocalTimeZone } from '../../src/contract/local-time.ts';
import { createLog } from '../../src/observability/log.ts';
import { Exchange } from '../../src/simulator/exchange.ts';
import { SeededRandom } from '../../src/simulator/random.ts';

const ZONE = new LocalTimeZone('Asia/Tehran');
const CONTRACTS = 300;
const CLIENTS = 6;
const MAX_PER_SOCKET = 40;
const LINGER_MS = 200;
/** A refused contract is believed to be so for a minute at first, and then longer. */
const REMEMBERED_MS = 16 * 60_000;
const QUERY = `subscription ($names: [String!], $ids: [ID!]) {
  contractUpdates(names: $names, ids: $ids) { id status snapshot { aggregate { lastPrice } } }
}`;

interface Update {
  readonly contractUpdates: {
    readonly id: ContractKey;
    readonly status: string;
    readonly snapshot: { readonly aggregate: { readonly lastPrice: string } | null } | null;
  };
}

/** What one subscription was told. */
interface Told {
  readonly keys: readonly ContractKey[];
  readonly prices: Map<ContractKey, number[]>;
  readonly status: Map<ContractKey, string>;
  readonly end: () => void;
  completed: boolean;
}

/** What a walk has seen so far. */
export interface WalkReport {
  steps: number;
  quietPoints: number;
  published: number;
  told: number;
  faults: Record<string, number>;
  /** The slowest return to a right state after the last fault, in milliseconds. */
  slowestQuietMs: number;
  mostSockets: number;
}

/**
 * A random walk of subscribers, publications and faults against a gateway over real sockets, replayed
 * exactly by its seed as far as time allows. At every quiet point what each subscriber was told is
 * compared with what was published, and the sockets with their bound.
 */
export class Walk {
  readonly report: WalkReport = {
    steps: 0,
    quietPoints: 0,
    published: 0,
    told: 0,
    faults: {},
    slowestQuietMs: 0,
    mostSockets: 0,
  };
  readonly #random: SeededRandom;
  readonly #exchange: Exchange;
  readonly #keys: readonly ContractKey[];
  readonly #unlisted = new Set<ContractKey>();
  /** When each contract was last refused or delisted. */
  readonly #delistedAtMs = new Map<ContractKey, number>();
  readonly #published = new Map<ContractKey, number>();
  readonly #subscriptions = new Set<Told>();
  #clients: Client[] = [];
  #gateway: Gateway | undefined;
  /** The first thing that went wrong in a callback. */
  #failure: Error | undefined;
  #port = 0;

  constructor(seed: number) {
    this.#random = new SeededRandom(seed);
    this.#keys = Array.from({ length: CONTRACTS }, (_, place) =>
      contractKey(
        place % 3 === 0 ? 'id' : 'name',
        place % 5 === 0 ? `قرارداد ${place}` : `c${place}`,
      ),
    );
    this.#exchange = new Exchange({
      basePath: '/ime',
      token: 'good',
      refuse: 'after',
      lists: (key) => !this.#unlisted.has(key),
    });
  }

  /** The gateway under test. */
  get gateway(): Gateway {
    if (this.#gateway === undefined) throw new Error('the walk has not been started');
    return this.#gateway;
  }

  async start(): Promise<void> {
    const url = await this.#exchange.listen(0);
    this.#port = Number(new URL(url).port);
    const commandLine = readConfig([], {
      PORT: '0',
      AUTH: 'none',
      LOG_LEVEL: process.env['WALK_LOG'] ?? 'silent',
      IME_URL: url,
      IME_TOKEN: 'good',
      IME_LINGER_MS: String(LINGER_MS),
      IME_MAX_CONTRACTS_PER_SOCKET: String(MAX_PER_SOCKET),
      IME_PING_INTERVAL_MS: '1000',
      IME_PING_TIMEOUT_MS: '1000',
      // One contract that is always there and never delisted, as a canary.
      IME_PINNED_NAMES: 'canary one,canary two',
    });
    if (commandLine.run !== 'start') throw new Error(JSON.stringify(commandLine));
    this.#gateway = await startGateway(commandLine.config, createLog(commandLine.config.LOG_LEVEL));
    const clientUrl = `${this.#gateway.url.replace('http', 'ws')}/graphql`;
    this.#clients = Array.from({ length: CLIENTS }, () =>
      createClient({ url: clientUrl, webSocketImpl: WebSocket, lazy: false, retryAttempts: 0 }),
    );
    await this.#waitFor(
      () => this.gateway.report().upstream.sockets[0]?.state === 'settled',
      'the canary',
    );
  }

  /** Walks one stretch, calm or with faults, and checks what was told at its end. */
  async stretch(steps: number): Promise<void> {
    const calm = this.#random.chance(0.4);
    const before = new Map(
      Array.from(this.#subscriptions, (told) => [told, pricesSoFar(told)] as const),
    );
    const since = new Map(this.#published);
    for (let step = 0; step < steps; step++) {
      if (this.#failure !== undefined) throw this.#failure;
      this.report.steps++;
      await this.#step(calm);
    }
    await this.#quiet();
    if (calm) this.#checkNothingMissing(before, since);
  }

  async stop(): Promise<void> {
    this.#endAll();
    await Promise.all(this.#clients.map((client) => client.dispose()));
    await this.#gateway?.close();
    await this.#exchange.close();
  }

  /** Ends every subscription and waits until nothing but the canaries is carried. */
  async empty(): Promise<void> {
    this.#endAll();
    await this.#waitFor(
      () =>
        this.gateway.report().contracts.PENDING +
          this.gateway.report().contracts.LIVE +
          this.gateway.report().contracts.STALE <=
          2 && this.gateway.report().upstream.sockets.length === 1,
      'only the canaries are carried',
    );
  }

  #endAll(): void {
    const all = [...this.#subscriptions];
    this.#subscriptions.clear();
    for (const told of all) told.end();
  }

  async #step(calm: boolean): Promise<void> {
    const roll = this.#random.next();
    if (roll < 0.04) this.#subscribe();
    else if (roll < 0.07) this.#unsubscribe();
    else if (calm || roll < 0.97) this.#publishSome();
    else await this.#fault();
    await new Promise((resolve) => setTimeout(resolve, this.#random.integer(0, 15)));
  }

  #subscribe(): void {
    const keys = Array.from({ length: this.#random.integer(1, 40) }, () => this.#anyKey());
    const told: Told = {
      keys: [...new Set(keys)],
      prices: new Map(),
      status: new Map(),
      completed: false,
      end: () => unsubscribe(),
    };
    const of = (space: string) =>
      told.keys.filter((key) => keySpaceOf(key) === space).map(contractTextOf);
    const variables = {
      ...(of('name').length > 0 ? { names: of('name') } : {}),
      ...(of('id').length > 0 ? { ids: of('id') } : {}),
    };
    const client = this.#clients[this.#random.integer(0, CLIENTS - 1)];
    const unsubscribe =
      client?.subscribe<Update>(
        { query: QUERY, variables },
        {
          next: ({ data }) => data && this.#take(told, data.contractUpdates),
          error: (error) => {
            if (this.#subscriptions.has(told))
              this.#failed(`a subscription failed: ${String(error)}`);
          },
          complete: () => {
            told.completed = true;
          },
        },
      ) ?? (() => {});
    this.#subscriptions.add(told);
  }

  #take(told: Told, { id, status, snapshot }: Update['contractUpdates']): void {
    this.report.told++;
    const last = told.status.get(id);
    told.status.set(id, status);
    const price = snapshot?.aggregate?.lastPrice;
    if (price === undefined || status === 'INVALID') return;
    const prices = told.prices.get(id) ?? [];
    told.prices.set(id, prices);
    const newest = prices.at(-1) ?? 0;
    // A change of status or its reason brings the last state again; anything else must be newer.
    const again = Number(price) === newest && (status !== last || status !== 'LIVE');
    if (Number(price) <= newest && !again) {
      this.#failed(`${id}: ${price} was told after ${newest} (${last} to ${status})`);
    }
    if (!again) prices.push(Number(price));
  }

  #failed(what: string): void {
    this.#failure ??= new Error(what);
  }

  #unsubscribe(): void {
    const all = [...this.#subscriptions];
    const told = all[this.#random.integer(0, Math.max(0, all.length - 1))];
    if (told === undefined) return;
    this.#subscriptions.delete(told);
    told.end();
  }

  #publishSome(): void {
    for (let count = this.#random.integer(1, 20); count > 0; count--) this.#publish(this.#anyKey());
  }

  #publish(key: ContractKey): void {
    const price = (this.#published.get(key) ?? 0) + 1;
    this.#published.set(key, price);
    this.report.published++;
    const aggregate = {
      date: null,
      time: null,
      tradeCount: null,
      totalVolume: null,
      totalValue: null,
      closingPrice: null,
      lowPrice: null,
      highPrice: null,
      openPrice: null,
      previousClose: null,
      lastPrice: String(price),
    };
    this.#exchange.publish([key], ZONE.toLocal(Date.now()), {
      bestLimits: [],
      aggregate,
      allowedPriceRange: { minAllowedPrice: '1', maxAllowedPrice: '2' },
      contractInfo: { openInterest: '1', openInterestChanges: '0' },
    });
  }

  async #fault(): Promise<void> {
    const { faults } = this.#exchange;
    const kinds: Record<string, () => void | Promise<void>> = {
      'drop all': () => this.#exchange.drop(),
      'drop some with 1012': () => this.#exchange.drop(1012, () => this.#random.chance(0.5)),
      'drop some with 1011': () => this.#exchange.drop(1011, () => this.#random.chance(0.3)),
      delist: () => this.#delist(),
      relist: () => {
        for (const key of this.#unlisted) if (this.#random.chance(0.5)) this.#unlisted.delete(key);
      },
      'refuse before accepting': () => {
        this.#exchange.refuse = this.#exchange.refuse === 'after' ? 'before' : 'after';
      },
      'refuse late': () => {
        faults.refuseAfterMs = this.#random.integer(0, 300);
      },
      restart: async () => {
        await this.#exchange.close();
        await new Promise((resolve) => setTimeout(resolve, this.#random.integer(0, 1_500)));
        await this.#exchange.listen(this.#port);
      },
      freeze: async () => {
        faults.freeze();
        await new Promise((resolve) => setTimeout(resolve, this.#random.integer(0, 3_000)));
        faults.thaw();
      },
      junk: () => {
        for (const frame of ['', '{', '[]', '{"contractName":"x"}', Buffer.from([1])]) {
          this.#exchange.broadcast(frame);
        }
      },
      'open and die': async () => {
        faults.dieOnOpenMs = 10;
        this.#exchange.drop();
        await new Promise((resolve) => setTimeout(resolve, 1_000));
        faults.dieOnOpenMs = undefined;
      },
    };
    const names = Object.keys(kinds);
    const name = names[this.#random.integer(0, names.length - 1)] ?? 'drop all';
    this.report.faults[name] = (this.report.faults[name] ?? 0) + 1;
    await kinds[name]?.();
  }

  #delist(): void {
    const key = this.#anyKey();
    this.#unlisted.add(key);
    this.#delistedAtMs.set(key, performance.now());
    this.#exchange.drop(1008, (keys) => keys.has(key));
  }

  #anyKey(): ContractKey {
    return this.#keys[this.#random.integer(0, this.#keys.length - 1)] as ContractKey;
  }

  /** Lets everything come to rest and checks that every subscriber knows the last states. */
  async #quiet(): Promise<void> {
    this.report.quietPoints++;
    const startedMs = performance.now();
    const wanted = () => new Set([...this.#subscriptions].flatMap(({ keys }) => keys));
    await this.#waitFor(
      () => {
        const carried = new Set(this.#exchange.subscriptions.flatMap((keys) => [...keys]));
        return [...wanted()].every((key) => carried.has(key) || this.#mayBeInvalid(key));
      },
      () => `all wanted contracts are carried; ${JSON.stringify(this.gateway.report().upstream)}`,
    );
    await this.#waitFor(
      () => this.gateway.report().upstream.sockets.length <= this.#socketBound(),
      () =>
        `at most ${this.#socketBound()} sockets are open; ${JSON.stringify(this.gateway.report().upstream.sockets)}`,
    );
    this.report.mostSockets = Math.max(
      this.report.mostSockets,
      this.gateway.report().upstream.sockets.length,
    );
    for (const key of wanted()) this.#publish(key);
    await this.#waitFor(
      () => {
        this.#publishToRelisted();
        return this.#wrong() === undefined;
      },
      () =>
        `the last states are right; ${this.#wrong()}; ${JSON.stringify(this.gateway.report().upstream)}`,
    );
    this.report.slowestQuietMs = Math.max(
      this.report.slowestQuietMs,
      performance.now() - startedMs,
    );
  }

  /** A contract that was refused not long ago may be carried only now: its next state is to come. */
  #publishToRelisted(): void {
    for (const { keys, status } of this.#subscriptions) {
      for (const key of keys) {
        const waits = status.get(key) === 'PENDING' || status.get(key) === 'STALE';
        if (waits && this.#mayBeInvalid(key)) this.#publish(key);
      }
    }
  }

  /** What is not as it should be at a quiet point. */
  #wrong(): string | undefined {
    for (const { keys, prices, status, completed } of this.#subscriptions) {
      // All of its contracts were refused at one time, and it was told so: nothing else comes.
      if (completed && keys.every((key) => status.get(key) === 'INVALID')) continue;
      for (const key of keys) {
        const said = status.get(key);
        if (this.#unlisted.has(key)) {
          if (said !== 'INVALID') return `${key} is not listed, told ${said}`;
        } else if (said === 'INVALID' && this.#mayBeInvalid(key)) {
          // Refused not long ago and believed to be so: it is tried again in time.
        } else if (said !== 'LIVE') return `${key} is ${said}`;
        else if (prices.get(key)?.at(-1) !== this.#published.get(key)) {
          return `${key}: told ${prices.get(key)?.at(-1)}, published ${this.#published.get(key)}`;
        }
      }
      if (completed && !keys.every((key) => status.get(key) === 'INVALID'))
        return 'one has completed';
    }
    return undefined;
  }

  #mayBeInvalid(key: ContractKey): boolean {
    const delistedAtMs = this.#delistedAtMs.get(key);
    return delistedAtMs !== undefined && performance.now() - delistedAtMs < REMEMBERED_MS;
  }

  #socketBound(): number {
    const wanted = new Set([...this.#subscriptions].flatMap(({ keys }) => keys));
    let bound = 0;
    for (const space of ['name', 'id'] as const) {
      const count =
        [...wanted].filter((key) => keySpaceOf(key) === space).length + (space === 'name' ? 2 : 0);
      if (count > 0) bound += Math.ceil(count / MAX_PER_SOCKET) + 1;
    }
    return bound;
  }

  /** In a calm stretch a subscriber that was there before gets every update of its contracts. */
  #checkNothingMissing(
    before: ReadonlyMap<Told, ReadonlyMap<ContractKey, number>>,
    since: ReadonlyMap<ContractKey, number>,
  ): void {
    for (const [told, counts] of before) {
      if (!this.#subscriptions.has(told)) continue;
      for (const key of told.keys) {
        if (told.status.get(key) !== 'LIVE' || !counts.has(key)) continue;
        const got = told.prices.get(key)?.slice(counts.get(key)) ?? [];
        const last = this.#published.get(key) ?? 0;
        const expected = last - (since.get(key) ?? 0);
        if (got.length !== expected) {
          throw new Error(
            `${key}: ${expected} updates in a calm stretch, told ${got.length}: ${got}`,
          );
        }
      }
    }
  }

  async #waitFor(
    holds: () => boolean,
    what: string | (() => string),
    withinMs = 60_000,
  ): Promise<void> {
    const deadline = performance.now() + withinMs;
    while (!holds()) {
      if (this.#failure !== undefined) throw this.#failure;
      if (performance.now() > deadline) {
        throw new Error(`waited ${withinMs} ms until ${typeof what === 'string' ? what : what()}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}

/** How many prices of each contract that is LIVE a subscription was told so far. */
function pricesSoFar(told: Told): Map<ContractKey, number> {
  return new Map(
    told.keys
      .filter((key) => told.status.get(key) === 'LIVE')
      .map((key) => [key, told.prices.get(key)?.length ?? 0]),
  );
}
