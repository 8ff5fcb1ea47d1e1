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
