import { onTestFinished } from 'vitest';
import { WebSocket } from 'ws';
import type { HeldSource } from '../../src/cluster/holder.ts';
import { ClusterSource } from '../../src/cluster/source.ts';
import { readRedisUrl } from '../../src/config/redis-url.ts';
import type { ContractSink } from '../../src/hub/source.ts';
import { type Clock, systemClock } from '../../src/lib/clock.ts';
import { createLog } from '../../src/observability/log.ts';
import { imeSource } from './ime-source.ts';
import { RecordingSink } from './source-suite.ts';

/** A cluster's source that asks an exchange, without a gateway around it. */
export function clusterSource(
  redisUrl: string,
  imeUrl: string,
  sink: ContractSink,
  clock: Clock = systemClock,
  role: 'any' | 'edge' = 'any',
): ClusterSource {
  const dial = (url: string, options: object) => new WebSocket(url, options);
  const startIme = (told: ContractSink): HeldSource => imeSource(imeUrl, told, { clock, dial });
  const address = readRedisUrl(redisUrl);
  const log = createLog((process.env['CLUSTER_LOG'] as 'debug' | undefined) ?? 'silent');
  return new ClusterSource(
    { address, prefix: 'ime', role, clients: () => 0 },
    startIme,
    sink,
    clock,
    log,
  );
}

/** A gateway's source in a cluster, and what it has told. */
export interface Member {
  readonly source: ClusterSource;
  readonly sink: RecordingSink;
}

/** A member of a cluster that is there; closed with the test. */
export async function startMember(
  redisUrl: string,
  imeUrl: string,
  role: 'any' | 'edge' = 'any',
): Promise<Member> {
  const sink = new RecordingSink();
  const source = clusterSource(redisUrl, imeUrl, sink, systemClock, role);
  onTestFinished(() => source.close());
  await source.check();
  return { source, sink };
}
