import { ContractPatterns } from './patterns.ts';

/** The scope that lets a principal see the gateway's own details. */
export const OPERATOR_SCOPE = 'operator';

/** Somebody the gateway knows, and what they may. Immutable. */
export interface Principal {
  /** Stable and unique: what limits are counted by and the log names. */
  readonly id: string;
  readonly contracts: ContractPatterns;
  readonly operator: boolean;
  /** Epoch milliseconds; `undefined`: never. */
  readonly expiresAtMs: number | undefined;
  /** Tighter or wider limits of this principal's own. */
  readonly limits: PrincipalLimits;
  /** What the principal was known by, as a hash: to look it up again. */
  readonly credential: string | undefined;
}

/** Limits of one principal over all its connections. */
interface PrincipalLimits {
  readonly connections?: number | undefined;
  /** Distinct contracts that are asked of IME for it. */
  readonly contracts?: number | undefined;
}

/** Whoever comes while nobody is asked who they are: told apart by their address. */
export function anonymous(address: string): Principal {
  return {
    id: `address ${address}`,
    contracts: ContractPatterns.ALL,
    operator: true,
    expiresAtMs: undefined,
    limits: {},
    credential: undefined,
  };
}

/** Somebody who may see nothing. */
export const NOBODY: Principal = {
  id: 'nobody',
  contracts: new ContractPatterns([]),
  operator: false,
  expiresAtMs: undefined,
  limits: {},
  credential: undefined,
};
