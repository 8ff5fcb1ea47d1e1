import type { Access } from '../access/access.ts';
import { NOBODY, type Principal } from '../access/principal.ts';
import type { LocalTimeZone } from '../contract/local-time.ts';
import type { ContractHub } from '../hub/hub.ts';
import type { Logger } from '../observability/log.ts';
import type { Tracing } from '../observability/tracing.ts';
import { contractLoader } from '../schema/loader.ts';
import type { GatewayReport } from '../schema/report.ts';
import type { GatewayContext, TokenRenewer } from '../schema/resolver-context.ts';
import type { DocumentLimits } from './document-limits.ts';
import type { TrustedDocuments } from './trusted-documents.ts';

/** What operations need of the gateway. */
export interface OperationGateway {
  readonly hub: ContractHub;
  readonly access: Access;
  readonly zone: LocalTimeZone;
  readonly log: Logger;
  readonly tracing: Tracing;
  readonly documentLimits: DocumentLimits;
  readonly trustedDocuments: TrustedDocuments | undefined;
  readonly maxCost: number;
  readonly report: () => GatewayReport;
}

/** Who asks for an operation, and how. */
export interface Asker {
  /** The principal as of now. @throws AccessRefused where they are not let in any more */
  readonly who: () => Principal;
  readonly transport: 'http' | 'websocket';
  /** What the log tells its requests or connection by. */
  readonly requestId: string;
  readonly renewer?: TokenRenewer | undefined;
  /** Ends the operation's waits when its client has gone. */
  readonly signal?: AbortSignal | undefined;
}

/** The context of one operation. */
export function operationContext(gateway: OperationGateway, asker: Asker): GatewayContext {
  const { hub, access, zone, report } = gateway;
  const { who, renewer } = asker;
  let contracts: GatewayContext['contracts'] | undefined;
  return {
    hub,
    access,
    get principal() {
      return who();
    },
    renewer,
    get contracts() {
      // Read late: most operations wait for nothing.
      contracts ??= contractLoader(hub, access, who, asker.signal);
      return contracts;
    },
    zone,
    report,
  };
}

/** The context that states are rendered with for everybody: it holds no client and allows nothing. */
export function sharedContext(gateway: OperationGateway): GatewayContext {
  return operationContext(gateway, { who: () => NOBODY, transport: 'http', requestId: 'shared' });
}
