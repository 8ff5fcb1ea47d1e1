import type { ContractSink } from '../../src/hub/source.ts';
import { Authorization } from '../../src/ime/credentials/authorization.ts';
import { FurtherHeaders } from '../../src/ime/credentials/further-headers.ts';
import { GivenToken } from '../../src/ime/credentials/given-token.ts';
import { imeBaseUrl } from '../../src/ime/protocol/endpoints.ts';
import { Upstream, type UpstreamMachine } from '../../src/ime/sockets/upstream.ts';
import { ImeSource } from '../../src/ime/source.ts';
import type { Logger } from '../../src/observability/log.ts';
import { createLog } from '../../src/observability/log.ts';
import { RepeatLimit } from '../../src/observability/repeat-limit.ts';
import { TEHRAN } from './gateway.ts';

/** IME as a source of its own, without a gateway around it. */
export function imeSource(
  url: string,
  sink: ContractSink,
  machine: UpstreamMachine,
  token?: string,
  log: Logger = createLog('silent'),
): ImeSource {
  const upstream = new Upstream(
    {
      base: imeBaseUrl(url),
      maxContractsPerSocket: 100,
      maxUrlBytes: 3_900,
      pingIntervalMs: 5_000,
      pingTimeoutMs: 5_000,
    },
    new GivenToken(token, undefined, new FurtherHeaders(undefined, log), log),
    new Authorization('auto', log),
    TEHRAN,
    log,
    new RepeatLimit(10_000),
    machine,
  );
  return new ImeSource(upstream, sink);
}
