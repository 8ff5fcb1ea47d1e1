import type { ContractState } from '../hub/contract-state.ts';
import type { Projection } from '../render/projection.ts';

/** The place of no run. */
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
 * What a tick has brought to whom: runs of the tick's states for subscriptions, in one list for all
 * connections, in which each run leads to the next one of the same connection. A thousand clients of the
 * same ten contracts are a thousand runs a tick: the list is used again and again, so that none of them is
 * an object.
 */
export class TickLog {
  readonly #to: (CarriedSubscription | undefined)[] = [];
  /** The tick's states in the order in which they came: few states go to many. */
  readonly #states: ContractState[] = [];
  /** Where a run begins in there, and where it ends: the place behind its last state. */
  #from = new Int32Array(FIRST_CAPACITY);
  #end = new Int32Array(FIRST_CAPACITY);
  #next = new Int32Array(FIRST_CAPACITY);
  #length = 0;

  /**
   * Adds a state for a subscription.
   *
   * @param last the connection's last run; `NOWHERE` for its first
   * @returns the place of the run that the state is in
   */
  add(to: CarriedSubscription, state: ContractState, last: number): number {
    if (this.#states.at(-1) !== state) this.#states.push(state);
    const end = this.#states.length;
    if (last !== NOWHERE && this.#to[last] === to && this.#end[last] === end - 1) {
      this.#end[last] = end;
      return last;
    }
    const place = this.#length++;
    if (place === this.#next.length) this.#grow();
    this.#to[place] = to;
    this.#from[place] = end - 1;
    this.#end[place] = end;
    this.#next[place] = NOWHERE;
    if (last !== NOWHERE) this.#next[last] = place;
    return place;
  }

  /** How many states the tick has brought so far. */
  get stateCount(): number {
    return this.#states.length;
  }

  /** The subscription of a run. */
  to(place: number): CarriedSubscription {
    return this.#to[place] as CarriedSubscription;
  }

  /** Where a run's first state is. */
  from(place: number): number {
    return this.#from[place] as number;
  }

  /** The place behind a run's last state. */
  end(place: number): number {
    return this.#end[place] as number;
  }

  /** The state at a place of {@link from} to {@link end}. */
  state(at: number): ContractState {
    return this.#states[at] as ContractState;
  }

  /** The place of the same connection's next run; `NOWHERE` behind its last. */
  next(place: number): number {
    return this.#next[place] as number;
  }

  /** Forgets every run. */
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
    this.#from = wider(this.#from);
    this.#end = wider(this.#end);
    this.#next = wider(this.#next);
  }
}
