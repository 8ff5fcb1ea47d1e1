import type { Access } from '../access/access.ts';
import { NOBODY, type Principal } from '../access/principal.ts';
import type { LocalTimeZone } from '../contract/local-time.ts';
import type { DocumentLimits } from '../documents/document-limits.ts';
import type { ContractHub } from '../hub/hub.ts';
import type { Logger } from '../observability/log.ts';
import type { Tracing } from '../observability/tracing.ts';
import type { GatewayReport } from '../schema/report.ts';
import type { GatewayContext, TokenRenewer } from '../schema/resolver-context.ts';
import { contractLoader } from './contract-loader.ts';

/** What operations need of the gateway. */
export interface OperationGateway {
  readonly hub: ContractHub;
  readonly access: Access;
  readonly zone: LocalTimeZone;
  readonly log: Logger;
  readonly tracing: Tracing;
  readonly documentLimits: DocumentLimits;
  readonly maxCost: number;
  readonly report: () => GatewayReport;
  /** Hears what other processes have, so that a report tells it; `undefined` where there are none. */
  readonly hear?: (() => Promise<void>) | undefined;
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

/**
 * The context of one operation. A class: an object literal with a getter costs V8 a shape of its own each time,
 * which stays until old memory is collected (measured: 5 KB a query).
 */
class OperationContext implements GatewayContext {
  readonly hub: ContractHub;
  readonly access: Access;
  readonly zone: LocalTimeZone;
  readonly report: () => GatewayReport;
  readonly hear: (() => Promise<void>) | undefined;
  readonly renewer: TokenRenewer | undefined;
  readonly #asker: Asker;
  #contracts: GatewayContext['contracts'] | undefined;

  constructor({ hub, access, zone, report, hear }: OperationGateway, asker: Asker) {
    this.hub = hub;
    this.access = access;
    this.zone = zone;
    this.report = report;
    this.hear = hear;
    this.renewer = asker.renewer;
    this.#asker = asker;
  }

  get principal(): Principal {
    return this.#asker.who();
  }

  get contracts(): GatewayContext['contracts'] {
    // Read late: most operations wait for nothing.
    if (this.#contracts === undefined) {
      const { who, signal } = this.#asker;
      this.#contracts = contractLoader(this.hub, this.access, who, signal);
    }
    return this.#contracts;
  }
}

/** The context of one operation. */
export function operationContext(gateway: OperationGateway, asker: Asker): GatewayContext {
  return new OperationContext(gateway, asker);
}

/** The context that states are rendered with for everybody: it holds no client and allows nothing. */
export function sharedContext(gateway: OperationGateway): GatewayContext {
  return operationContext(gateway, { who: () => NOBODY, transport: 'http', requestId: 'shared' });
}
