import type { ContractStatus } from '../contract/contract-status.ts';
import type { ContractKey } from '../contract/key.ts';
import type { ContractSearch } from '../contract/search.ts';
import type { Clock } from '../lib/clock.ts';
import { DueQueue } from '../lib/due-queue.ts';
import { ExpiryQueue } from '../lib/expiry-queue.ts';
import type { Logger } from '../observability/log.ts';
import type { ContractState } from './contract-state.ts';
import { guarded, Observed } from './observed.ts';
import { OpenSubscriptions } from './open-subscriptions.ts';
import { type Position, Reached } from './position.ts';
import { toLetGo } from './room.ts';
import type { ContractSink, ContractSource, NewState, NewStatus } from './source.ts';
import type { Broke, ContractSubscriber, Topic } from './topic.ts';
import { Topics } from './topics.ts';
import { Watchers } from './watchers.ts';

/** The pace of subscriptions is even to within this, in milliseconds. */
const PACE_EVEN_MS = 5;

/**
 * Brings contracts and subscribers together. A contract is retained upstream once, from its first
 * subscriber until `lingerMs` after its last one, however many subscribers it has.
 */
export class ContractHub implements ContractSink {
  readonly #topics: Topics;
  readonly #linger: ExpiryQueue<ContractKey>;
  /** What everything in the hub measures times with. */
  readonly clock: Clock;
  readonly #log: Logger;
  /** What subscriptions hold back for their pace. */
  readonly pace: DueQueue;
  readonly open: OpenSubscriptions;
  #source: ContractSource | undefined;
  readonly #watchers = new Watchers();
  /** Who is told what becomes of contracts. */
  readonly observed: Observed;
  readonly #reached = new Reached();
  #closed = false;

  /** @param lingerMs how long a contract stays retained after its last subscriber */
  constructor(lingerMs: number, clock: Clock, log: Logger) {
    this.clock = clock;
    this.#topics = new Topics(clock);
    this.#log = log;
    this.observed = new Observed(log);
    this.open = new OpenSubscriptions(log);
    this.pace = new DueQueue(PACE_EVEN_MS, (error) => log.error({ error }, 'a held update failed'));
    this.#linger = new ExpiryQueue(
      lingerMs,
      (key) => guarded(log, 'a contract could not be let go', () => this.#drop([key])),
      clock,
    );
  }

  /** Names the source that contracts are asked of, before the first one is. */
  connect(source: ContractSource): void {
    this.#source = source;
  }

  /**
   * Adds a subscriber to contracts and reads what is known of them in one synchronous step: no change
   * is missed in between and none is told twice.
   *
   * @returns the latest state of each of `keys`, in their order
   */
  subscribe(keys: readonly ContractKey[], subscriber: ContractSubscriber): ContractState[] {
    // What the source knows of a contract it tells at once: before there is a subscriber to tell it twice.
    const topics = this.#hold(keys);
    const wanted: ContractKey[] = [];
    for (const topic of topics) {
      if (!topic.add(subscriber)) continue;
      if (topic.shared) wanted.push(topic.key);
      else this.#linger.delete(topic.key);
    }
    if (wanted.length > 0) this.#source?.retain(wanted);
    return topics.map(({ state }) => state);
  }

  /** Removes a subscriber from contracts; those without another one linger. */
  unsubscribe(keys: readonly ContractKey[], subscriber: ContractSubscriber): void {
    const unwanted: ContractKey[] = [];
    for (const key of keys) {
      const topic = this.#topics.get(key);
      if (!topic?.remove(subscriber)) continue;
      if (topic.shared) unwanted.push(key);
      else if (!topic.pinned) this.#linger.add(key);
    }
    if (unwanted.length > 0) this.#source?.release(unwanted);
  }

