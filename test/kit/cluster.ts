import { WebSocket } from 'ws';
import type { HeldSource } from '../../src/cluster/holder.ts';
import { ClusterSource } from '../../src/cluster/source.ts';
import { readRedisUrl } from '../../src/config/redis-url.ts';
import type { ContractSink } from '../../src/hub/source.ts';
import { type Clock, systemClock } from '../../src/lib/clock.ts';
import { createLog } from '../../src/observability/log.ts';
import { imeSource } from './ime-source.ts';

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
