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

/** Somebody who is told what becomes of contracts that were asked for. */
export interface ContractObserver {
  /** Who was the first to ask for a contract of which nothing is known yet. */
  askerOf(key: ContractKey): string | undefined;
  /** The contract exists. */
  answered(key: ContractKey): void;
  /** IME refuses the contract. */
  refused(key: ContractKey): void;
  /** The contract is held no longer. */
  dropped(key: ContractKey): void;
}

/** Told of somebody who throws when they are told something. */
export type Broke = (subscriber: ContractSubscriber, error: unknown, contract: ContractKey) => void;

/** Tells everybody a change; one that throws keeps nobody else from being told. */
export function tellEach(
  subscribers: ReadonlySet<ContractSubscriber>,
  state: ContractState,
  statusChanged: boolean,
  broke: Broke,
): void {
  for (const subscriber of subscribers) {
    try {
      subscriber.contractChanged(state, statusChanged);
    } catch (error) {
      broke(subscriber, error, state.key);
    }
  }
}

/** One contract's latest state and those who are told its changes. */
export class Topic {
  /** Kept without subscribers for as long as the hub lives. */
  pinned = false;
  /**
   * What those know of it who are told of every contract: nothing yet, while its source is asked; nothing,
   * for it has never been but INVALID; everything.
   */
  announcement: 'joining' | 'withheld' | 'announced' = 'joining';
  readonly #subscribers = new Set<ContractSubscriber>();
  #shared = false;
  #state: ContractState;
  #isAccepted = false;

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

  /** Whether its source has said that it exists, or that it does not. */
  get isAnswered(): boolean {
    const { snapshot, status } = this.#state;
    return this.#isAccepted || snapshot !== null || status === 'INVALID';
  }

  /** Its source says that it exists. */
  accept(): void {
    this.#isAccepted = true;
  }

  /** Others share it: its source says when it is held no more, and is told whether it is wanted here. */
  get shared(): boolean {
    return this.#shared;
  }

  /** Whether it is held because others share it, and nobody here stays. */
  get isUnwanted(): boolean {
    return this.#shared && this.#subscribers.size === 0;
  }

  /** Others share it from now on. */
  share(): void {
    this.#shared = true;
    this.pinned = true;
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
   * Makes `state` the latest and tells it to every subscriber, and to `watchers`.
   *
   * @param broke told of one that throws; the others are told all the same
   */
  change(state: ContractState, watchers: ReadonlySet<ContractSubscriber>, broke: Broke): void {
    const last = this.#state;
    if (state === last) return;
    this.#state = state;
    const statusChanged =
      state.status !== last.status ||
      state.statusReason !== last.statusReason ||
      state.statusCode !== last.statusCode;
    tellEach(this.#subscribers, state, statusChanged, broke);
    tellEach(watchers, state, statusChanged, broke);
  }
}