  /**
   * Adds a subscriber to every contract that is held or comes to be held, which keeps none of them. What is
   * INVALID from its beginning is left out.
   *
   * @returns the latest states; those let go lately are among them, STALE for RELEASED
   */
  watch(watcher: ContractSubscriber): ContractState[] {
    if (!this.#closed) this.#watchers.add(watcher);
    return [...this.#watchers.releasedStates(), ...this.#topics.announced()];
  }

  /** Removes a subscriber to every contract. */
  unwatch(watcher: ContractSubscriber): void {
    this.#watchers.delete(watcher);
  }

  /** The position of the last change that was told, here or by another gateway. */
  get latest(): Position {
    return this.#source?.latest?.() ?? this.#reached.position;
  }

  /** How many contracts are held. */
  get size(): number {
    return this.#topics.size;
  }

  /** Whether the contract is held. */
  holds(key: ContractKey): boolean {
    return this.#topics.get(key) !== undefined;
  }

  /** Whether the contract is held for those who want it alone: it is not pinned. */
  holdsOnDemand(key: ContractKey): boolean {
    return this.#topics.get(key)?.pinned === false;
  }

  /** Whether the contract is held although nobody wants it any more. */
  lingers(key: ContractKey): boolean {
    return this.#linger.has(key);
  }

  /** Somebody else asks for contracts that are held and of which nothing is known yet. */
  askedToo(keys: readonly ContractKey[], asker: string): void {
    this.#source?.askedToo?.(keys, asker);
  }

  /**
   * Makes room for contracts that are about to be asked for, `most` in all. Others that linger are let go
   * for those not held yet, the longest first.
   *
   * @param letGo contracts that linger, none of those wanted: they are let go in any case
   * @returns whether there is room; nothing is let go where there cannot be
   */
  makeRoom(
    wanted: readonly ContractKey[],
    most: number,
    letGo: readonly ContractKey[] = [],
  ): boolean {
    const distinct = new Set(wanted);
    const excess = toLetGo(distinct, most, letGo.length, this, this.#linger.size);
    if (excess === undefined) return false;
    for (const key of letGo) this.#linger.delete(key);
    this.#drop(letGo);
    this.#drop(this.#linger.takeOldest(excess, (key) => !distinct.has(key)));
    return true;
  }

  /** Retains contracts for as long as the hub lives. */
  pin(keys: Iterable<ContractKey>): void {
    for (const topic of this.#hold([...keys])) {
      topic.pinned = true;
      this.#linger.delete(topic.key);
    }
  }

  /** The latest state of a contract; `undefined` for one not held. */
  stateOf(key: ContractKey): ContractState | undefined {
    return this.#topics.get(key)?.state;
  }

  /** {@link stateOf} for a reader who does not stay: what lingers does so anew. */
  read(key: ContractKey): ContractState | undefined {
    if (this.#linger.has(key)) this.#linger.add(key);
    const topic = this.#topics.get(key);
    if (topic?.isUnwanted) this.#source?.readAgain?.(key);
    return topic?.state;
  }

  /** Whether the source has said that a contract exists, or that it does not; false for one not held. */
  isAnswered(key: ContractKey): boolean {
    return this.#topics.get(key)?.isAnswered ?? false;
  }

  /** When the source was asked for `key`, by the monotonic clock; `undefined` for one not held. */
  askedAtMs(key: ContractKey): number | undefined {
    return this.#topics.get(key)?.askedAtMs;
  }

  /** The latest states of contracts that are held, but INVALID ones, in the order of asking. */
  states(search?: ContractSearch): ContractState[] {
    return this.#topics.states(search);
  }

  /** How many of the contracts held have each status. */
  countByStatus(): Record<ContractStatus, number> {
    return this.#topics.countByStatus();
  }

  state(key: ContractKey, state: NewState): void {
    this.#reached.to(state.position);
    const topic = this.#topics.get(key);
    if (topic === undefined) return;
    if (topic.state.snapshot === null) this.observed.tell('answered', key);
    this.#change(topic, topic.state.withSnapshot(state));
  }

  status(key: ContractKey, status: NewStatus): void {
    this.#reached.to(status.position);
    const topic = this.#topics.get(key);
    if (status.status === 'INVALID') this.observed.tell('refused', key);
    if (topic === undefined) return;
    this.#change(topic, topic.state.withStatus(status, this.clock.nowMs()));
  }

  accepted(key: ContractKey): void {
    this.#topics.get(key)?.accept();
    this.observed.tell('answered', key);
  }

  shared(key: ContractKey, tell: () => void): void {
    const topic = this.#topics.get(key) ?? this.#topics.made(key);
    const isNew = topic.announcement === 'joining';
    topic.share();
    this.#linger.delete(key);
    this.#topics.add([topic]);
    tell();
    if (isNew) this.#watchers.joined([topic], this.#broke);
  }

  letGo(key: ContractKey, position: Position): void {
    const topic = this.#topics.get(key);
    // Somebody has come to want it meanwhile, and the source is told so.
    if (topic === undefined || topic.subscriberCount > 0) return;
    this.#topics.delete([key]);
    this.#released(topic, position);
  }

  /** Ends every subscription and releases every contract. */
  close(): void {
    this.#closed = true;
    this.open.end();
    this.#linger.clear();
    this.pace.close();
    this.#source?.release(this.#topics.keys());
    this.#topics.clear();
    this.#watchers.clear();
  }

  /** The topics of contracts; those that are not held yet are asked of the source, all at once. */
  #hold(keys: readonly ContractKey[]): Topic[] {
    const added: Topic[] = [];
    const topics = keys.map((key) => {
      const known = this.#topics.get(key);
      if (known !== undefined) return known;
      const topic = this.#topics.made(key);
      if (this.#closed) return topic;
      this.#topics.add([topic]);
      added.push(topic);
      return topic;
    });
    // What is asked for in one step is asked for by one.
    const [first] = added;
    if (first !== undefined) {
      const asked = added.map(({ key }) => key);
      this.#source?.retain(asked, this.observed.askerOf(first.key));
      const joined = asked.flatMap((key) => this.#topics.get(key) ?? []);
      this.#watchers.joined(joined, this.#broke);
    }
    return topics;
  }

  #drop(keys: readonly ContractKey[]): void {
    if (keys.length === 0) return;
    const dropped = keys.map((key) => this.#topics.get(key));
    this.#topics.delete(keys);
    for (const key of keys) this.observed.tell('dropped', key);
    for (const topic of dropped)
      if (topic && this.#source) this.#released(topic, this.#source.position());
    this.#source?.release(keys);
  }

  #released(topic: Topic, position: Position): void {
    this.#reached.to(position);
    this.#watchers.released(topic, position, this.clock.nowMs(), this.#broke);
  }

  #change(topic: Topic, state: ContractState): void {
    topic.change(state, this.#watchers.of(topic, state), this.#broke);
  }

  /** Whoever throws when they are told something is ended, and nobody else notices. */
  readonly #broke: Broke = (subscriber, error, contract) => {
    this.#log.error({ error, contract }, 'a subscriber failed: it is ended');
    this.#watchers.delete(subscriber);
    this.unsubscribe([contract], subscriber);
    guarded(this.#log, 'a subscriber did not end', () => subscriber.broken());
  };
}
