import {
  bestAsk,
  bestBid,
  lastPriceChange,
  lastPriceChangePercent,
  lastTradePrice,
  midPrice,
  PERCENT_PLACES,
  type Quote,
  spread,
} from '../contract/derived.ts';
import type {
  Aggregate,
  AllowedPriceRange,
  BestLimit,
  ContractInfo,
} from '../contract/snapshot.ts';
import type { NumberedSnapshot } from '../hub/contract-state.ts';
import { checkedBefore } from './argument-check.ts';
import { builder } from './builder.ts';
import { badUserInput } from './errors/coded-error.ts';

const BestLimitType = builder.objectRef<BestLimit>('BestLimit').implement({
  description: 'One level of the order book.',
  fields: (t) => ({
    level: t.exposeInt('level', {
      nullable: false,
      description: '1 is the best level.',
    }),
    buyQuantity: t.expose('buyQuantity', {
      type: 'BigInt',
      nullable: true,
      description: 'Contracts wanted at the buy price.',
    }),
    buyPrice: t.expose('buyPrice', {
      type: 'Decimal',
      nullable: true,
      description: 'The price that buyers at this level offer; 0 where nobody buys.',
    }),
    sellQuantity: t.expose('sellQuantity', {
      type: 'BigInt',
      nullable: true,
      description: 'Contracts offered at the sell price.',
    }),
    sellPrice: t.expose('sellPrice', {
      type: 'Decimal',
      nullable: true,
      description: 'The price that sellers at this level ask; 0 where nobody sells.',
    }),
    buyOrderCount: t.field({
      type: 'BigInt',
      nullable: true,
      description: 'How many orders to buy there are, where IME says so.',
      resolve: ({ buyOrderCount }) => buyOrderCount ?? null,
    }),
    sellOrderCount: t.field({
      type: 'BigInt',
      nullable: true,
      description: 'How many orders to sell there are, where IME says so.',
      resolve: ({ sellOrderCount }) => sellOrderCount ?? null,
    }),
  }),
});

const AggregateType = builder.objectRef<Aggregate>('Aggregate').implement({
  description: "The day's trading statistics.",
  fields: (t) => ({
    date: t.exposeString('date', {
      nullable: true,
      description: 'Trading date, as IME writes it.',
    }),
    time: t.exposeString('time', {
      nullable: true,
      description: 'Time of the last update, as IME writes it.',
    }),
    tradeCount: t.expose('tradeCount', {
      type: 'BigInt',
      nullable: true,
      description: 'Trades today.',
    }),
    totalVolume: t.expose('totalVolume', {
      type: 'BigInt',
      nullable: true,
      description: 'Contracts traded today.',
    }),
    totalValue: t.expose('totalValue', {
      type: 'Decimal',
      nullable: true,
      description: 'Value traded today.',
    }),
    closingPrice: t.expose('closingPrice', {
      type: 'Decimal',
      nullable: true,
      description: 'Closing price.',
    }),
    lastPrice: t.expose('lastPrice', {
      type: 'Decimal',
      nullable: true,
      description: 'Price of the last trade; 0 before the first trade of the day.',
    }),
    lowPrice: t.expose('lowPrice', {
      type: 'Decimal',
      nullable: true,
      description: 'Lowest price traded today.',
    }),
    highPrice: t.expose('highPrice', {
      type: 'Decimal',
      nullable: true,
      description: 'Highest price traded today.',
    }),
    openPrice: t.expose('openPrice', {
      type: 'Decimal',
      nullable: true,
      description: 'Price of the first trade of the day.',
    }),
    previousClose: t.expose('previousClose', {
      type: 'Decimal',
      nullable: true,
      description: 'Closing price of the trading day before.',
    }),
  }),
});

const AllowedPriceRangeType = builder.objectRef<AllowedPriceRange>('AllowedPriceRange').implement({
  description: 'The prices between which orders are accepted today.',
  fields: (t) => ({
    minAllowedPrice: t.expose('minAllowedPrice', {
      type: 'Decimal',
      nullable: true,
      description: 'Lowest price that is accepted.',
    }),
    maxAllowedPrice: t.expose('maxAllowedPrice', {
      type: 'Decimal',
      nullable: true,
      description: 'Highest price that is accepted.',
    }),
  }),
});

const ContractInfoType = builder.objectRef<ContractInfo>('ContractInfo').implement({
  description: 'Facts about the contract itself.',
  fields: (t) => ({
    openInterest: t.expose('openInterest', {
      type: 'BigInt',
      nullable: true,
      description: 'Contracts that are open.',
    }),
    openInterestChanges: t.expose('openInterestChanges', {
      type: 'BigInt',
      nullable: true,
      description: 'How many more or fewer that is than before.',
    }),
    initialMargin: t.field({
      type: 'Decimal',
      nullable: true,
      description: 'The margin that a new position needs, where IME says so.',
      resolve: ({ initialMargin }) => initialMargin ?? null,
    }),
    requiredMargin: t.field({
      type: 'Decimal',
      nullable: true,
      description: 'The margin that an open position needs, where IME says so.',
      resolve: ({ requiredMargin }) => requiredMargin ?? null,
    }),
  }),
});

