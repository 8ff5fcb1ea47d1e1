import type { ContractState } from '../hub/contract-state.ts';
import type { Projection } from './projection.ts';

/** The place of no entry. */
export const NOWHERE = -1;
const FIRST_CAPACITY = 1_024;

/** A subscription, as the connection that carries it sees it. */
export interface CarriedSubscription {
  /** Its id, as `wireIdOf` has it. */
  readonly wireId: string;
  readonly projection: Projection;
  /** Nothing may be sent any more. */
  readonly isOver: boolean;
}

/**
 * What a tick has brought to whom: states for subscriptions, in one list for all connections, in which
 * each entry leads to the next one of the same connection. A thousand clients times ten contracts are ten
 * thousand entries a tick: the list is used again and again, so that none of them is an object.
 */
export class TickLog {
  readonly #to: (CarriedSubscription | undefined)[] = [];
  /** Few states go to many: they are told by their places in here. */
  readonly #states: ContractState[] = [];
  #stateOf = new Int32Array(FIRST_CAPACITY);
  #next = new Int32Array(FIRST_CAPACITY);
  #length = 0;

  /**
   * Adds a state for a subscription.
   *
   * @param last the connection's last entry; `NOWHERE` for its first
   * @returns the place of the entry
   */
  add(to: CarriedSubscription, state: ContractState, last: number): number {
    const place = this.#length++;
    if (place === this.#next.length) this.#grow();
    if (this.#states.at(-1) !== state) this.#states.push(state);
    this.#to[place] = to;
    this.#stateOf[place] = this.#states.length - 1;
    this.#next[place] = NOWHERE;
    if (last !== NOWHERE) this.#next[last] = place;
    return place;
  }

  /** The subscription of an entry. */
  to(place: number): CarriedSubscription {
    return this.#to[place] as CarriedSubscription;
  }

  /** The state of an entry. */
  state(place: number): ContractState {
    return this.#states[this.#stateOf[place] as number] as ContractState;
  }

  /** The place of the same connection's next entry; `NOWHERE` behind its last. */
  next(place: number): number {
    return this.#next[place] as number;
  }

  /** Forgets every entry. */
  clear(): void {
    // What is gone must not be held until a tick is as long again.
    this.#to.fill(undefined, 0, this.#length);
    this.#states.length = 0;
    this.#length = 0;
  }

  #grow(): void {
    const wider = (places: Int32Array) => {
      const grown = new Int32Array(places.length * 2);
      grown.set(places);
      return grown;
    };
    this.#stateOf = wider(this.#stateOf);
    this.#next = wider(this.#next);
  }
}
