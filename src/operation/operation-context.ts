import type { Access } from '../access/access.ts';
import { NOBODY, type Principal } from '../access/principal.ts';
import type { TrustedProxies } from '../config/settings.ts';
import type { LocalTimeZone } from '../contract/local-time.ts';
import type { SlowReaderBounds } from '../fanout/fanout.ts';
import type { ContractHub } from '../hub/hub.ts';
import type { Logger } from '../observability/log.ts';
import type { Tracing } from '../observability/tracing.ts';
import { contractLoader } from '../schema/loader.ts';
import type { GatewayReport } from '../schema/report.ts';
import type { GatewayContext, TokenRenewer } from '../schema/resolver-context.ts';
import type { DocumentLimits } from './document-limits.ts';
import type { TrustedDocuments } from './trusted-documents.ts';

/** What the server needs of the gateway. */
export interface ServerGateway {
  readonly hub: ContractHub;
  readonly access: Access;
  readonly zone: LocalTimeZone;
  readonly log: Logger;
  readonly tracing: Tracing;
  readonly maxMessageBytes: number;
  readonly maxBodyBytes: number;
  readonly documentLimits: DocumentLimits;
  readonly trustedDocuments: TrustedDocuments | undefined;
  readonly maxCost: number;
  readonly proxies: TrustedProxies;
  /** Origins of other pages that may use the gateway. */
  readonly origins: readonly string[];
  /** Whether clients may have permessage-deflate. */
  readonly compression: boolean;
  readonly slowReaders: SlowReaderBounds;
  /** Over how long connections are closed at a stop, in milliseconds. */
  readonly drainMs: number;
  /** Whether a browser is shown GraphiQL. */
  readonly graphiql: boolean;
  /** Whether the data is invented, which every page that shows it says. */
  readonly simulated: boolean;
  /** A few contract names for the first documents that a person sees. */
  readonly exampleNames: readonly string[];
  readonly report: () => GatewayReport;
  /** Whether the gateway can do its job, and why not. */
  readiness(): Promise<{ readonly ready: boolean; readonly reasons: readonly string[] }>;
  /** The updates of one tick were written to their clients. */
  readonly flushed: (seconds: number) => void;
  /** The metrics, as Prometheus reads them. */
  metrics(): Promise<{ readonly type: string; readonly text: string }>;
}

/** Who asks for an operation, and how. */
export interface Asker {
  readonly principal: Principal;
  readonly transport: 'http' | 'websocket';
  /** What the log tells its requests or connection by. */
  readonly requestId: string;
  readonly renewer?: TokenRenewer | undefined;
  /** Ends the operation's waits when its client has gone. */
  readonly signal?: AbortSignal | undefined;
}

/** The context of one operation. */
export function operationContext(gateway: ServerGateway, asker: Asker): GatewayContext {
  const { hub, access, zone } = gateway;
  const { principal, transport, requestId, signal } = asker;
  gateway.log.debug({ transport, requestId, principal: principal.id }, 'an operation begins');
  let contracts: GatewayContext['contracts'] | undefined;
  return {
    hub,
    access,
    principal,
    renewer: asker.renewer,
    // Subscriptions live long and read nothing.
    get contracts() {
      contracts ??= contractLoader(hub, access, principal, signal);
      return contracts;
    },
    zone,
    report: gateway.report,
  };
}

/** The context that states are rendered with for everybody: it holds no client and allows nothing. */
export function sharedContext(gateway: ServerGateway): GatewayContext {
  return operationContext(gateway, { principal: NOBODY, transport: 'http', requestId: 'shared' });
}
