import type { Config } from '../config/command-line.ts';
import type { ReplayTarget } from '../config/replay-target.ts';
import { type ContractKey, contractKey } from '../contract/key.ts';
import type { ContractSink, ContractSource } from '../hub/source.ts';
import { imeBaseUrl } from '../ime/protocol/endpoints.ts';
import { Recorder } from '../recording/recorder.ts';
import { ReplaySource } from '../recording/replay-source.ts';
import type { UpstreamMode } from '../schema/report.ts';
import { Simulator } from '../simulator/simulator.ts';
import { createSource } from './create-source.ts';
import type { SourceGround } from './source-ground.ts';

/** A source of contracts, with what is to be said of it. */
export interface OpenedSource {
  readonly source: ContractSource;
  readonly mode: UpstreamMode;
  /** The base of the service that it connects to, or the recording that it plays. */
  readonly url: string;
  /** Contract names that something is to be seen of. */
  readonly exampleNames: readonly string[];
  /** Contracts that are held whether anybody wants them or not. */
  readonly pinned: readonly ContractKey[];
  /** What is wrong besides what the source says, in words. */
  problems(): readonly string[];
  /** Reads every file anew that a setting of it names. */
  reload(): void;
  /** Ends every connection and every timer. */
  close(): Promise<void>;
}

/** Opens a source that tells `sink`. @throws SettingFault where a file that a setting names cannot be used */
export type SourceOpener = (sink: ContractSink, ground: SourceGround) => Promise<OpenedSource>;

/** The source that the configuration asks for: IME, the embedded simulator in its place, or a recording. */
export function sourceOpener(config: Config): SourceOpener {
  return async (sink, ground) => {
    const { IME_URL: url } = config;
    if (url !== undefined && !(url instanceof URL)) return openReplay(url, config, sink, ground);
    const simulator = url === undefined ? embeddedSimulator(config) : undefined;
    const base = imeBaseUrl(url ?? (await simulator?.listen(0)) ?? '');
    const recorder = createRecorder(config, ground);
    const { source, retryCredentials } = createSource(config, base, sink, ground, recorder);
    return {
      source,
      mode: simulator === undefined ? 'IME' : 'SIMULATOR',
      url: base.href,
      exampleNames: simulator?.busiestNames ?? config.IME_PINNED_NAMES,
      pinned: [...pinnedKeys(config), ...(simulator?.keys ?? [])],
      problems: () => problemsOf(recorder),
      reload: retryCredentials,
      close: async () => {
        source.close();
        await recorder?.close();
        await simulator?.close();
      },
    };
  };
}

function openReplay(
  target: ReplayTarget,
  config: Config,
  sink: ContractSink,
  { log, clock }: SourceGround,
): OpenedSource {
  const source = new ReplaySource(target, sink, config.IME_TIME_ZONE, log, clock);
  return {
    source,
    mode: 'REPLAY',
    url: target.text,
    exampleNames: config.IME_PINNED_NAMES,
    pinned: pinnedKeys(config),
    problems: () => [],
    reload: () => {},
    close: async () => source.close(),
  };
}

function problemsOf(recorder: Recorder | undefined): string[] {
  const problem = recorder?.report().problem;
  return problem === null || problem === undefined ? [] : [problem];
}

function createRecorder(
  { RECORD_DIR, RECORD_MAX_BYTES: bytes, RECORD_MAX_DAYS: days }: Config,
  { log, clock }: SourceGround,
): Recorder | undefined {
  if (RECORD_DIR === undefined) return undefined;
  return new Recorder(RECORD_DIR, { bytes, days }, log, clock);
}

function pinnedKeys({ IME_PINNED_NAMES: names, IME_PINNED_IDS: ids }: Config): ContractKey[] {
  return [
    ...names.map((name) => contractKey('name', name)),
    ...ids.map((id) => contractKey('id', id)),
  ];
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
