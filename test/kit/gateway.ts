import { onTestFinished } from 'vitest';
import { type Gateway, startGateway } from '../../src/app/gateway.ts';
import { type Config, readConfig } from '../../src/config/command-line.ts';
import type { ContractKey } from '../../src/contract/key.ts';
import { contractKey } from '../../src/contract/key.ts';
import { LocalTimeZone } from '../../src/contract/local-time.ts';
import type { MarketState, Snapshot } from '../../src/contract/snapshot.ts';
import { createLog } from '../../src/observability/log.ts';
import { Exchange, type ExchangeOptions } from '../../src/simulator/exchange.ts';

export const TEHRAN = new LocalTimeZone('Asia/Tehran');

/** A gateway of this test's own, on a free port; closed with the test. */
export async function testGateway(
  settings: Partial<Record<keyof Config, string>> = {},
): Promise<Gateway> {
  const commandLine = readConfig([], { PORT: '0', AUTH: 'none', LOG_LEVEL: 'silent', ...settings });
  if (commandLine.run !== 'start') throw new Error(JSON.stringify(commandLine));
  const gateway = await startGateway(commandLine.config, createLog(commandLine.config.LOG_LEVEL));
  onTestFinished(() => gateway.close());
  return gateway;
}

/** An exchange of this test's own that lists what the test says; closed with the test. */
export class TestExchange {
  readonly exchange: Exchange;
  readonly unlisted = new Set<ContractKey>();
  url = '';
  #port = 0;

  constructor(
    token?: string,
    refuse: 'before' | 'after' = 'after',
    more: Partial<ExchangeOptions> = {},
  ) {
    this.exchange = new Exchange({
      ...more,
      basePath: '/ime',
      token,
      refuse,
      lists: (key) => (more.lists?.(key) ?? true) && !this.unlisted.has(key),
    });
    onTestFinished(() => this.exchange.close());
  }

  async listen(): Promise<this> {
    this.url = await this.exchange.listen(this.#port);
    this.#port = Number(new URL(this.url).port);
    return this;
  }

  /** Publishes a state whose last price is `lastPrice`, as of now. */
  publish(
    key: ContractKey,
    lastPrice: string | number,
    timestamp = TEHRAN.toLocal(Date.now()),
  ): void {
    this.exchange.publish([key], timestamp, marketState(String(lastPrice)));
  }

  /** Waits until every one of `keys` is carried by a subscription. */
  async carries(keys: readonly ContractKey[], withinMs = 20_000): Promise<void> {
    const carriesAll = () => {
      const carried = new Set(this.exchange.subscriptions.flatMap((set) => [...set]));
      return keys.every((key) => carried.has(key));
    };
    await until(carriesAll, `the exchange carries ${keys.length} contracts`, withinMs);
  }
}

/**
 * An exchange with a gateway that has pinned some of its contracts.
 *
 * @param pinned their names
 */
export async function pinnedMarket(
  pinned: readonly string[],
  settings: Partial<Record<keyof Config, string>> = {},
): Promise<[TestExchange, Gateway]> {
  const exchange = await new TestExchange().listen();
  const gateway = await testGateway({
    IME_URL: exchange.url,
    IME_PINNED_NAMES: pinned.join(','),
    ...settings,
  });
  await exchange.carries(names(...pinned));
  return [exchange, gateway];
}

/** {@link pinnedMarket}, its contracts LIVE: their first states, each 1, came in an order of the test's own. */
export async function liveMarket(
  pinned: readonly string[],
  published: readonly string[],
  settings: Partial<Record<keyof Config, string>> = {},
): Promise<[TestExchange, Gateway]> {
  const [exchange, gateway] = await pinnedMarket(pinned, settings);
  for (const key of names(...published)) exchange.publish(key, 1);
  await until(() => gateway.report().contracts.LIVE === pinned.length, 'all are live');
  return [exchange, gateway];
}

export function names(...texts: string[]): ContractKey[] {
  return texts.map((text) => contractKey('name', text));
}

/** A snapshot as a source tells it, complete but for IME's own message. */
export function snapshotOf(lastPrice: number, receivedAtMs = 1): Snapshot {
  const timestamp = '2026-05-23T15:10:00';
  return { timestamp, receivedAtMs, raw: '{}', ...marketState(String(lastPrice)) };
}

/** A complete market state; every number in it is written as given. */
export function marketState(lastPrice: string): MarketState {
  return {
    bestLimits: [1, 2, 3].map((level) => ({
      level,
      buyQuantity: String(level),
      buyPrice: String(100 - level),
      sellQuantity: String(level + 3),
      sellPrice: String(100 + level),
    })),
    aggregate: {
      date: '2026-05-23',
      time: '15:10:00',
      tradeCount: '3',
      totalVolume: '12',
      totalValue: '12345678901234567891',
      closingPrice: '100',
      lastPrice,
      lowPrice: '90',
      highPrice: '110',
      openPrice: '95',
      previousClose: '80',
    },
    allowedPriceRange: { minAllowedPrice: '1', maxAllowedPrice: '9999999999' },
    contractInfo: { openInterest: '7', openInterestChanges: '-2' },
  };
}

/** Waits until `holds`; fails with `what` was waited for. */
export async function until(holds: () => boolean, what: string, withinMs = 20_000): Promise<void> {
  const deadline = performance.now() + withinMs;
  while (!holds()) {
    if (performance.now() > deadline) throw new Error(`waited ${withinMs} ms until ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
