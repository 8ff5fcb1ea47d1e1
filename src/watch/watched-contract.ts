/** What is asked of each contract. */
export const SELECTION = `id cursor name contractId status statusReason
  snapshot { timestamp lastTradePrice lastPriceChangePercent bestBid { price quantity } bestAsk { price quantity }
    aggregate { totalVolume } }`;

interface Quote {
  readonly price: string | null;
  readonly quantity: string | null;
}

/** A contract as the gateway tells it; numbers keep their digits. */
export interface WatchedContract {
  readonly id: string;
  readonly cursor: string;
  readonly name: string | null;
  readonly contractId: string | null;
  readonly status: 'PENDING' | 'LIVE' | 'STALE' | 'INVALID';
  readonly statusReason: string | null;
  readonly snapshot: {
    readonly timestamp: string;
    readonly lastTradePrice: string | null;
    readonly lastPriceChangePercent: string | null;
    readonly bestBid: Quote | null;
    readonly bestAsk: Quote | null;
    readonly aggregate: { readonly totalVolume: string | null } | null;
  } | null;
}
