import { collectDefaultMetrics, Histogram, Registry } from 'prom-client';
import type { Access } from '../access/access.ts';
import type { ContractStatus } from '../contract/contract-status.ts';
import type { FanOutCounts } from '../fanout/fanout.ts';
import type { SourceReport } from '../hub/source.ts';
import { Meters } from './meters.ts';

/** What is done for clients. */
export interface ServerReport {
  readonly webSockets: number;
  readonly streams: number;
  readonly fanOut: Readonly<FanOutCounts>;
  /** States rendered for subscriptions since the start. */
  readonly renderings: number;
  /** Distinct selections of subscriptions in use. */
  readonly projections: number;
}

/** What the metrics are read from. */
export interface MetricsSource {
  upstream(): SourceReport;
  server(): ServerReport;
  contracts(): Readonly<Record<ContractStatus, number>>;
  subscriptions(): number;
  isReady(): boolean;
  /** Lines of the log that could not be written. */
  lostLines(): number;
  readonly access: Access;
  readonly version: string;
}

/**
 * How often the event loop's delay is looked at. Every ten milliseconds, as is usual, keep an idle gateway
 * at one percent of a core. The lag's percentiles hold this time besides the lag.
 */
const EVENT_LOOP_LOOK_MS = 100;
const FLUSH_BUCKETS_S = [0.0001, 0.0005, 0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1];

/**
 * The gateway's metrics for Prometheus. Names and labels are kept once given; no label holds anything
 * that a client chooses.
 */
export class Metrics {
  readonly #registry = new Registry();
  readonly #meters = new Meters(this.#registry);
  readonly #source: MetricsSource;
  readonly #flush: Histogram;

