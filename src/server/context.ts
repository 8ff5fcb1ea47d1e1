import type { LocalTimeZone } from '../contract/local-time.ts';
import type { ContractHub } from '../hub/hub.ts';
import type { Logger } from '../observability/log.ts';
import type { GatewayContext } from '../schema/context.ts';
import { contractLoader } from '../schema/loader.ts';
import type { GatewayReport } from '../schema/report.ts';
import type { SlowReaderBounds } from './client-connection.ts';

/** What the server needs of the gateway. */
export interface ServerGateway {
  readonly hub: ContractHub;
  readonly zone: LocalTimeZone;
  readonly log: Logger;
  readonly maxContracts: number;
  readonly maxMessageBytes: number;
  readonly maxBodyBytes: number;
  /** Whether clients may have permessage-deflate. */
  readonly compression: boolean;
  readonly slowReaders: SlowReaderBounds;
  /** Whether the data is invented, which every page that shows it says. */
  readonly simulated: boolean;
  /** A few contract names for the first documents that a person sees. */
  readonly exampleNames: readonly string[];
  report(): GatewayReport;
  /** Whether the gateway can do its job, and why not. */
  readiness(): Promise<{ readonly ready: boolean; readonly reasons: readonly string[] }>;
}

/**
 * The context of one operation.
 *
 * @param headers where the operation's own headers come from; `x-request-id` goes into the log
 * @param signal ends the operation's waits when its client has gone
 */
export function operationContext(
  gateway: ServerGateway,
  headers: Headers,
  transport: 'http' | 'websocket',
  signal?: AbortSignal,
): GatewayContext {
  gateway.log.debug(
    { transport, requestId: headers.get('x-request-id')?.slice(0, 100) },
    'an operation begins',
  );
  return {
    hub: gateway.hub,
    contracts: contractLoader(gateway.hub, signal),
    zone: gateway.zone,
    maxContracts: gateway.maxContracts,
    report: () => gateway.report(),
  };
}
