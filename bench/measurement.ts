/** One measurement: what it costs, and in what unit. */
export interface Measurement {
  readonly value: number;
  /** What else was seen, in words. */
  readonly note?: string;
}

/** Everything that a market state has. */
export const SELECTION = `id status snapshot { sequence timestamp
  bestLimits { level buyQuantity buyPrice sellQuantity sellPrice }
  aggregate { date time tradeCount totalVolume totalValue closingPrice lastPrice lowPrice highPrice openPrice previousClose }
  allowedPriceRange { minAllowedPrice maxAllowedPrice }
  contractInfo { openInterest openInterestChanges } }`;

/** A subscription to everything of some contracts. */
export function subscriptionTo(names: readonly string[]) {
  const query = `subscription ($names: [String!]) { contractUpdates(names: $names) { ${SELECTION} } }`;
  return { query, variables: { names } };
}

/** Waits. */
export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** The value that 99 of 100 do not exceed. Sorts `values`. */
export function p99(values: number[]): number {
  values.sort((a, b) => a - b);
  return values[Math.floor(values.length * 0.99)] ?? Number.NaN;
}
