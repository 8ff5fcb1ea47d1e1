import type DataLoader from 'dataloader';
import type { Access } from '../access/access.ts';
import type { Principal } from '../access/principal.ts';
import type { LocalTimeZone } from '../contract/local-time.ts';
import type { ContractState } from '../hub/contract-state.ts';
import type { ContractHub } from '../hub/hub.ts';
import type { ContractRead } from './loader.ts';
import type { GatewayReport } from './report.ts';

/** What resolvers work with. */
export interface GatewayContext {
  readonly hub: ContractHub;
  readonly access: Access;
  /** Who asks. */
  readonly principal: Principal;
  /**
   * Shows another token of the same principal, which is in force for the connection from then on;
   * `undefined` where each request shows its own.
   */
  readonly renew: ((token: string) => Promise<Principal>) | undefined;
  /** Reads snapshots; one loader serves one operation. */
  readonly contracts: DataLoader<ContractRead, ContractState, string>;
  readonly zone: LocalTimeZone;
  /** The gateway as it is now. */
  readonly report: () => GatewayReport;
}
