import type { ContractKey } from '../contract/key.ts';
import type { ContractState } from '../hub/contract-state.ts';
import type { ContractSubscriber } from '../hub/topic.ts';

/** What one subscription is told of every contract that is held and that it may see. */
export class AllContracts implements ContractSubscriber {
  #sees: (key: ContractKey) => boolean;
  /** What was found out about contracts. */
  readonly #seen = new Map<ContractKey, boolean>();
  /** Those that were told to be INVALID, or never told at all: they are left out until they are not. */
  readonly #invalid = new Set<ContractKey>();
  readonly #tell: ContractSubscriber['contractChanged'];
  readonly broken: () => void;

  /**
   * @param sees whether a contract may be seen
   * @param tell takes what is told
   */
  constructor(
    sees: (key: ContractKey) => boolean,
    tell: ContractSubscriber['contractChanged'],
    broken: () => void,
  ) {
    this.#sees = sees;
    this.#tell = tell;
    this.broken = broken;
  }

  /**
   * What it begins with, of all states that there are.
   *
   * @param isResumed whether it goes on from before: it is told then of those too that have gone since
   */
  begin(states: readonly ContractState[], isResumed: boolean): ContractState[] {
    return states.filter((state) => {
      const { key, status, statusCode } = state;
      if (status === 'INVALID') this.#invalid.add(key);
      if (!isResumed && (status === 'INVALID' || statusCode === 'RELEASED')) return false;
      return this.sees(key);
    });
  }

  /** Whether a contract may be seen. */
  sees(key: ContractKey): boolean {
    let sees = this.#seen.get(key);
    if (sees === undefined) {
      sees = this.#sees(key);
      this.#seen.set(key, sees);
    }
    return sees;
  }

  /** Other contracts may be seen from now on. Those that may be seen newly come with their next change. */
  narrow(sees: (key: ContractKey) => boolean): void {
    this.#sees = sees;
    this.#seen.clear();
  }

  contractChanged(state: ContractState, statusChanged: boolean): void {
    const { key, status } = state;
    if (!this.sees(key)) return;
    if (status === 'INVALID') {
      if (this.#invalid.has(key)) return;
      this.#invalid.add(key);
    } else if (this.#invalid.size > 0) {
      this.#invalid.delete(key);
    }
    if (state.statusCode === 'RELEASED') this.#seen.delete(key);
    this.#tell(state, statusChanged);
  }
}