  constructor(source: MetricsSource) {
    this.#source = source;
    collectDefaultMetrics({
      register: this.#registry,
      eventLoopMonitoringPrecision: EVENT_LOOP_LOOK_MS,
    });
    this.#flush = new Histogram({
      name: 'ime_gateway_flush_seconds',
      help: 'Time to write what changed in one tick to every client it concerns.',
      buckets: FLUSH_BUCKETS_S,
      registers: [this.#registry],
    });
    this.#gateway();
    this.#upstream();
    this.#clients();
  }

  /** One tick was written to its clients. */
  flushed(seconds: number): void {
    this.#flush.observe(seconds);
  }

  /** The metrics as Prometheus reads them. */
  async read(): Promise<{ readonly type: string; readonly text: string }> {
    return { type: this.#registry.contentType, text: await this.#registry.metrics() };
  }

  /** The metrics of this process, to be put together with those of others. */
  json(): ReturnType<Registry['getMetricsAsJSON']> {
    return this.#registry.getMetricsAsJSON();
  }

  #gateway(): void {
    const { version } = this.#source;
    this.#meters.gauge('info', 'Constant 1, with the version of the gateway.', 'version', () => ({
      [version]: 1,
    }));
    this.#meters.gauge('ready', '1 while the gateway can do its job, else 0.', undefined, () =>
      this.#source.isReady() ? 1 : 0,
    );
    this.#meters.counter(
      'log_lines_lost_total',
      'Lines of the log that could not be written.',
      undefined,
      () => this.#source.lostLines(),
    );
    this.#meters.gauge('contracts', 'Contracts held, by status.', 'status', () =>
      this.#source.contracts(),
    );
  }

  #upstream(): void {
    const report = () => this.#source.upstream();
    this.#meters.gauge('upstream_sockets', 'Upstream sockets, by state.', 'state', () => {
      const counts: Record<string, number> = {};
      for (const { state } of report().sockets) counts[state] = (counts[state] ?? 0) + 1;
      return counts;
    });
    this.#meters.gauge(
      'upstream_last_message_age_seconds',
      'Seconds since the newest message of IME came; 0 before the first.',
      undefined,
      () => {
        const newest = Math.max(
          0,
          ...report().sockets.map((socket) => socket.lastMessageAtMs ?? 0),
        );
        return newest === 0 ? 0 : (Date.now() - newest) / 1000;
      },
    );
    this.#meters.gauge(
      'upstream_token_remaining_seconds',
      'Seconds until the access token for IME ends; -1 where that is not known.',
      undefined,
      () => {
        const endsAtMs = report().credentials?.expiresAtMs ?? null;
        return endsAtMs === null ? -1 : Math.max(0, (endsAtMs - Date.now()) / 1000);
      },
    );
    this.#meters.counter(
      'upstream_logins_total',
      'Logins at IME, by how they ended.',
      'outcome',
      () => report().credentials?.logins ?? {},
    );
    this.#cluster();
    const counts = () => report().counts;
    this.#meters.counter(
      'upstream_dials_total',
      'Upstream connections tried.',
      undefined,
      () => report().dials,
    );
    this.#meters.counter(
      'upstream_failures_total',
      'Upstream connections lost or refused, by what that meant.',
      'class',
      () => counts().failures,
    );
    this.#meters.counter(
      'upstream_messages_total',
      'Messages of IME that were read.',
      undefined,
      () => counts().messages,
    );
    this.#meters.counter(
      'upstream_partial_messages_total',
      'Messages without one of their sections.',
      undefined,
      () => counts().partialMessages,
    );
    this.#meters.counter(
      'upstream_duplicate_messages_total',
      'Messages that another socket had delivered already.',
      undefined,
      () => counts().duplicates,
    );
    this.#meters.counter(
      'upstream_late_messages_total',
      'Messages more than two seconds late.',
      undefined,
      () => counts().lateMessages,
    );
    this.#meters.counter(
      'upstream_dropped_frames_total',
      'Frames that could not be used, by reason.',
      'reason',
      () => counts().droppedFrames,
    );
  }

  #cluster(): void {
    const cluster = () => this.#source.upstream().cluster;
    if (cluster() === undefined) return;
    this.#meters.gauge('cluster_gateways', 'Gateways that share the upstream.', undefined, () => {
      return cluster()?.gateways.length ?? 0;
    });
    this.#meters.gauge(
      'cluster_holder',
      '1 where this gateway holds the upstream.',
      undefined,
      () => {
        const { gateway, holder } = cluster() ?? { gateway: '', holder: null };
        return gateway === holder ? 1 : 0;
      },
    );
    this.#meters.gauge('cluster_redis_healthy', '1 while Redis can be reached.', undefined, () => {
      return cluster()?.redisHealthy === true ? 1 : 0;
    });
    this.#meters.gauge(
      'cluster_redis_round_trip_seconds',
      'Seconds that the last probe took through Redis and back; -1 while none comes back.',
      undefined,
      () => {
        const ms = cluster()?.roundTripMs ?? null;
        return ms === null ? -1 : ms / 1000;
      },
    );
  }

  #clients(): void {
    const report = () => this.#source.server();
    this.#meters.gauge('clients', 'Connections of clients, by transport.', 'transport', () => {
      const { webSockets, streams } = report();
      return { websocket: webSockets, http_stream: streams };
    });
    this.#meters.gauge('subscriptions', 'Subscriptions that are open.', undefined, () =>
      this.#source.subscriptions(),
    );
    this.#meters.gauge(
      'selections',
      'Different selections of open subscriptions.',
      undefined,
      () => report().projections,
    );
    this.#meters.counter(
      'renderings_total',
      'States rendered for subscriptions: each serves every client with the same selection.',
      undefined,
      () => report().renderings,
    );
    this.#meters.counter(
      'frames_sent_total',
      'Updates sent over WebSockets.',
      undefined,
      () => report().fanOut.frames,
    );
    this.#meters.counter(
      'bytes_sent_total',
      'Bytes of updates sent over WebSockets.',
      undefined,
      () => report().fanOut.bytes,
    );
    this.#meters.counter(
      'conflated_updates_total',
      'Updates that a newer one replaced before a slow client was sent them.',
      undefined,
      () => report().fanOut.conflated,
    );
    this.#meters.counter(
      'stalled_clients_total',
      'Clients that were closed because they took nothing.',
      undefined,
      () => report().fanOut.stalled,
    );
    this.#meters.counter(
      'limit_hits_total',
      'How often a limit was run into.',
      'limit',
      () => this.#source.access.hits,
    );
    this.#meters.counter(
      'refused_tokens_total',
      'Tokens that were refused.',
      undefined,
      () => this.#source.access.refusals,
    );
  }
}
