import { setTimeout as pause } from 'node:timers/promises';
import { type Gateway, startGateway } from '../../src/app/gateway.ts';
import { readConfig } from '../../src/config/command-line.ts';
import { contractKey } from '../../src/contract/key.ts';
import { LocalTimeZone } from '../../src/contract/local-time.ts';
import { createLog } from '../../src/observability/log.ts';
import { Exchange } from '../../src/simulator/exchange.ts';
import { SeededRandom } from '../../src/simulator/random.ts';
import { marketState } from './gateway.ts';
import { LETTERS, type WalkCredentials, WalkKeys, WalkTokens } from './walk-credentials.ts';
import { WalkOperation } from './walk-operation.ts';

/** Who may come in, and how that is found out. */
export type WalkAuth = 'jwt' | 'keys';

/** How many connections each of those who walk may have, and more than they ever have on the walk. */
export const MOST_CONNECTIONS = 40;

const ZONE = new LocalTimeZone('Asia/Tehran');
/** Held for good, on a socket of its own: names and IDs never share one. */
const PINNED_ID = '1';
/** How many operations are under way at once. */
const AT_ONCE = 24;
const PUBLISH_MS = 4;
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
  readonly #seed: number;
  readonly #random: SeededRandom;
  readonly #exchange = new Exchange({
    basePath: '/ime',
    token: undefined,
    refuse: 'after',
    lists: (key) => !key.includes('unknown'),
  });
  #credentials: WalkCredentials | undefined;
  #gateway: Gateway | undefined;
  #publishing: NodeJS.Timeout | undefined;
  #operations = 0;
  #price = 0;

  constructor(seed: number, auth: WalkAuth) {
    this.#seed = seed;
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
    const random = new SeededRandom(this.#seed + 1);
    this.#credentials =
      this.#auth === 'keys'
        ? new WalkKeys(random, MOST_CONNECTIONS)
        : await WalkTokens.start(random);
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
      MAX_CONNECTIONS_PER_PRINCIPAL: String(MOST_CONNECTIONS),
      MAX_SUBSCRIPTIONS_PER_CONNECTION: '5',
      MAX_CONTRACTS_PER_CONNECTION: '12',
      ...this.#credentials.settings,
    });
    if (line.run !== 'start') throw new Error(JSON.stringify(line));
    const log = createLog('error', {
      write: (text) => {
        // A JWKS server that fails is said; it is what the walk has made it do.
        if (!text.includes('tokens cannot be checked')) this.faults.push(text);
      },
    });
    this.#gateway = await startGateway(line.config, log);
    this.#publishing = setInterval(() => this.#publish(), PUBLISH_MS);
  }

  /** Takes so many steps, some at once. */
  async run(steps: number): Promise<void> {
    const until = this.steps + steps;
    const walkers = Array.from({ length: AT_ONCE }, async () => {
      while (this.steps < until) await this.#operation();
    });
    await Promise.all(walkers);
  }

  /** What is left once everything that was taken has had time to come back. */
  async left(): Promise<WalkLeft> {
    const deadline = performance.now() + BACK_MS;
    for (;;) {
      const left = this.#left();
      const isBack = left.clients + left.subscriptions === 0 && left.contracts === 1;
      if ((isBack && left.upstream === 1) || performance.now() > deadline) return left;
      await pause(20);
    }
  }

  /** What each of those who walked shows now that nothing changes any more: they may see everything. */
  async settle(): Promise<string[]> {
    const shown = (await this.#credentials?.settle()) ?? [];
    this.gateway.reload();
    return shown;
  }

  async close(): Promise<void> {
    clearInterval(this.#publishing);
    await this.#gateway?.close();
    await this.#exchange.close();
    await this.#credentials?.close();
  }

  async #operation(): Promise<void> {
    if (this.#credentials === undefined) throw new Error('the walk has not been started');
    // By its number, so that it is the same however those that are under way at once interleave.
    const random = new SeededRandom(this.#seed * 1_000_003 + ++this.#operations);
    const operation = new WalkOperation(this.gateway.url, this.#credentials, random);
    const { kind, steps, leaks } = await operation.run();
    this.kinds[kind] = (this.kinds[kind] ?? 0) + 1;
    this.steps += steps;
    this.leaks.push(...leaks);
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
    const letter = LETTERS[this.#random.integer(0, LETTERS.length - 1)];
    const key = contractKey('name', `${letter}${this.#random.integer(0, 3)}`);
    this.#exchange.publish([key], ZONE.toLocal(Date.now()), marketState(String(++this.#price)));
  }
}
