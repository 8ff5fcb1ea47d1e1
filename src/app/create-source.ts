import type { HeldSource } from '../cluster/holder.ts';
import { ClusterSource } from '../cluster/source.ts';
import type { Config } from '../config/command-line.ts';
import type { ContractSink, ContractSource } from '../hub/source.ts';
import { Authorization } from '../ime/credentials/authorization.ts';
import type { Credentials } from '../ime/credentials/credentials.ts';
import { Upstream } from '../ime/sockets/upstream.ts';
import { ImeSource } from '../ime/source.ts';
import { RecordedSink } from '../recording/recorded-sink.ts';
import type { Recorder } from '../recording/recorder.ts';
import { createCredentials } from './create-credentials.ts';
import type { SourceGround } from './source-ground.ts';

/**
 * Where the contracts come from, as the configuration says: IME itself, or a cluster of gateways of which one
 * asks IME.
 *
 * @param base of the service, with `ws` or `wss`
 * @param recorder records what IME says
 * @throws SettingFault where a token or a file cannot be used
 */
export function createSource(
  config: Config,
  base: URL,
  sink: ContractSink,
  { clock, log, repeats, clients }: SourceGround,
  recorder: Recorder | undefined,
): {
  readonly source: ContractSource;
  /** The credentials are read anew, and a refused login is tried again. */
  readonly retryCredentials: () => void;
} {
  let credentials: Credentials | undefined;
  const startIme = (told: ContractSink): HeldSource => {
    credentials = createCredentials(config, base, clock, log);
    const upstream = new Upstream(
      {
        base,
        maxContractsPerSocket: config.IME_MAX_CONTRACTS_PER_SOCKET,
        maxUrlBytes: config.IME_MAX_URL_BYTES,
        pingIntervalMs: config.IME_PING_INTERVAL_MS,
        pingTimeoutMs: config.IME_PING_TIMEOUT_MS,
      },
      credentials,
      new Authorization(config.IME_AUTHORIZATION, log),
      config.IME_TIME_ZONE,
      log,
      repeats,
      { clock },
    );
    return new ImeSource(upstream, recorder ? new RecordedSink(told, recorder, clock) : told);
  };
  const retryCredentials = () => credentials?.retry();
  const { REDIS_URL: address, REDIS_PREFIX: prefix, CLUSTER_ROLE: role } = config;
  if (address === undefined) return { source: startIme(sink), retryCredentials };
  // What is wrong with a token or a file is said at the start, whoever holds the upstream then.
  if (role === 'any' && config.IME_USERNAME === undefined) {
    createCredentials(config, base, clock, log).close();
  }
  const settings = { address, prefix, role, clients };
  const source = new ClusterSource(settings, startIme, sink, clock, log);
  return { source, retryCredentials };
}
