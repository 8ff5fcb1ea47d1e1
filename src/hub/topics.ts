import { CONTRACT_STATUSES, type ContractStatus } from '../contract/contract-status.ts';
import type { ContractKey } from '../contract/key.ts';
import type { ContractSearch } from '../contract/search.ts';
import type { Clock } from '../lib/clock.ts';
import type { ContractState } from './contract-state.ts';
import { KeptShare } from './kept-share.ts';
import { Topic } from './topic.ts';

/** The contracts that are held, in the order of asking. */
export class Topics {
  readonly #clock: Clock;
  readonly #topics = new Map<ContractKey, Topic>();
  readonly #share = new KeptShare();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get size(): number {
    return this.#topics.size;
  }

  get(key: ContractKey): Topic | undefined {
    return this.#topics.get(key);
  }

  keys(): ContractKey[] {
    return [...this.#topics.keys()];
  }

  /** A contract of which nothing is known, not held yet. */
  made(key: ContractKey): Topic {
    return new Topic(key, this.#clock.nowMs(), this.#clock.monotonicMs(), this.#share);
  }

  add(topics: readonly Topic[]): void {
    for (const topic of topics) this.#topics.set(topic.key, topic);
    this.#share.divide(this.#topics.size);
  }

  delete(keys: readonly ContractKey[]): void {
    for (const key of keys) this.#topics.delete(key);
    this.#share.divide(this.#topics.size);
  }

  clear(): void {
    this.#topics.clear();
  }

  /** The latest states of contracts that those were told of who watch all of them. */
  announced(): ContractState[] {
    const states: ContractState[] = [];
    for (const { announcement, state } of this.#topics.values()) {
      if (announcement === 'announced') states.push(state);
    }
    return states;
  }

  /** The latest states of contracts, but INVALID ones, in the order of asking. */
  states(search?: ContractSearch): ContractState[] {
    const states: ContractState[] = [];
    for (const { key, state } of this.#topics.values()) {
      if (state.status !== 'INVALID' && search?.finds(key) !== false) states.push(state);
    }
    return states;
  }

  /** How many of the contracts have each status. */
  countByStatus(): Record<ContractStatus, number> {
    const counts = Object.fromEntries(CONTRACT_STATUSES.map((status) => [status, 0]));
    for (const { state } of this.#topics.values())
      counts[state.status] = (counts[state.status] ?? 0) + 1;
    return counts as Record<ContractStatus, number>;
  }
}
