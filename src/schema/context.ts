import type DataLoader from 'dataloader';
import type { LocalTimeZone } from '../contract/local-time.ts';
import type { ContractState } from '../hub/contract-state.ts';
import type { ContractHub } from '../hub/hub.ts';
import type { ContractRead } from './loader.ts';
import type { GatewayReport } from './report.ts';

/** What resolvers work with. */
export interface GatewayContext {
  readonly hub: ContractHub;
  /** Reads snapshots; one loader serves one operation. */
  readonly contracts: DataLoader<ContractRead, ContractState, string>;
  readonly zone: LocalTimeZone;
  readonly maxContracts: number;
  /** The gateway as it is now. */
  readonly report: () => GatewayReport;
}
