/** The upstream of every gateway in a benchmark: IME's endpoints, published to on command. */
import type { ContractKey } from '../src/contract/key.ts';
import { LocalTimeZone } from '../src/contract/local-time.ts';
import { Exchange } from '../src/simulator/exchange.ts';

/** What the benchmark tells its upstream. */
export interface UpstreamCommand {
  /** Contracts published together, by name. */
  readonly names: readonly string[];
  /** How often that happens; 0 stops. */
  readonly everyMs: number;
  /** How many times that happens; without end where it is missing. */
  readonly times?: number;
}

const zone = new LocalTimeZone('Asia/Tehran');
const exchange = new Exchange({
  basePath: '/ime',
  token: undefined,
  refuse: 'after',
  lists: () => true,
});
let timer: NodeJS.Timeout | undefined;

function publish(key: ContractKey): void {
  // The price is the time of publication in microseconds, so that a client can tell the latency.
  const price = String(Math.round((performance.timeOrigin + performance.now()) * 1_000));
  exchange.publish([key], zone.toLocal(Date.now()), {
    bestLimits: [1, 2, 3].map((level) => ({
      level,
      buyQuantity: '120',
      buyPrice: String(152_300_000 - level * 1_000),
      sellQuantity: '87',
      sellPrice: String(152_300_000 + level * 1_000),
    })),
    aggregate: {
      date: '2026-05-23',
      time: '15:10:00',
      tradeCount: '1234',
      totalVolume: '56789',
      totalValue: '86491234000000',
      closingPrice: '152290000',
      lastPrice: price,
      lowPrice: '151000000',
      highPrice: '153000000',
      openPrice: '152000000',
      previousClose: '152310000',
    },
    allowedPriceRange: { minAllowedPrice: '144694500', maxAllowedPrice: '159925500' },
    contractInfo: { openInterest: '20123', openInterestChanges: '-12' },
  });
}

process.on('message', ({ names, everyMs, times = Number.POSITIVE_INFINITY }: UpstreamCommand) => {
  clearInterval(timer);
  if (everyMs === 0) return;
  let left = times;
  timer = setInterval(() => {
    if (--left <= 0) clearInterval(timer);
    for (const name of names) publish(`name:${name}`);
  }, everyMs);
});
process.on('disconnect', () => process.exit());
process.send?.({ url: await exchange.listen(0) });
