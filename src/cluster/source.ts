import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import type { RedisAddress } from '../config/redis-url.ts';
import type { StatusCause } from '../contract/contract-status.ts';
import type { ContractKey } from '../contract/key.ts';
import type { Position } from '../hub/position.ts';
import type { ClusterReport, ContractSink, ContractSource, SourceReport } from '../hub/source.ts';
import type { Clock } from '../lib/clock.ts';
import type { Logger } from '../observability/log.ts';
import type { StartSource } from './holder.ts';
import { Lease } from './lease.ts';
import { NO_SOURCE } from './no-source.ts';
import { type Beat, type MemberInfo, readBeat } from './redis/beat.ts';
import { RedisLink } from './redis/link.ts';
import { Pulse } from './redis/pulse.ts';
import { ToldContracts } from './told-contracts.ts';
import { WishSender } from './wish-sender.ts';

/** What a gateway of a cluster is. */
export interface ClusterSettings {
  readonly address: RedisAddress;
  /** Of every key and channel. */
  readonly prefix: string;
  /** `edge` never holds the upstream. */
  readonly role: 'any' | 'edge';
  /** How many connections its clients have. */
  readonly clients: () => number;
}

/** How long {@link ClusterSource.check} waits for a gateway that has only just begun, in milliseconds. */
const CHECK_MS = 3_000;
const CHECK_EVERY_MS = 20;
/** How far a client's cursor may be ahead of what this gateway has heard, in microseconds. */
const AHEAD_US = 5_000_000;

type ClusterState = 'apart' | 'joining' | 'joined' | 'closed';

/**
 * The contracts of a cluster: one gateway holds the upstream and writes what it tells to Redis, all of them,
 * the holder too, tell their hubs what they hear from there.
 */
export class ClusterSource implements ContractSource {
  readonly #id =
    `${hostname().replaceAll(/[^\w.-]/g, '_')}-${process.pid}-${randomBytes(4).toString('hex')}`;
  readonly #settings: ClusterSettings;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #told: ToldContracts;
  readonly #link: RedisLink;
  readonly #pulse: Pulse;
  readonly #lease: Lease;
  readonly #wishes: WishSender;
  #state: ClusterState = 'apart';
  /** Which of the connections is in use: what belongs to an older one is not gone on with. */
  #life = 0;
  #beat: Beat | undefined;
  /** When that was, by the monotonic clock. */
  #beatAtMs = 0;
  #fault = 'it has not answered yet';

