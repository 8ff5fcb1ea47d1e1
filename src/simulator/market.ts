import type { BestLimit, MarketState } from '../contract/snapshot.ts';
import { CATALOGUE, type ListedContract } from './catalogue.ts';
import { SeededRandom } from './random.ts';

const LEVELS = 3;
/** The day's allowed range around the previous close. */
const RANGE_SHARE = 0.05;
/** Units of the underlying in one contract, for the traded value. */
const CONTRACT_SIZE = 10n;

interface Level {
  ticks: number;
  quantity: number;
}

/** One contract's market as the random walk moves it; prices in ticks. */
class ContractMarket {
  readonly #listed: ListedContract;
  readonly #random: SeededRandom;
  readonly #leastTicks: number;
  readonly #mostTicks: number;
  /** The best buy price; the best sell price is `#spread` above it. */
  #bidTicks: number;
  #spread: number;
  #buys: Level[] = [];
  #sells: Level[] = [];
  #lastTicks = 0;
  #openTicks = 0;
  #lowTicks = 0;
  #highTicks = 0;
  #trades = 0;
  #volume = 0;
  /** In tenths of the currency, for ticks of half a unit. */
  #valueTenths = 0n;
  #openInterest: number;
  #openInterestAtOpen: number;

  constructor(listed: ListedContract, random: SeededRandom) {
    this.#listed = listed;
    this.#random = random;
    this.#leastTicks = Math.ceil(listed.previousCloseTicks * (1 - RANGE_SHARE));
    this.#mostTicks = Math.floor(listed.previousCloseTicks * (1 + RANGE_SHARE));
    this.#bidTicks = listed.previousCloseTicks + random.integer(-20, 20);
    this.#spread = random.integer(1, 4);
    this.#openInterestAtOpen = random.integer(200, 20_000);
    this.#openInterest = this.#openInterestAtOpen;
    this.#quote();
  }

  /** One change: a trade, an order more or less, or a move of the whole book. */
  step(): void {
    const roll = this.#random.next();
    if (roll < 0.35) this.#trade();
    else if (roll < 0.7) this.#changeQuantity();
    else this.#move();
  }

