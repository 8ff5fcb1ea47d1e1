import type { Config } from '../config/command-line.ts';
import { type ContractKey, contractKey } from '../contract/key.ts';
import type { ContractSink, ContractSource } from '../hub/source.ts';
import { Authorization } from '../ime/credentials/authorization.ts';
import { imeBaseUrl } from '../ime/protocol/endpoints.ts';
import { Upstream } from '../ime/sockets/upstream.ts';
import { ImeSource } from '../ime/source.ts';
import { type Clock, guardedClock, systemClock } from '../lib/clock.ts';
import type { Logger } from '../observability/log.ts';
import { RepeatLimit } from '../observability/repeat-limit.ts';
import { Simulator } from '../simulator/simulator.ts';
import { createCredentials } from './create-credentials.ts';

/** How often equal faults are logged, in milliseconds. */
const REPEAT_INTERVAL_MS = 10_000;

/** What a source needs of the process it is in. */
export interface SourceGround {
  readonly clock: Clock;
  readonly repeats: RepeatLimit;
  readonly log: Logger;
}

/** A source of contracts, with what is to be said of it. */
export interface OpenedSource {
  readonly source: ContractSource;
  /** Whether all data is invented. */
  readonly simulated: boolean;
  /** The base of the service that it connects to. */
  readonly url: string;
  /** Contract names that something is to be seen of. */
  readonly exampleNames: readonly string[];
  /** Contracts that are held whether anybody wants them or not. */
  readonly pinned: readonly ContractKey[];
  /** Reads every file anew that a setting of it names. */
  reload(): void;
  /** Ends every connection and every timer. */
  close(): Promise<void>;
}

/** Opens a source that tells `sink`. @throws SettingFault where a file that a setting names cannot be used */
export type SourceOpener = (sink: ContractSink, ground: SourceGround) => Promise<OpenedSource>;

/** Times and faults of a process: what a timer was to do and has failed is logged. */
export function sourceGround(log: Logger): SourceGround {
  const repeats = new RepeatLimit(REPEAT_INTERVAL_MS);
  const clock = guardedClock(systemClock, (error) => {
    const held = repeats.pass('timer');
    if (held !== undefined) log.error({ error, held }, 'what a timer was to do has failed');
  });
  return { clock, repeats, log };
}

/** The source that the configuration asks for: IME, or the embedded simulator in its place. */
export function sourceOpener(config: Config): SourceOpener {
  return async (sink, { clock, repeats, log }) => {
    const simulator = config.IME_URL === undefined ? embeddedSimulator(config) : undefined;
    const base = imeBaseUrl(config.IME_URL ?? (await simulator?.listen(0)) ?? '');
    const credentials = createCredentials(config, base, clock, log);
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
    const source = new ImeSource(upstream, sink);
    return {
      source,
      simulated: simulator !== undefined,
      url: base.href,
      exampleNames: simulator?.busiestNames ?? config.IME_PINNED_NAMES,
      pinned: [
        ...config.IME_PINNED_NAMES.map((name) => contractKey('name', name)),
        ...config.IME_PINNED_IDS.map((id) => contractKey('id', id)),
        ...(simulator?.keys ?? []),
      ],
      reload: () => credentials.retry(),
      close: async () => {
        source.close();
        await simulator?.close();
      },
    };
  };
}

function embeddedSimulator(config: Config): Simulator {
  return new Simulator({
    seed: config.SIMULATOR_SEED,
    updatesPerSecond: config.SIMULATOR_RATE,
    token: config.IME_TOKEN,
    refuse: 'after',
    zone: config.IME_TIME_ZONE,
  });
}
