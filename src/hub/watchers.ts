import { RELEASED } from '../contract/contract-status.ts';
import type { ContractKey } from '../contract/key.ts';
import type { ContractState } from './contract-state.ts';
import { byPosition, type Position } from './position.ts';
import { type Broke, type ContractSubscriber, type Topic, tellEach } from './topic.ts';

/** How many contracts that were let go are remembered. */
const MOST_RELEASED = 1_000;

const NOBODY: ReadonlySet<ContractSubscriber> = new Set();

/** Those who are told of every contract that is held, and what they were told last of those let go. */
export class Watchers {
  readonly #watchers = new Set<ContractSubscriber>();
  /** Those let go longest ago first. */
  readonly #released = new Map<ContractKey, ContractState>();

  add(watcher: ContractSubscriber): void {
    this.#watchers.add(watcher);
  }

  delete(watcher: ContractSubscriber): void {
    this.#watchers.delete(watcher);
  }

  /** Who is told that a contract changes to `state`: nobody for as long as it has never been but INVALID. */
  of(topic: Topic, { status }: ContractState): ReadonlySet<ContractSubscriber> {
    if (topic.announcement === 'withheld' && status !== 'INVALID') topic.announcement = 'announced';
    return topic.announcement === 'announced' ? this.#watchers : NOBODY;
  }

  /** Contracts are held from now on, and their source has said what it knows of them. */
  joined(topics: readonly Topic[], broke: Broke): void {
    for (const topic of topics) {
      this.#released.delete(topic.key);
      topic.announcement = topic.state.status === 'INVALID' ? 'withheld' : 'announced';
    }
    if (this.#watchers.size === 0) return;
    const announced = topics.filter(({ announcement }) => announcement === 'announced');
    for (const state of announced.map((topic) => topic.state).sort(byPosition)) {
      tellEach(this.#watchers, state, true, broke);
    }
  }

  /** A contract is held no more: tells that, but of one that was told to be INVALID, and remembers it. */
  released({ state, announcement }: Topic, position: Position, nowMs: number, broke: Broke): void {
    if (announcement !== 'announced') return;
    const isInvalid = state.status === 'INVALID';
    const last = isInvalid
      ? state
      : state.withStatus({ status: 'STALE', cause: RELEASED, position }, nowMs);
    if (!isInvalid) tellEach(this.#watchers, last, true, broke);
    this.#released.set(last.key, last);
    if (this.#released.size <= MOST_RELEASED) return;
    for (const key of this.#released.keys()) {
      this.#released.delete(key);
      return;
    }
  }

  /** What was told last of contracts that are held no more. */
  releasedStates(): ContractState[] {
    return [...this.#released.values()];
  }

  clear(): void {
    this.#watchers.clear();
    this.#released.clear();
  }
}
