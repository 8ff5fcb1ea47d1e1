import type DataLoader from 'dataloader';
import type { Access } from '../access/access.ts';
import type { Principal } from '../access/principal.ts';
import type { ContractKey } from '../contract/key.ts';
import type { LocalTimeZone } from '../contract/local-time.ts';
import type { ContractState } from '../hub/contract-state.ts';
import type { ContractHub } from '../hub/hub.ts';
import type { GatewayReport } from './report.ts';

/** A connection that outlives its token. */
export interface TokenRenewer {
  /**
   * Another token of the same principal is in force for the connection from now on.
   *
   * @throws AccessRefused where it is not accepted; the last one then stays in force
   */
  renew(token: string): Promise<Principal>;
}

/** A wish for a contract's latest state. */
export interface ContractRead {
  readonly key: ContractKey;
  /** How long to wait for the first state after the contract was first asked of IME, in milliseconds. */
  readonly waitMs: number;
}

/** What resolvers work with. */
export interface GatewayContext {
  readonly hub: ContractHub;
  readonly access: Access;
  /** Who asks. */
  readonly principal: Principal;
  /** Takes another token for the connection; `undefined` where each request shows its own. */
  readonly renewer: TokenRenewer | undefined;
  /** Reads snapshots; one loader serves one operation. */
  readonly contracts: DataLoader<ContractRead, ContractState, string>;
  readonly zone: LocalTimeZone;
  /** The gateway as it is now. */
  readonly report: () => GatewayReport;
  /** Hears what other processes have, so that a report tells it; `undefined` where there are none. */
  readonly hear: (() => Promise<void>) | undefined;
}
