import { CONTRACT_STATUSES, type ContractStatus } from '../contract/contract-status.ts';
import type { ContractKey } from '../contract/key.ts';
import type { Snapshot } from '../contract/snapshot.ts';
import { ExpiryQueue } from '../lib/expiry-queue.ts';
import type { ContractState } from './contract-state.ts';

import type { ContractSink, ContractSource } from './source.ts';
import { type ContractSubscriber, Topic } from './topic.ts';

/** A stream of changes that ends with the hub at the latest. */
export interface Endable {
  end(): void;
}

/** Somebody who is told what becomes of contracts that were asked for. */
export interface ContractObserver {
  /** The contract exists, or is no longer held. */
  answered(key: ContractKey): void;
  /** IME refuses the contract. */
  refused(key: ContractKey): void;
}

/**
 * Brings contracts and subscribers together. A contract is retained upstream once, from its first
 * subscriber until `lingerMs` after its last one, however many subscribers it has.
 */
export class ContractHub implements ContractSink {
  readonly #topics = new Map<ContractKey, Topic>();
  readonly #linger: ExpiryQueue<ContractKey>;
  #source: ContractSource | undefined;
  readonly #open = new Set<Endable>();
  #observer: ContractObserver | undefined;
  #closed = false;

  /** @param lingerMs how long a contract stays retained after its last subscriber */
  constructor(lingerMs: number) {
    this.#linger = new ExpiryQueue(lingerMs, (key) => this.#drop(key));
  }

  /** Names the source that contracts are asked of, before the first one is. */
  connect(source: ContractSource): void {
    this.#source = source;
  }

  /** Names who is told what becomes of contracts. */
  observe(observer: ContractObserver): void {
    this.#observer = observer;
  }

  /**
   * Adds a subscriber to contracts and reads what is known of them in one synchronous step: no change
   * is missed in between and none is told twice.
   *
   * @returns the latest state of each of `keys`, in their order
   */
  subscribe(keys: readonly ContractKey[], subscriber: ContractSubscriber): ContractState[] {
    return keys.map((key) => {
      const topic = this.#topic(key);
      if (topic.add(subscriber)) this.#linger.delete(key);
      return topic.state;
    });
  }

  /** Removes a subscriber from contracts; those without another one linger. */
  unsubscribe(keys: readonly ContractKey[], subscriber: ContractSubscriber): void {
    for (const key of keys) {
      const topic = this.#topics.get(key);
      if (topic?.remove(subscriber) && !topic.pinned) this.#linger.add(key);
    }
  }

  /** How many contracts are held. */
  get size(): number {
    return this.#topics.size;
  }

  /** Whether the contract is held. */
  holds(key: ContractKey): boolean {
    return this.#topics.has(key);
  }

  /**
   * Whether `more` contracts can be held besides, `most` in all. Those that linger are let go for them,
   * the longest first.
   */
  makeRoom(more: number, most: number): boolean {
    let excess = this.#topics.size + more - most;
    if (excess > this.#linger.size) return false;
    for (; excess > 0; excess--) this.#linger.expireOldest();
    return true;
  }

  /** Takes note of a subscription, to end it with the hub at the latest. */
  opened(subscription: Endable): void {
    this.#open.add(subscription);
  }

  /** A subscription has ended. */
  ended(subscription: Endable): void {
    this.#open.delete(subscription);
  }

  /** How many subscriptions are open. */
  get subscriptions(): number {
    return this.#open.size;
  }

  /** Retains contracts for as long as the hub lives. */
  pin(keys: Iterable<ContractKey>): void {
    for (const key of keys) {
      this.#topic(key).pinned = true;
      this.#linger.delete(key);
    }
  }

  /** The latest state of a contract; `undefined` for one not held. */
  stateOf(key: ContractKey): ContractState | undefined {
    return this.#topics.get(key)?.state;
  }

  /**
   * The latest state of a contract as a reader gets it who does not stay; `undefined` for one not held.
   * One that lingers does so anew.
   */
  read(key: ContractKey): ContractState | undefined {
    if (this.#linger.has(key)) this.#linger.add(key);
    return this.stateOf(key);
  }

  /** Epoch milliseconds at which the source was asked for `key`; `undefined` for one not held. */
  askedAtMs(key: ContractKey): number | undefined {
    return this.#topics.get(key)?.askedAtMs;
  }

  /** The latest state of every contract that is held, in the order in which they were asked for. */
  states(): ContractState[] {
    return Array.from(this.#topics.values(), (topic) => topic.state);
  }

  /** How many of the contracts held have each status. */
  countByStatus(): Record<ContractStatus, number> {
    const counts = Object.fromEntries(CONTRACT_STATUSES.map((status) => [status, 0]));
    for (const { state } of this.#topics.values())
      counts[state.status] = (counts[state.status] ?? 0) + 1;
    return counts as Record<ContractStatus, number>;
  }

  publish(key: ContractKey, snapshot: Snapshot, staleReason?: string): void {
    const topic = this.#topics.get(key);
    if (topic?.state.snapshot === null) this.#observer?.answered(key);
    topic?.change(topic.state.withSnapshot(snapshot, staleReason ?? null, snapshot.receivedAtMs));
  }

  setStatus(key: ContractKey, status: Exclude<ContractStatus, 'LIVE'>, reason: string): void {
    const topic = this.#topics.get(key);
    if (status === 'INVALID') this.#observer?.refused(key);
    topic?.change(topic.state.withStatus(status, reason, Date.now()));
  }

  /** Ends every subscription and releases every contract. */
  close(): void {
    this.#closed = true;
    for (const subscription of this.#open) subscription.end();
    this.#linger.clear();
    for (const key of this.#topics.keys()) this.#source?.release(key);
    this.#topics.clear();
  }

  #topic(key: ContractKey): Topic {
    const known = this.#topics.get(key);
    if (known !== undefined) return known;
    const topic = new Topic(key, Date.now());
    if (this.#closed) return topic;
    this.#topics.set(key, topic);
    // A source that knows better, of a contract refused a minute ago say, tells the topic at once.
    this.#source?.retain(key);
    return topic;
  }

  #drop(key: ContractKey): void {
    this.#topics.delete(key);
    this.#observer?.answered(key);
    this.#source?.release(key);
  }
}
