import type { Registry } from 'prom-client';
import type { SharedPlaces } from '../access/shared-places.ts';
import type { Config } from '../config/command-line.ts';
import type { ContractSink } from '../hub/source.ts';
import type { UpstreamMode } from '../schema/report.ts';
import type { Channel } from '../workers/link/channel.ts';
import { WorkerPlaces } from '../workers/places/worker-places.ts';
import { WorkerSource } from '../workers/worker-source.ts';
import type { OpenedSource } from './open-source.ts';
import type { SourceGround } from './source-ground.ts';

/** How often the primary is told how many clients there are here, where that has changed, in milliseconds. */
const TELL_INTERVAL_MS = 200;
/** How long another process is waited for that is asked for its share, in milliseconds. */
export const SHARE_TIMEOUT_MS = 1_000;

/** Clients, of one process or of all. */
export interface ClientTotals {
  readonly clients: number;
  readonly subscriptions: number;
}

/** What a worker has to know of the first process besides its contracts. */
export interface PrimaryFacts {
  readonly mode: UpstreamMode;
  readonly url: string;
  readonly exampleNames: readonly string[];
  readonly startedAtMs: number;
}

/** The metrics of one process, to be put together with those of others. */
export type MetricsJson = Awaited<ReturnType<Registry['getMetricsAsJSON']>>;

/** What one process says when it is asked for its share. */
export interface Share {
  totals(): ClientTotals;
  metrics(): Promise<MetricsJson>;
}

/** The first process and the other workers, as a worker knows them. */
export class Colleagues {
  readonly channel: Channel;
  readonly facts: PrimaryFacts;
  /** What all processes may take together. */
  readonly places: SharedPlaces;
  #totals: ClientTotals = { clients: 0, subscriptions: 0 };
  #told = '';
  #telling: NodeJS.Timeout | undefined;
  #source: WorkerSource | undefined;

  constructor(channel: Channel, facts: PrimaryFacts) {
    this.channel = channel;
    this.facts = facts;
    this.places = new WorkerPlaces(channel);
    channel.answers('totals', (totals: ClientTotals) => {
      this.#totals = totals;
    });
    channel.onClose(() => clearInterval(this.#telling));
  }

  /** Says what there is here, now and whenever that changes. */
  share({ totals, metrics }: Share): void {
    this.channel.answers('share', totals);
    this.channel.answers('metrics', metrics);
    this.#telling = setInterval(() => {
      const own = totals();
      const text = JSON.stringify(own);
      if (text === this.#told) return;
      this.#told = text;
      this.channel.tell('shared', own);
    }, TELL_INTERVAL_MS);
  }

  /** What all workers have together, as last heard. */
  get totals(): ClientTotals {
    return this.#totals;
  }

  /** Hears it from all of them, and what the source says of itself. */
  async hear(): Promise<void> {
    const [totals] = await Promise.all([
      this.channel.ask<ClientTotals>('totals', {}),
      this.#source?.hear(),
    ]);
    this.#totals = totals;
  }

  /** The metrics of all processes together. */
  metrics(): Promise<{ readonly type: string; readonly text: string }> {
    return this.channel.ask('metrics', {});
  }

  /** Opens the contracts of the first process. */
  async openSource(
    config: Config,
    sink: ContractSink,
    { clock }: SourceGround,
  ): Promise<OpenedSource> {
    const source = await WorkerSource.open(this.channel, sink, config.IME_TIME_ZONE, clock);
    this.#source = source;
    const { mode, url, exampleNames } = this.facts;
    return {
      source,
      mode,
      url,
      exampleNames,
      pinned: [],
      problems: () => [],
      reload: () => {},
      close: async () => {
        clearInterval(this.#telling);
        source.close();
      },
    };
  }
}
