import { AggregatorRegistry, Counter, collectDefaultMetrics, Registry } from 'prom-client';
import type { Config } from '../config/command-line.ts';
import type { Logger } from '../observability/log.ts';
import { WorkerCrew } from '../workers/crew/worker-crew.ts';
import type { Channel } from '../workers/link/channel.ts';
import { WorkersDoor } from '../workers/link/door.ts';
import { PrimaryPlaces } from '../workers/places/primary-places.ts';
import { SourceServer } from '../workers/source-server.ts';
import {
  type ClientTotals,
  type MetricsJson,
  type PrimaryFacts,
  SHARE_TIMEOUT_MS,
} from './colleagues.ts';
import { createSharedAccess } from './create-access.ts';
import type { GatewayParts, RunningGateway } from './gateway.ts';
import { sourceOpener } from './open-source.ts';
import { sourceGround } from './source-ground.ts';

/**
 * Starts a gateway of several processes. This one has the source, counts what all take together and serves no
 * client; the workers do.
 *
 * @throws SettingFault where a file that a setting names cannot be used
 * @throws WorkerNotStarted where a worker cannot start, which has said why
 */
export async function startPrimary(
  config: Config,
  log: Logger,
  { lostLines = () => 0, openSource = sourceOpener(config) }: GatewayParts,
): Promise<RunningGateway> {
  const startedAtMs = Date.now();
  const ground = sourceGround(log);
  const server = new SourceServer(config.IME_LINGER_MS, config.IME_TIME_ZONE, ground.clock, log);
  const shares = new Shares(lostLines);
  const opened = await openSource(server, { ...ground, clients: () => shares.totals.clients });
  server.connect(opened.source);
  const access = createSharedAccess(config, server, log);
  const places = new PrimaryPlaces(access, server);
  server.pin(opened.pinned);
  const crew = new WorkerCrew(config.WORKERS, log);
  const { mode, url: upstreamUrl, exampleNames } = opened;
  const facts: PrimaryFacts = { mode, url: upstreamUrl, exampleNames, startedAtMs };
  const failed = (error: unknown) => log.error({ error }, 'a worker cannot be understood');
  const door = new WorkersDoor((channel) => {
    crew.came(channel);
    channel.answers('facts', () => facts);
    shares.serve(channel);
    places.serve(channel);
    server.serve(channel);
  }, failed);
  const close = async (drainMs: number = config.DRAIN_MS) => {
    await crew.stop(drainMs);
    access.close();
    server.close();
    await opened.close();
    await door.close();
  };
  try {
    const { address, family, port } = await crew.start(await door.open());
    return {
      url: `http://${family === 'IPv6' ? `[${address}]` : address}:${port}`,
      upstreamUrl,
      mode,
      reload: () => {
        log.info('reading files anew');
        opened.reload();
        for (const channel of crew.channels) channel.tell('reload', {});
      },
      roll: () => crew.roll(config.DRAIN_MS),
      kill: () => crew.kill(),
      close,
    };
  } catch (error) {
    await close(0);
    throw error;
  }
}

/** What each process has, put together for whoever asks any of them. */
class Shares {
  readonly #totals = new Map<Channel, ClientTotals>();
  readonly #registry = new Registry();

  constructor(lostLines: () => number) {
    collectDefaultMetrics({ register: this.#registry });
    const lost = new Counter({
      name: 'ime_gateway_log_lines_lost_total',
      help: 'Lines of the log that could not be written.',
      registers: [this.#registry],
      collect() {
        lost.reset();
        lost.inc(lostLines());
      },
    });
  }

  serve(channel: Channel): void {
    this.#totals.set(channel, { clients: 0, subscriptions: 0 });
    channel.onClose(() => {
      this.#totals.delete(channel);
      this.#tell();
    });
    channel.answers('shared', (totals: ClientTotals) => {
      this.#totals.set(channel, totals);
      this.#tell();
    });
    channel.answers('totals', async () => {
      await Promise.all([...this.#totals.keys()].map((other) => this.#hear(other)));
      return this.totals;
    });
    channel.answers('metrics', () => this.#metrics());
  }

  /** A process that does not answer counts with what it said last. */
  async #hear(channel: Channel): Promise<void> {
    try {
      const totals = await channel.ask<ClientTotals>('share', {}, SHARE_TIMEOUT_MS);
      if (channel.isOpen) this.#totals.set(channel, totals);
    } catch {
      // It has not begun to serve, is stuck, or is gone.
    }
  }

  /** What all have together, as they said last. */
  get totals(): ClientTotals {
    let clients = 0;
    let subscriptions = 0;
    for (const totals of this.#totals.values()) {
      clients += totals.clients;
      subscriptions += totals.subscriptions;
    }
    return { clients, subscriptions };
  }

  #tell(): void {
    const { totals } = this;
    for (const channel of this.#totals.keys()) channel.tell('totals', totals);
  }

  async #metrics(): Promise<{ readonly type: string; readonly text: string }> {
    const asked = [...this.#totals.keys()].map((channel) =>
      channel.ask<MetricsJson>('metrics', {}, SHARE_TIMEOUT_MS).catch((): MetricsJson => []),
    );
    const own = await this.#registry.getMetricsAsJSON();
    const all = AggregatorRegistry.aggregate([own, ...(await Promise.all(asked))]);
    return { type: all.contentType, text: await all.metrics() };
  }
}
