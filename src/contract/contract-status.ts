/**
 * How far a contract's state can be trusted:
 *
 * - `PENDING`: asked of IME; no state has arrived yet.
 * - `LIVE`: the snapshot came over the connection that is open now, or one it replaced without a gap.
 * - `STALE`: the connection that carried the contract was lost since the snapshot came.
 * - `INVALID`: IME refuses this contract.
 */
export type ContractStatus = 'PENDING' | 'LIVE' | 'STALE' | 'INVALID';

/** Every status, in the order in which reports list them. */
export const CONTRACT_STATUSES: readonly ContractStatus[] = ['PENDING', 'LIVE', 'STALE', 'INVALID'];

/**
 * Why a contract is not LIVE, for programs:
 *
 * - `AWAITING_STATE`: asked for; no state has arrived yet
 * - `UPSTREAM_LOST`: the connection that carried it was lost, or cannot be had
 * - `UPSTREAM_LATE`: its states come late
 * - `UNREADABLE`: its messages cannot be read
 * - `TOKEN_REFUSED`: the access token is refused, or whatever was asked for
 * - `UNKNOWN_CONTRACT`: IME refuses the contract
 * - `CLUSTER_LOST`: the gateways that share the upstream cannot be reached
 * - `RELEASED`: the gateway has let the contract go
 */
export const CONTRACT_STATUS_CODES = [
  'AWAITING_STATE',
  'UPSTREAM_LOST',
  'UPSTREAM_LATE',
  'UNREADABLE',
  'TOKEN_REFUSED',
  'UNKNOWN_CONTRACT',
  'CLUSTER_LOST',
  'RELEASED',
] as const;

/** One of {@link CONTRACT_STATUS_CODES}. */
export type ContractStatusCode = (typeof CONTRACT_STATUS_CODES)[number];

/** Why a contract is not LIVE. */
export interface StatusCause {
  readonly code: ContractStatusCode;
  /** In words for a person. */
  readonly reason: string;
}

/** Why a contract is STALE that the gateway holds no more. */
export const RELEASED: StatusCause = {
  code: 'RELEASED',
  reason: 'The gateway has let this contract go: nobody asks for it any more.',
};

/** Why a contract is PENDING of which IME has said nothing yet. */
export const AWAITING_STATE: StatusCause = {
  code: 'AWAITING_STATE',
  reason: 'Asked of IME; no state has arrived yet.',
};
