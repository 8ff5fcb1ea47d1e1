import type { Config } from '../config/command-line.ts';
import { type ContractKey, contractKey } from '../contract/key.ts';
import type { ContractSink, ContractSource } from '../hub/source.ts';
import { imeBaseUrl } from '../ime/protocol/endpoints.ts';
import { Simulator } from '../simulator/simulator.ts';
import { createSource } from './create-source.ts';
import type { SourceGround } from './source-ground.ts';

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

/** The source that the configuration asks for: IME, or the embedded simulator in its place. */
export function sourceOpener(config: Config): SourceOpener {
  return async (sink, ground) => {
    const simulator = config.IME_URL === undefined ? embeddedSimulator(config) : undefined;
    const base = imeBaseUrl(config.IME_URL ?? (await simulator?.listen(0)) ?? '');
    const { source, retryCredentials } = createSource(config, base, sink, ground);
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
      reload: retryCredentials,
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
