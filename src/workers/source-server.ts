import type { ContractKey } from '../contract/key.ts';
import type { LocalTimeZone } from '../contract/local-time.ts';
import { toLetGo } from '../hub/room.ts';
import type { ContractSink, ContractSource, NewState, NewStatus } from '../hub/source.ts';
import type { ContractObserver } from '../hub/topic.ts';
import type { Clock } from '../lib/clock.ts';
import { ExpiryQueue } from '../lib/expiry-queue.ts';
import type { Logger } from '../observability/log.ts';
import { letGoFrame } from './frames.ts';
import { HeldContract } from './held-contract.ts';
import type { Channel } from './link/channel.ts';
import { type Change, LinkUpdates } from './link-updates.ts';
import type { SourceNews } from './worker-source.ts';

/** What was asked for stays at least so long until a worker says that somebody there wants it. */
const LEAST_LINGER_MS = 1_000;

/** How often it is looked whether the source says something else of itself, in milliseconds. */
const NEWS_INTERVAL_MS = 250;

/** What a worker says of contracts. */
interface Wish {
  readonly keys: readonly ContractKey[];
  readonly asker?: string;
  /** Those of which the worker has not been told that they are held. */
  readonly unknown?: readonly ContractKey[];
}

/** One worker, as the primary knows it. */
interface Link {
  readonly channel: Channel;
  readonly updates: LinkUpdates;
  readonly wanted: Set<ContractKey>;
}

/**
 * The contracts of the machine: asks them of the source for all workers together, and tells all workers every
 * change of every contract, so that each of them knows what the gateway holds. A contract stays for `lingerMs`
 * after the last worker wanted it.
 */
export class SourceServer implements ContractSink {
  readonly #held = new Map<ContractKey, HeldContract>();
  readonly #links = new Map<Channel, Link>();
  readonly #linger: ExpiryQueue<ContractKey>;
  readonly #clock: Clock;
  readonly #zone: LocalTimeZone;
  readonly #log: Logger;
  #changes: Change[] = [];
  /** Contracts that are being asked of the source: they are told as joined once it has said what it knows. */
  #joining: ReadonlySet<ContractKey> = new Set();
  #source: ContractSource | undefined;
  #observer: ContractObserver | undefined;
  #telling: NodeJS.Immediate | undefined;
  readonly #looking: () => void;
  /** What the source has said of itself last. */
  #told = '';
  #health: string | undefined;

