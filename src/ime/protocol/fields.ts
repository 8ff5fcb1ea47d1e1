/**
 * IME's names of the fields of a market state, and ours.
 * Source: `ime-live-data-api.md`, the API document of the HedgeTech IME Live Data service.
 */
import type {
  Aggregate,
  AllowedPriceRange,
  BestLimit,
  ContractInfo,
} from '../../contract/snapshot.ts';

/** What every message says in its `channel`. */
export const CHANNEL = 'IME Stream';

/** How a field of IME is read. */
export type FieldKind = 'integer' | 'decimal' | 'text';
/** The fields of a section, by our names. */
export type Section<T> = {
  readonly [Field in keyof T]-?: readonly [imeName: string, kind: FieldKind];
};

/** How `BestLimit` names a level of the order book; it may have names that are none. */
export const LEVEL = /^[1-9]\d{0,2}$/;

/** One level of `BestLimit`. */
export const BEST_LIMIT: Section<Omit<BestLimit, 'level'>> = {
  buyQuantity: ['buy_quantity', 'integer'],
  buyPrice: ['buy_price', 'decimal'],
  sellQuantity: ['sell_quantity', 'integer'],
  sellPrice: ['sell_price', 'decimal'],
  buyOrderCount: ['buy_order_count', 'integer'],
  sellOrderCount: ['sell_order_count', 'integer'],
};
/** `Aggregate`. */
export const AGGREGATE: Section<Aggregate> = {
  date: ['date', 'text'],
  time: ['time', 'text'],
  tradeCount: ['trade_count', 'integer'],
  totalVolume: ['total_volume', 'integer'],
  totalValue: ['total_value', 'decimal'],
  closingPrice: ['closing_price', 'decimal'],
  lastPrice: ['last_price', 'decimal'],
  lowPrice: ['low_price', 'decimal'],
  highPrice: ['high_price', 'decimal'],
  openPrice: ['open_price', 'decimal'],
  previousClose: ['previous_close', 'decimal'],
};
/** `AllowedPriceRange`. */
export const ALLOWED_PRICE_RANGE: Section<AllowedPriceRange> = {
  minAllowedPrice: ['minAllowedPrice', 'decimal'],
  maxAllowedPrice: ['maxAllowedPrice', 'decimal'],
};
/** `ContractInfo`. */
export const CONTRACT_INFO: Section<ContractInfo> = {
  openInterest: ['open_interest', 'integer'],
  openInterestChanges: ['open_interest_changes', 'integer'],
  initialMargin: ['initial_margin', 'decimal'],
  requiredMargin: ['required_margin', 'decimal'],
};

/**
 * Fields that the API document does not have, but the makers' service for another exchange: where they are
 * left out nothing is missing.
 */
export const OPTIONAL_FIELDS: ReadonlySet<string> = new Set([
  'buy_order_count',
  'sell_order_count',
  'initial_margin',
  'required_margin',
]);
