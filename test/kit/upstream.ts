import { onTestFinished } from 'vitest';
import type { Gateway } from '../../src/app/gateway.ts';
import type { ContractKey } from '../../src/contract/key.ts';
import { type ContractUpdate, Inbox, UPDATES, wsClient } from './clients.ts';
import { type TestExchange, until } from './gateway.ts';

export const numbered = (count: number, prefix = 'c') =>
  Array.from({ length: count }, (_, place) => `${prefix}${place}`);
export const pin = (texts: readonly string[]) => ({ IME_PINNED_NAMES: texts.join(',') });

/** Subscribes to contracts by name and keeps what is told. */
export function subscribed(gateway: Gateway, texts: readonly string[]): Inbox<ContractUpdate> {
  return new Inbox<ContractUpdate>(wsClient(gateway), UPDATES, { names: texts });
}

/** The status that each contract was told last. */
export function statuses(inbox: Inbox<ContractUpdate>): Map<string, string> {
  return new Map(inbox.values.map(({ contractUpdates: { id, status } }) => [id, status]));
}

export function lastStatus(inbox: Inbox<ContractUpdate>): string | undefined {
  return inbox.values.at(-1)?.contractUpdates.status;
}

export const settled = (gateway: Gateway) =>
  until(() => {
    const { sockets } = gateway.report().upstream;
    return sockets.length > 0 && sockets.every(({ state }) => state === 'settled');
  }, 'every socket is settled');

/** Publishes a number to each contract, higher by one each time, until the test is over. */
export function publishing(market: TestExchange, keys: readonly ContractKey[], everyMs = 5) {
  const published = new Map(keys.map((key) => [key, [] as string[]]));
  const timer = setInterval(() => {
    for (const key of keys) {
      const prices = published.get(key) ?? [];
      prices.push(String(prices.length + 1));
      market.publish(key, prices.length);
    }
  }, everyMs);
  const stop = () => clearInterval(timer);
  onTestFinished(stop);
  return { published, stop };
}
