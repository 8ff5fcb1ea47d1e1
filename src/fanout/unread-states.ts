import type { ContractKey } from '../contract/key.ts';
import type { ContractState } from '../hub/contract-state.ts';
import type { CarriedSubscription } from './frame-encoder.ts';

/** What the subscriptions of a slow reader are still to be sent: the newest state of each contract. */
export class UnreadStates {
  /** By subscription, and then in the order in which the contracts have changed. */
  readonly #bySubscription = new Map<CarriedSubscription, Map<ContractKey, ContractState>>();

  /**
   * A contract has changed.
   *
   * @returns whether the state takes the place of an older one
   */
  add(to: CarriedSubscription, state: ContractState): boolean {
    let states = this.#bySubscription.get(to);
    if (states === undefined) {
      states = new Map();
      this.#bySubscription.set(to, states);
    }
    // Deleting first moves a contract that changes again behind those that changed before.
    const isConflated = states.delete(state.key);
    states.set(state.key, state);
    return isConflated;
  }

  /** What a subscription is still to be sent; it is handed over. */
  take(to: CarriedSubscription): Iterable<ContractState> {
    const states = this.#bySubscription.get(to);
    this.#bySubscription.delete(to);
    return states?.values() ?? [];
  }

  /** Drops what a subscription is still to be sent of some contracts. */
  drop(to: CarriedSubscription, which: (key: ContractKey) => boolean): void {
    const states = this.#bySubscription.get(to);
    for (const key of states?.keys() ?? []) if (which(key)) states?.delete(key);
  }

  /** The subscriptions that are still to be sent something. */
  subscriptions(): CarriedSubscription[] {
    return [...this.#bySubscription.keys()];
  }
}