  /** @param lingerMs how long a contract stays after its last worker; at least a second */
  constructor(lingerMs: number, zone: LocalTimeZone, clock: Clock, log: Logger) {
    this.#zone = zone;
    this.#clock = clock;
    this.#log = log;
    this.#linger = new ExpiryQueue(
      Math.max(lingerMs, LEAST_LINGER_MS),
      (key) => this.#letGo([key]),
      clock,
    );
    this.#looking = clock.setInterval(() => this.#tellNews(), NEWS_INTERVAL_MS);
  }

  /** Names the source that contracts are asked of, before the first one is. */
  connect(source: ContractSource): void {
    this.#source = source;
  }

  /** Names who is told what becomes of contracts. */
  observe(observer: ContractObserver): void {
    this.#observer = observer;
  }

  /** A worker has come: it is told everything that is known as soon as it follows, and then what changes. */
  serve(channel: Channel): void {
    channel.answers('begin', () => ({ ...this.#news(), position: this.#source?.position() }));
    channel.answers('news', () => this.#news());
    channel.answers('check', () => this.#source?.check());
    channel.answers('follow', () => new Promise<void>((level) => this.#follow(channel, level)));
  }

  #news(): SourceNews {
    const source = this.#source as ContractSource;
    return { health: source.health(), report: source.report() };
  }

  /** Tells the workers what the source says of itself, where that has changed. */
  #tellNews(): void {
    if (this.#links.size === 0) return;
    const news = this.#news();
    const text = JSON.stringify(news);
    if (text === this.#told) return;
    this.#told = text;
    this.#health = news.health.join();
    for (const channel of this.#links.keys()) channel.tell('source', news);
  }

  #follow(channel: Channel, level: () => void): void {
    this.#tell();
    const link: Link = {
      channel,
      updates: new LinkUpdates(channel, this.#held, level),
      wanted: new Set(),
    };
    this.#links.set(channel, link);
    channel.answers('retain', ({ keys, asker, unknown = [] }: Wish) => {
      this.#retain(link, keys, unknown, asker);
    });
    channel.answers('release', ({ keys }: Wish) => this.#release(link, keys));
    channel.answers('askedToo', ({ keys, asker }: Wish) => this.askedToo(keys, asker ?? ''));
    channel.answers('read', ({ keys }: Wish) => {
      for (const key of keys) if (this.#linger.has(key)) this.#linger.add(key);
    });
    channel.onClose(() => {
      this.#links.delete(channel);
      this.#release(link, [...link.wanted]);
    });
  }

  /** Everything that has changed, and what is known of these contracts, is told before what is written next. */
  tellFirst(channel: Channel, keys: readonly ContractKey[]): void {
    this.#tell();
    this.#links.get(channel)?.updates.tellNow(keys);
  }

  /** Has contracts held from now on, for as long as somebody wants them and a while longer. */
  hold(keys: readonly ContractKey[]): void {
    this.#join(keys, (key) => this.#observer?.askerOf(key));
    for (const key of keys) this.#lingerUnlessWanted(key);
  }

  /** Holds contracts whether anybody wants them or not. */
  pin(keys: readonly ContractKey[]): void {
    this.#join(keys, undefined);
    for (const key of keys) {
      const contract = this.#held.get(key);
      if (contract !== undefined) contract.pinned = true;
      this.#linger.delete(key);
    }
  }

  /** How many contracts are held. */
  get size(): number {
    return this.#held.size;
  }

  holds(key: ContractKey): boolean {
    return this.#held.has(key);
  }

  holdsOnDemand(key: ContractKey): boolean {
    return this.#held.get(key)?.pinned === false;
  }

  lingers(key: ContractKey): boolean {
    return this.#linger.has(key);
  }

  askedToo(keys: readonly ContractKey[], asker: string): void {
    this.#source?.askedToo?.(keys, asker);
  }

  makeRoom(wanted: readonly ContractKey[], most: number, letGo: readonly ContractKey[]): boolean {
    const distinct = new Set(wanted);
    const excess = toLetGo(distinct, most, letGo.length, this, this.#linger.size);
    if (excess === undefined) return false;
    for (const key of letGo) this.#linger.delete(key);
    this.#letGo(letGo);
    this.#letGo(this.#linger.takeOldest(excess, (key) => !distinct.has(key)));
    return true;
  }

  state(key: ContractKey, state: NewState): void {
    const contract = this.#held.get(key);
    if (contract === undefined) return;
    this.#observe((observer) => observer.answered(key));
    this.#changed(key, 'state', contract.setState(state, this.#zone));
  }

  status(key: ContractKey, status: NewStatus): void {
    if (status.status === 'INVALID') this.#observe((observer) => observer.refused(key));
    const contract = this.#held.get(key);
    if (contract === undefined) return;
    this.#changed(key, 'status', contract.setStatus(status, this.#clock.nowMs()));
  }

  accepted(key: ContractKey): void {
    this.#observe((observer) => observer.answered(key));
  }

  /** Releases every contract and tells nobody anything more. */
  close(): void {
    clearImmediate(this.#telling);
    this.#looking();
    this.#changes = [];
    this.#linger.clear();
    this.#source?.release([...this.#held.keys()]);
    this.#held.clear();
    for (const { channel } of this.#links.values()) channel.close();
    this.#links.clear();
  }

  #retain(
    link: Link,
    keys: readonly ContractKey[],
    unknown: readonly ContractKey[],
    asker: string | undefined,
  ): void {
    const wasHeld = new Set(unknown.filter((key) => this.#held.has(key)));
    this.#join(keys, () => asker);
    for (const key of keys) {
      link.wanted.add(key);
      this.#held.get(key)?.wantedBy.add(link);
      this.#linger.delete(key);
    }
    this.#tell();
    for (const key of wasHeld) link.updates.tellAnew(key);
  }

  #release(link: Link, keys: readonly ContractKey[]): void {
    for (const key of keys) {
      link.wanted.delete(key);
      const contract = this.#held.get(key);
      if (contract?.wantedBy.delete(link)) this.#lingerUnlessWanted(key);
    }
  }

  #lingerUnlessWanted(key: ContractKey): void {
    const contract = this.#held.get(key);
    if (contract === undefined || contract.pinned || contract.wantedBy.size > 0) return;
    this.#linger.add(key);
  }

  #join(
    keys: readonly ContractKey[],
    askerOf: ((key: ContractKey) => string | undefined) | undefined,
  ): void {
    const added = [...new Set(keys)].filter((key) => !this.#held.has(key));
    const [first] = added;
    if (first === undefined) return;
    for (const key of added) this.#held.set(key, new HeldContract(key));
    this.#joining = new Set(added);
    try {
      this.#source?.retain(added, askerOf?.(first));
    } finally {
      this.#joining = new Set();
    }
    for (const key of added) {
      const contract = this.#held.get(key);
      if (contract !== undefined) this.#changed(key, 'joined', contract.joined());
    }
  }

  #letGo(keys: readonly ContractKey[]): void {
    const held = keys.filter((key) => this.#held.delete(key));
    if (held.length === 0 || this.#source === undefined) return;
    for (const key of held) {
      this.#observe((observer) => observer.dropped(key));
      this.#changed(key, 'letGo', letGoFrame(key, this.#source.position()));
    }
    this.#source.release(held);
  }

  #changed(key: ContractKey, kind: Change['kind'], frame: Buffer): void {
    if (this.#joining.has(key)) return;
    this.#changes.push({ key, kind, frame });
    // What comes in one turn goes out in one write.
    this.#telling ??= setImmediate(() => this.#tell());
  }

  #tell(): void {
    clearImmediate(this.#telling);
    this.#telling = undefined;
    const changes = this.#changes;
    if (changes.length === 0) return;
    this.#changes = [];
    if (this.#source?.health().join() !== this.#health) this.#tellNews();
    const frames = Buffer.concat(changes.map(({ frame }) => frame));
    for (const { updates } of this.#links.values()) updates.tell(changes, frames);
  }

  #observe(tell: (observer: ContractObserver) => void): void {
    try {
      if (this.#observer !== undefined) tell(this.#observer);
    } catch (error) {
      this.#log.error({ error }, 'an observer of contracts failed');
    }
  }
}
