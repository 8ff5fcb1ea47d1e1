import type { ContractKey } from '../contract/key.ts';
import { ContractState } from './contract-state.ts';
import type { KeptShare } from './kept-share.ts';

/** Somebody who is told every change of a contract, synchronously and in order. */
export interface ContractSubscriber {
  /**
   * @param state the contract's state after the change
   * @param statusChanged whether its status, or why it is so, differs from the state before
   */
  contractChanged(state: ContractState, statusChanged: boolean): void;
  /** It has thrown when it was told something: it is told nothing more and ends. */
  broken(): void;
}

/** One contract's latest state and those who are told its changes. */
export class Topic {
  /** Kept without subscribers for as long as the hub lives. */
  pinned = false;
  readonly #subscribers = new Set<ContractSubscriber>();
  #state: ContractState;

  /**
   * @param nowMs epoch milliseconds
   * @param askedAtMs when the source was asked for the contract, by the monotonic clock
   * @param share how much may be kept of what is written of its states
   */
  constructor(
    readonly key: ContractKey,
    nowMs: number,
    readonly askedAtMs: number,
    share: KeptShare,
  ) {
    this.#state = ContractState.pending(key, nowMs, share);
  }

  get state(): ContractState {
    return this.#state;
  }

  get subscriberCount(): number {
    return this.#subscribers.size;
  }

  /** @returns whether this is the topic's first subscriber */
  add(subscriber: ContractSubscriber): boolean {
    this.#subscribers.add(subscriber);
    return this.#subscribers.size === 1;
  }

  /** @returns whether the topic's last subscriber has gone with this one */
  remove(subscriber: ContractSubscriber): boolean {
    return this.#subscribers.delete(subscriber) && this.#subscribers.size === 0;
  }

  /**
   * Makes `state` the latest and tells it to every subscriber.
   *
   * @param broke told of one that throws; the others are told all the same
   */
  change(
    state: ContractState,
    broke: (subscriber: ContractSubscriber, error: unknown) => void,
  ): void {
    const last = this.#state;
    if (state === last) return;
    this.#state = state;
    const statusChanged =
      state.status !== last.status ||
      state.statusReason !== last.statusReason ||
      state.statusCode !== last.statusCode;
    for (const subscriber of this.#subscribers) {
      try {
        subscriber.contractChanged(state, statusChanged);
      } catch (error) {
        broke(subscriber, error);
      }
    }
  }
}