  state(timeOfDay: { date: string; time: string }): MarketState {
    const { previousCloseTicks } = this.#listed;
    const traded = this.#trades > 0;
    const limits: BestLimit[] = this.#buys.map((buy, level) => ({
      level: level + 1,
      buyQuantity: String(buy.quantity),
      buyPrice: this.#price(buy.ticks),
      sellQuantity: String(this.#sells[level]?.quantity ?? 0),
      sellPrice: this.#price(this.#sells[level]?.ticks ?? 0),
    }));
    return {
      bestLimits: limits,
      aggregate: {
        ...timeOfDay,
        tradeCount: String(this.#trades),
        totalVolume: String(this.#volume),
        totalValue: tenths(this.#valueTenths),
        closingPrice: this.#price(traded ? this.#lastTicks : previousCloseTicks),
        lastPrice: this.#price(traded ? this.#lastTicks : 0),
        lowPrice: this.#price(this.#lowTicks),
        highPrice: this.#price(this.#highTicks),
        openPrice: this.#price(this.#openTicks),
        previousClose: this.#price(previousCloseTicks),
      },
      allowedPriceRange: {
        minAllowedPrice: this.#price(this.#leastTicks),
        maxAllowedPrice: this.#price(this.#mostTicks),
      },
      contractInfo: {
        openInterest: String(this.#openInterest),
        openInterestChanges: String(this.#openInterest - this.#openInterestAtOpen),
      },
    };
  }

  #trade(): void {
    const buyerTakes = this.#random.chance(0.5);
    const book = buyerTakes ? this.#sells : this.#buys;
    const best = book[0];
    if (best === undefined) return;
    const quantity = this.#random.integer(1, Math.min(best.quantity, 12));
    best.quantity -= quantity;
    const ticks = best.ticks;
    this.#lastTicks = ticks;
    if (this.#trades === 0) this.#openTicks = this.#lowTicks = this.#highTicks = ticks;
    this.#lowTicks = Math.min(this.#lowTicks, ticks);
    this.#highTicks = Math.max(this.#highTicks, ticks);
    this.#trades++;
    this.#volume += quantity;
    const priceTenths = BigInt(ticks) * BigInt(Math.round(this.#listed.tick * 10));
    this.#valueTenths += priceTenths * BigInt(quantity) * CONTRACT_SIZE;
    const opened = this.#random.integer(-quantity, quantity);
    this.#openInterest = Math.max(0, this.#openInterest + opened);
    // An empty best level takes the book with it in the direction of the trade.
    if (best.quantity === 0) this.#shift(buyerTakes ? 1 : -1);
  }

  #changeQuantity(): void {
    const book = this.#random.chance(0.5) ? this.#buys : this.#sells;
    const level = book[this.#random.integer(0, LEVELS - 1)];
    if (level === undefined) return;
    const quantity = this.#random.integer(1, 60);
    level.quantity = quantity === level.quantity ? quantity + 1 : quantity;
  }

  #move(): void {
    const pull =
      (this.#listed.previousCloseTicks - this.#bidTicks) / this.#listed.previousCloseTicks;
    this.#shift(this.#random.chance(0.5 + 4 * pull) ? 1 : -1);
  }

  #shift(direction: 1 | -1): void {
    this.#spread = this.#random.integer(1, 4);
    const lowestBid = this.#leastTicks + LEVELS;
    const highestBid = this.#mostTicks - this.#spread - LEVELS;
    const bid = this.#bidTicks + direction * this.#random.integer(1, 3);
    this.#bidTicks = Math.min(highestBid, Math.max(lowestBid, bid));
    this.#quote();
  }

  #quote(): void {
    const askTicks = this.#bidTicks + this.#spread;
    const quantity = () => this.#random.integer(1, 60);
    const levels = Array.from({ length: LEVELS }, (_, level) => level);
    this.#buys = levels.map((level) => ({ ticks: this.#bidTicks - level, quantity: quantity() }));
    this.#sells = levels.map((level) => ({ ticks: askTicks + level, quantity: quantity() }));
  }

  #price(ticks: number): string {
    return tenths(BigInt(ticks) * BigInt(Math.round(this.#listed.tick * 10)));
  }
}

/** The simulator's market: a random walk of all its contracts that a seed repeats exactly. */
export class SimulatedMarket {
  readonly contracts: readonly ListedContract[];
  readonly #markets: readonly ContractMarket[];
  readonly #random: SeededRandom;
  readonly #totalActivity: number;

  constructor(seed: number, contracts: readonly ListedContract[] = CATALOGUE) {
    this.contracts = contracts;
    this.#random = new SeededRandom(seed);
    this.#markets = contracts.map((listed) => new ContractMarket(listed, this.#random));
    this.#totalActivity = contracts.reduce((sum, { activity }) => sum + activity, 0);
  }

  /** Changes one contract, busy ones more often. @returns its place in {@link contracts} */
  step(): number {
    let at = this.#random.next() * this.#totalActivity;
    let chosen = 0;
    for (const [index, { activity }] of this.contracts.entries()) {
      chosen = index;
      at -= activity;
      if (at < 0) break;
    }
    this.#markets[chosen]?.step();
    return chosen;
  }

  /** @param localTime the exchange's local time, `YYYY-MM-DDTHH:MM:SS.ffffff` */
  state(contract: number, localTime: string): MarketState {
    const market = this.#markets[contract];
    if (market === undefined) throw new RangeError(`expected a listed contract, got ${contract}`);
    return market.state({ date: localTime.slice(0, 10), time: localTime.slice(11, 19) });
  }
}

function tenths(value: bigint): string {
  return value % 10n === 0n ? String(value / 10n) : `${value / 10n}.${value % 10n}`;
}
