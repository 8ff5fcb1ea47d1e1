import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { LocalTimeZone } from '../src/contract/local-time.ts';
import type { MarketState } from '../src/contract/snapshot.ts';
import { decodeMessage } from '../src/ime/protocol/decode.ts';
import { imeBaseUrl, subscriptionUrl } from '../src/ime/protocol/endpoints.ts';
import { CATALOGUE } from '../src/simulator/catalogue.ts';
import { SimulatedMarket } from '../src/simulator/market.ts';
import { Simulator } from '../src/simulator/simulator.ts';

const NOW = '2026-05-23T15:10:00.000000';

function checkState(state: MarketState, last: MarketState | undefined, tick: number): void {
  const numbers = (limit: object) => Object.values(limit).map(Number);
  const [best, second, third] = (state.bestLimits ?? []).map((limit) => ({
    buy: Number(limit.buyPrice),
    sell: Number(limit.sellPrice),
  }));
  if (!best || !second || !third) throw new Error('expected three levels');
  expect(best.buy).toBeLessThan(best.sell);
  expect([best.buy, second.buy, third.buy]).toEqual(
    [best.buy, second.buy, third.buy].sort((a, b) => b - a),
  );
  expect([best.sell, second.sell, third.sell]).toEqual(
    [best.sell, second.sell, third.sell].sort((a, b) => a - b),
  );
  const { minAllowedPrice, maxAllowedPrice } = state.allowedPriceRange ?? {};
  for (const price of [third.buy, third.sell]) {
    expect(price).toBeGreaterThanOrEqual(Number(minAllowedPrice));
    expect(price).toBeLessThanOrEqual(Number(maxAllowedPrice));
    expect(price % tick).toBe(0);
  }
  for (const limit of state.bestLimits ?? []) {
    for (const value of numbers(limit)) expect(value).toBeGreaterThanOrEqual(0);
  }
  const { totalVolume, totalValue, tradeCount, lastPrice, lowPrice, highPrice } =
    state.aggregate ?? {};
  expect(Number(lowPrice)).toBeLessThanOrEqual(Number(lastPrice));
  expect(Number(lastPrice)).toBeLessThanOrEqual(Number(highPrice));
  for (const [now, before] of [
    [totalVolume, last?.aggregate?.totalVolume],
    [totalValue, last?.aggregate?.totalValue],
    [tradeCount, last?.aggregate?.tradeCount],
  ]) {
    expect(Number(now)).toBeGreaterThanOrEqual(Number(before ?? 0));
  }
}

describe('the simulated market', () => {
  test('moves believably, whatever its seed', () => {
    fc.assert(
      fc.property(fc.nat(), (seed) => {
        const market = new SimulatedMarket(seed);
        const last = new Map<number, MarketState>();
        for (let step = 0; step < 400; step++) {
          const place = market.step();
          const state = market.state(place, NOW);
          expect(state).not.toEqual(last.get(place));
          checkState(state, last.get(place), market.contracts[place]?.tick ?? 1);
          last.set(place, state);
        }
      }),
      { numRuns: 20 },
    );
  });

  test('is the same for the same seed and another for another', () => {
    const walk = (seed: number) => {
      const market = new SimulatedMarket(seed);
      return Array.from({ length: 200 }, () => market.state(market.step(), NOW));
    };
    expect(walk(7)).toEqual(walk(7));
    expect(walk(7)).not.toEqual(walk(8));
  });

  test('has forty contracts with distinct names and IDs, busy ones and quiet ones', () => {
    expect(CATALOGUE).toHaveLength(40);
    expect(new Set(CATALOGUE.map(({ name }) => name)).size).toBe(40);
    expect(new Set(CATALOGUE.map(({ id }) => id)).size).toBe(40);
    const activity = CATALOGUE.map((contract) => contract.activity);
    expect(Math.max(...activity) / Math.min(...activity)).toBeGreaterThan(100);
  });
});

describe('the simulator', () => {
  async function dial(url: string, token?: string): Promise<string> {
    const socket = new WebSocket(
      url,
      token ? { headers: { authorization: `Bearer ${token}` } } : {},
    );
    return new Promise((resolve) => {
      socket.on('error', (error) => resolve(error.message));
      socket.on('close', (code) => resolve(`close ${code}`));
      socket.on('message', (data, isBinary) => {
        const decoded = decodeMessage(data as Buffer, isBinary, 'id', 1);
        socket.terminate();
        resolve(decoded.ok ? decoded.key : decoded.fault);
      });
    });
  }

  test.each([
    ['after', 'close 1008'],
    ['before', 'Unexpected server response: 403'],
  ] as const)(
    'refuses a bad token and an unknown contract %s the handshake',
    async (refuse, refusal) => {
      const zone = new LocalTimeZone('Asia/Tehran');
      const simulator = new Simulator({
        seed: 1,
        updatesPerSecond: 100,
        token: 'good',
        refuse,
        zone,
      });
      try {
        const base = imeBaseUrl(await simulator.listen(0));
        const known = subscriptionUrl(base, 'id', ['id:007']);
        expect(await dial(known, 'good')).toBe('id:007');
        expect(await dial(known, 'bad')).toBe(refusal);
        expect(await dial(known)).toBe(refusal);
        expect(await dial(subscriptionUrl(base, 'id', ['id:007', 'id:7']), 'good')).toBe(refusal);
        expect(await dial(subscriptionUrl(base, 'id', []), 'good')).toBe(refusal);
      } finally {
        await simulator.close();
      }
    },
  );
});
