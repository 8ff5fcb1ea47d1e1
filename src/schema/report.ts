import type { ContractStatus } from '../contract/contract-status.ts';
import type { ClusterReport, CredentialsSummary, SocketReport } from '../hub/source.ts';

/** The gateway as an operator sees it: what the `status` field answers with. */
export interface GatewayReport {
  readonly version: string;
  /** Epoch milliseconds. */
  readonly startedAtMs: number;
  readonly uptimeSeconds: number;
  /** Whether the data is invented. */
  readonly simulated: boolean;
  readonly ready: boolean;
  /** Why it is not ready, in words. */
  readonly reasons: readonly string[];
  readonly upstream: UpstreamSummary;
  /** The gateways that share the upstream; null for one that stands alone. */
  readonly cluster: ClusterReport | null;
  readonly clients: number;
  readonly subscriptions: number;
  readonly contracts: Readonly<Record<ContractStatus, number>>;
}

/** The connection to IME as an operator sees it. */
export interface UpstreamSummary {
  readonly mode: UpstreamMode;
  /** Base of the service; null for the simulator. */
  readonly url: string | null;
  readonly problems: readonly string[];
  /** What the gateway shows IME. */
  readonly credentials: CredentialsSummary | null;
  readonly sockets: readonly SocketReport[];
  readonly dials: number;
  readonly messages: number;
  readonly partialMessages: number;
  readonly duplicates: number;
  readonly droppedFrames: number;
}

/** Where the data comes from. */
export type UpstreamMode = 'IME' | 'SIMULATOR' | 'REPLAY';
