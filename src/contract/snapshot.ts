/**
 * A number exactly as IME wrote it: the JSON number literal's own characters, never passed through
 * a binary float. `12345678901234567891` and `1.50` stay what they are.
 */
export type Digits = string;

/** One level of the order book. A field that IME left out or sent with a wrong type is null. */
export interface BestLimit {
  /** 1 is the best level. */
  readonly level: number;
  readonly buyQuantity: Digits | null;
  readonly buyPrice: Digits | null;
  readonly sellQuantity: Digits | null;
  readonly sellPrice: Digits | null;
  /** How many orders make up the quantity; null where IME does not say. */
  readonly buyOrderCount?: Digits | null;
  readonly sellOrderCount?: Digits | null;
}

/** The day's trading statistics. */
export interface Aggregate {
  readonly date: string | null;
  readonly time: string | null;
  readonly tradeCount: Digits | null;
  readonly totalVolume: Digits | null;
  readonly totalValue: Digits | null;
  readonly closingPrice: Digits | null;
  readonly lastPrice: Digits | null;
  readonly lowPrice: Digits | null;
  readonly highPrice: Digits | null;
  readonly openPrice: Digits | null;
  readonly previousClose: Digits | null;
}

/** The prices between which orders are accepted today. */
export interface AllowedPriceRange {
  readonly minAllowedPrice: Digits | null;
  readonly maxAllowedPrice: Digits | null;
}

/** Facts about the contract itself. */
export interface ContractInfo {
  readonly openInterest: Digits | null;
  readonly openInterestChanges: Digits | null;
  readonly initialMargin?: Digits | null;
  readonly requiredMargin?: Digits | null;
}

/** The four sections of a market state; a section that has never been sent is null. */
export interface MarketState {
  /** Best level first. */
  readonly bestLimits: readonly BestLimit[] | null;
  readonly aggregate: Aggregate | null;
  readonly allowedPriceRange: AllowedPriceRange | null;
  readonly contractInfo: ContractInfo | null;
}

/** The complete market state of a contract as of one message of IME. Immutable. */
export interface Snapshot extends MarketState {
  /** As IME sent it: local to IME's time zone, without a zone. */
  readonly timestamp: string;
  /** Epoch milliseconds at which the gateway received the message. */
  readonly receivedAtMs: number;
  /** IME's own message, as text. */
  readonly raw: string;
}

/** Fills the sections that `next` leaves out (null) with those of `last`. */
export function withKnownSections(next: Snapshot, last: Snapshot | null): Snapshot {
  if (last === null) return next;
  if (next.bestLimits && next.aggregate && next.allowedPriceRange && next.contractInfo) return next;
  return {
    timestamp: next.timestamp,
    receivedAtMs: next.receivedAtMs,
    raw: next.raw,
    bestLimits: next.bestLimits ?? last.bestLimits,
    aggregate: next.aggregate ?? last.aggregate,
    allowedPriceRange: next.allowedPriceRange ?? last.allowedPriceRange,
    contractInfo: next.contractInfo ?? last.contractInfo,
  };
}
