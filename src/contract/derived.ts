import { Big } from 'big.js';
import type { Aggregate, BestLimit, Digits } from './snapshot.ts';

/** Decimal places of a percentage, which has no exact decimal form in general. */
export const PERCENT_PLACES = 4;
/** Numbers beyond this many digits before or after the point are not calculated with. */
const MOST_DIGITS = 100;

/** An order, or several at one price. */
export interface Quote {
  readonly price: Digits;
  readonly quantity: Digits;
}

/** The best price that somebody buys at, with IME's digits; null where nobody does. */
export function bestBid(limits: readonly BestLimit[] | null): Quote | null {
  const best = limits?.[0];
  return best ? quote(best.buyPrice, best.buyQuantity) : null;
}

/** The best price that somebody sells at, with IME's digits; null where nobody does. */
export function bestAsk(limits: readonly BestLimit[] | null): Quote | null {
  const best = limits?.[0];
  return best ? quote(best.sellPrice, best.sellQuantity) : null;
}

/** The price of the last trade, with IME's digits; null before the first one. */
export function lastTradePrice(aggregate: Aggregate | null): Digits | null {
  const last = aggregate?.lastPrice ?? null;
  return last === null || isNothing(last) ? null : last;
}

/** Best sell price less best buy price; null where the book lacks one of them. */
export function spread(limits: readonly BestLimit[] | null): Digits | null {
  const best = bestPrices(limits);
  return best === null ? null : best.sell.minus(best.buy).toFixed();
}

/** The middle of best buy and best sell price; null where the book lacks one of them. */
export function midPrice(limits: readonly BestLimit[] | null): Digits | null {
  const best = bestPrices(limits);
  // Half of a decimal is its product with 0.5: exact, unlike a division.
  return best === null ? null : best.buy.plus(best.sell).times('0.5').toFixed();
}

/** Last price less previous close; null without a trade today or a previous close. */
export function lastPriceChange(aggregate: Aggregate | null): Digits | null {
  const last = price(aggregate?.lastPrice);
  const close = price(aggregate?.previousClose);
  return last && close && last.minus(close).toFixed();
}

/**
 * {@link lastPriceChange} in percent of the previous close, rounded half away from zero to
 * {@link PERCENT_PLACES} places, zeros at the end left out.
 */
export function lastPriceChangePercent(aggregate: Aggregate | null): Digits | null {
  const last = price(aggregate?.lastPrice);
  const close = price(aggregate?.previousClose);
  if (last === null || close === null) return null;
  // Multiplying first leaves one division, which is rounded once.
  const percent = divide(last.minus(close).times(100), close);
  return percent.toFixed();
}

function quote(price: Digits | null, quantity: Digits | null): Quote | null {
  if (price === null || quantity === null || isNothing(price) || isNothing(quantity)) return null;
  return { price, quantity };
}

/** Whether it is 0, however written: what IME sends for nothing. */
function isNothing(digits: Digits): boolean {
  return !/[1-9]/.test(digits.replace(/[eE].*$/, ''));
}

const Division = Big();
Division.DP = PERCENT_PLACES;
Division.RM = Big.roundHalfUp;

function divide(dividend: Big, divisor: Big): Big {
  return new Division(dividend).div(divisor);
}

function bestPrices(limits: readonly BestLimit[] | null): { buy: Big; sell: Big } | null {
  const best = limits?.[0];
  const buy = price(best?.buyPrice);
  const sell = price(best?.sellPrice);
  return buy && sell && { buy, sell };
}

/** A price that can be calculated with: IME sends 0 where there is none. */
function price(digits: Digits | null | undefined): Big | null {
  if (digits === null || digits === undefined || digits.length > MOST_DIGITS) return null;
  const exponent = /[eE]([+-]?\d+)$/.exec(digits)?.[1];
  if (exponent !== undefined && Math.abs(Number(exponent)) > MOST_DIGITS) return null;
  const value = new Big(digits);
  return value.eq(0) ? null : value;
}
