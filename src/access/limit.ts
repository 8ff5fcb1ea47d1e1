/** `extensions.code` of an answer that a limit causes. */
export type LimitCode =
  | 'TOO_MANY_CONTRACTS'
  | 'TOO_MANY_SUBSCRIPTIONS'
  | 'RATE_LIMITED'
  | 'QUERY_TOO_COMPLEX';

/** The limits that a client can run into, as metrics name them. */
export const LIMITS = [
  'connections',
  'connections_per_principal',
  'connections_per_address',
  'subscriptions_per_connection',
  'contracts_per_subscription',
  'contracts_per_connection',
  'contracts_per_principal',
  'selections_per_principal',
  'unproven_contracts_per_principal',
  'unknown_contracts_per_minute',
  'upstream_contracts',
  'operations_per_second',
  'operations_per_second_per_principal',
  'operations_in_flight',
  'operations_in_flight_per_principal',
  'document',
  'cost',
  'body',
] as const;

/** One of {@link LIMITS}. */
export type LimitName = (typeof LIMITS)[number];

/** A client asked for more than it may. The message is for the client. */
export class LimitExceeded extends Error {
  override readonly name = 'LimitExceeded';

  constructor(
    readonly limit: LimitName,
    readonly code: LimitCode,
    message: string,
    /** How many would have been allowed, where that helps. */
    readonly most?: number,
  ) {
    super(message);
  }
}

/** Limits for each principal, over all its connections; `Infinity` for none. */
interface UsageLimits {
  readonly connections: number;
  /** Distinct contracts that are asked of IME for it: in its subscriptions, or lingering. */
  readonly contracts: number;
  /** Of those that it was the first to ask for, those that IME has neither accepted nor refused yet. */
  readonly unprovenContracts: number;
  /** Distinct selections of subscriptions at once. */
  readonly selections: number;
  /** Queries that run or wait. */
  readonly operationsInFlight: number;
  /** At one address, over all connections and requests; bursts of twice that. */
  readonly operationsPerSecond: number;
  /** Contracts a minute that IME turns out not to know. */
  readonly unknownContracts: number;
}

/** What clients may use; `Infinity` for no limit. */
export interface AccessLimits {
  /** Connections in all: WebSockets and streaming HTTP requests together. */
  readonly connections: number;
  readonly connectionsPerAddress: number;
  readonly subscriptionsPerConnection: number;
  /** Of one subscription, or one field of a query. */
  readonly contractsPerSubscription: number;
  readonly contractsPerConnection: number;
  /** For each connection; bursts of twice that. */
  readonly operationsPerSecond: number;
  /** Queries that run or wait on one connection. */
  readonly operationsInFlight: number;
  /** Distinct contracts asked upstream at once. */
  readonly upstreamContracts: number;
  readonly perPrincipal: UsageLimits;
}