  /**
   * @param start starts the source that is shared, on the gateway that holds it
   */
  constructor(
    settings: ClusterSettings,
    start: StartSource,
    sink: ContractSink,
    clock: Clock,
    log: Logger,
  ) {
    this.#settings = settings;
    this.#clock = clock;
    this.#log = log;
    this.#told = new ToldContracts(sink, clock.nowMs());
    this.#link = new RedisLink(settings.address, settings.prefix, clock, {
      opened: () => void this.#join(++this.#life),
      heard: (channel, text) => this.#heard(channel, text),
      broke: (reason) => this.#broke(reason),
    });
    this.#lease = new Lease(this.#id, settings.role, start, this.#link, clock, log, () =>
      this.#pulse.again(),
    );
    this.#wishes = new WishSender(this.#id, this.#link, this.#told);
    this.#pulse = new Pulse(clock, {
      beat: (token) => this.#sendBeat(token),
      silent: (reason) => this.#link.fail(reason),
      lost: () => this.#lose(),
    });
    this.#link.open();
  }

  retain(keys: readonly ContractKey[], asker?: string): void {
    for (const key of keys) this.#told.add(key);
    this.#wishes.want(keys, asker);
  }

  askedToo(keys: readonly ContractKey[], asker: string): void {
    this.#wishes.askedToo(keys, asker);
  }

  release(keys: readonly ContractKey[]): void {
    for (const key of keys) this.#told.delete(key);
    this.#wishes.drop(keys);
  }

  position(): Position {
    return this.#told.position();
  }

  latest(): Position | undefined {
    if (this.#beat === undefined || this.#told.isLost) return undefined;
    const passedUs = (this.#clock.monotonicMs() - this.#beatAtMs) * 1_000;
    return { epoch: this.#told.epoch, offset: this.#beat.offset + passedUs + AHEAD_US };
  }

  health(): readonly string[] {
    if (this.#state !== 'joined' || this.#told.isLost || this.#beat === undefined) {
      return [`Redis cannot be reached: ${this.#fault}.`];
    }
    const { source } = this.#lease;
    if (source !== undefined) return source.health();
    const holder = this.#holder();
    return holder?.reasons ?? ['No gateway of the cluster holds the connection to IME.'];
  }

  async check(): Promise<readonly string[]> {
    const untilMs = this.#clock.monotonicMs() + CHECK_MS;
    const isSettled = () =>
      this.#state === 'closed' ||
      (this.#state === 'joined' && (this.#lease.source ?? this.#holder()) !== undefined);
    while (!isSettled() && this.#clock.monotonicMs() < untilMs) {
      await new Promise<void>((resolve) => this.#clock.setTimeout(resolve, CHECK_EVERY_MS));
    }
    const { source } = this.#lease;
    return this.#state === 'joined' && !this.#told.isLost && source !== undefined
      ? source.check()
      : this.health();
  }

  report(): SourceReport {
    const { source } = this.#lease;
    const report = source?.report() ?? NO_SOURCE;
    const problems = source === undefined ? (this.#holder()?.problems ?? []) : report.problems;
    return { ...report, problems, cluster: this.#clusterReport() };
  }

  close(): void {
    if (this.#state === 'closed') return;
    this.#setState('closed');
    this.#pulse.close();
    const left = this.#lease.close();
    // Whoever takes over is told so; but nobody is waited for.
    void left.finally(() => this.#link.close());
  }

  #setState(state: ClusterState): void {
    if (this.#state !== 'closed') this.#state = state;
  }

  #holder(): (MemberInfo & { readonly id: string }) | undefined {
    return this.#beat?.members.find(({ id }) => id === this.#beat?.lease);
  }

  #clusterReport(): ClusterReport {
    const isHealthy = this.#state === 'joined' && !this.#told.isLost;
    const beat = this.#beat;
    return {
      gateway: this.#id,
      role: this.#settings.role,
      holder: beat === undefined || beat.lease === '' ? null : beat.lease,
      epoch: isHealthy ? this.#told.epoch : null,
      gateways: (beat?.members ?? []).map(({ id, role, clients, wishes }) => ({
        id,
        role,
        clients,
        wishes,
      })),
      redisHealthy: isHealthy,
      redisProblem: isHealthy ? null : this.#fault,
      roundTripMs: isHealthy ? (this.#pulse.roundTripMs ?? null) : null,
    };
  }

  /** The connections are new: everything is subscribed to, registered and read once more. */
  async #join(life: number): Promise<void> {
    this.#setState('joining');
    const isOver = () => life !== this.#life || this.#state === 'closed' || !this.#link.isOpen;
    try {
      await this.#link.subscribe([`g:${this.#id}`, 'all', ...this.#lease.channels]);
      if (isOver()) return;
      const beat = await this.#pulse.now();
      if (isOver()) return;
      const wasLost = this.#told.isLost;
      const isEmptied = this.#told.beginReading(beat.epoch);
      this.#told.found();
      await this.#wishes.registerAll(isOver);
      if (isOver()) return;
      this.#setState('joined');
      this.#wishes.open();
      this.#lease.joined(beat, isEmptied);
      const { epoch, lease } = beat;
      this.#log.info({ epoch, holder: lease, wasLost }, 'joined the cluster');
    } catch (error) {
      if (!isOver()) this.#link.fail((error as Error).message);
    }
  }

  async #sendBeat(token: string): Promise<Beat> {
    const source = this.#lease.source;
    const info: MemberInfo = {
      role: this.#settings.role,
      clients: this.#settings.clients(),
      reasons: source?.health() ?? [],
      problems: source?.report().problems ?? [],
    };
    const life = this.#life;
    const beat = readBeat(await this.#lease.beat(JSON.stringify(info), token));
    if (life !== this.#life || this.#state === 'closed') throw new Error('the connection is over');
    this.#beat = beat;
    this.#beatAtMs = this.#clock.monotonicMs();
    if (this.#state !== 'joined') return beat;
    if (beat.epoch !== this.#told.epoch) this.#link.fail('it has come back empty');
    else this.#lease.compare(beat);
    return beat;
  }

  #heard(channel: string, text: string): void {
    try {
      if (channel.startsWith('c:')) this.#told.heard(channel.slice(2) as ContractKey, text);
      else if (channel === 'wishes') this.#lease.heardWish(text);
      else if (channel === 'all') this.#lease.heardVacant();
      else if (text.startsWith('P')) this.#pulse.heard(text.slice(1));
      else if (text.startsWith('E')) this.#told.endReading();
      else this.#told.heardStored(text);
    } catch (error) {
      this.#log.error({ error, channel }, 'a message of the cluster could not be used');
    }
  }

  #broke(reason: string): void {
    this.#life++;
    this.#fault = reason;
    if (this.#state === 'joined') this.#log.warn({ reason }, 'the connection to Redis was lost');
    this.#setState('apart');
    this.#wishes.shut();
    this.#lease.apart();
  }

  #lose(): void {
    if (this.#told.isLost || this.#state === 'closed') return;
    const cause: StatusCause = {
      code: 'CLUSTER_LOST',
      reason: `Redis, through which the gateways share IME, cannot be reached: ${this.#fault}.`,
    };
    this.#log.error({ reason: this.#fault }, 'Redis cannot be reached: contracts are STALE');
    this.#told.lose(cause);
    // Whatever it was, only another connection shows that it is over.
    this.#link.fail(this.#fault);
  }
}