const QuoteType = builder.objectRef<Quote>('Quote').implement({
  description: 'An order, or several at one price.',
  fields: (t) => ({
    price: t.expose('price', { type: 'Decimal', nullable: false, description: 'The price.' }),
    quantity: t.expose('quantity', {
      type: 'BigInt',
      nullable: false,
      description: 'Contracts at that price.',
    }),
  }),
});

/** The `Snapshot` type. */
export const SnapshotType = builder.objectRef<NumberedSnapshot>('Snapshot').implement({
  description: 'The complete market state of a contract as of one message of IME.',
  fields: (t) => ({
    sequence: t.expose('sequence', {
      type: 'BigInt',
      nullable: false,
      description:
        "Counts this contract's states in the order the gateway received them; a jump means that states in between were skipped for this client.",
    }),
    timestamp: t.expose('timestamp', {
      type: 'LocalDateTime',
      nullable: false,
      description: 'As IME sent it: no zone, microseconds.',
    }),
    publishedAt: t.field({
      type: 'DateTime',
      nullable: false,
      description:
        '`timestamp` as an instant, with the offset of IME_TIME_ZONE and all six digits.',
      resolve: (snapshot, _args, { zone }) => zone.toInstant(snapshot.timestamp),
    }),
    receivedAt: t.field({
      type: 'DateTime',
      nullable: false,
      description: 'When the gateway received it.',
      resolve: (snapshot) => snapshot.receivedAtMs,
    }),
    bestLimits: t.field({
      type: [BestLimitType],
      nullable: false,
      description: 'The order book, best level first.',
      args: {
        depth: t.arg.int({ description: 'At most this many levels; all of them without it.' }),
      },
      extensions: checkedBefore(checkedDepth),
      resolve: ({ bestLimits }, args) => bestLimits?.slice(0, checkedDepth(args)) ?? [],
    }),
    aggregate: t.expose('aggregate', {
      type: AggregateType,
      nullable: true,
      description: "The day's trading statistics.",
    }),
    allowedPriceRange: t.expose('allowedPriceRange', {
      type: AllowedPriceRangeType,
      nullable: true,
      description: 'The prices between which orders are accepted today.',
    }),
    contractInfo: t.expose('contractInfo', {
      type: ContractInfoType,
      nullable: true,
      description: 'Open interest.',
    }),
    raw: t.exposeString('raw', {
      nullable: false,
      description: "IME's own message, as text: what the schema does not know yet is in it.",
    }),
    bestBid: t.field({
      type: QuoteType,
      nullable: true,
      description: 'The best order to buy; null where there is none.',
      resolve: ({ bestLimits }) => bestBid(bestLimits),
    }),
    bestAsk: t.field({
      type: QuoteType,
      nullable: true,
      description: 'The best order to sell; null where there is none.',
      resolve: ({ bestLimits }) => bestAsk(bestLimits),
    }),
    lastTradePrice: t.field({
      type: 'Decimal',
      nullable: true,
      description: 'The price of the last trade; null before the first one of the day.',
      resolve: ({ aggregate }) => lastTradePrice(aggregate),
    }),
    spread: t.field({
      type: 'Decimal',
      nullable: true,
      description:
        'Best sell price less best buy price, exact; null where the book lacks one of them.',
      resolve: ({ bestLimits }) => spread(bestLimits),
    }),
    midPrice: t.field({
      type: 'Decimal',
      nullable: true,
      description:
        'The middle of best buy and best sell price, exact; null where the book lacks one of them.',
      resolve: ({ bestLimits }) => midPrice(bestLimits),
    }),
    lastPriceChange: t.field({
      type: 'Decimal',
      nullable: true,
      description:
        'Last price less previous close, exact; null without a trade today or a previous close.',
      resolve: ({ aggregate }) => lastPriceChange(aggregate),
    }),
    lastPriceChangePercent: t.field({
      type: 'Decimal',
      nullable: true,
      description: `\`lastPriceChange\` in percent of the previous close, rounded to ${PERCENT_PLACES} decimal places.`,
      resolve: ({ aggregate }) => lastPriceChangePercent(aggregate),
    }),
  }),
});

/** @throws GraphQLError where it is negative */
function checkedDepth({ depth }: { depth?: number | null | undefined }): number | undefined {
  if (typeof depth === 'number' && depth < 0) {
    throw badUserInput('depth', `expected 0 or more, got ${depth}`);
  }
  return depth ?? undefined;
}
