import type { ContractKey } from '../contract/key.ts';
import type { ContractState } from '../hub/contract-state.ts';
import type { Due, DueQueue } from '../lib/due-queue.ts';

/** What is wished of batches. */
interface BatchWish {
  /** The least time between two of them, in milliseconds; 0: one for each tick. */
  readonly everyMs: number;
  /** Whether states are left out whose selection reads as the last one sent. */
  readonly changesOnly: boolean;
}

/**
 * Gathers the newest state of each contract that changes, for one message at a time. When it may be sent its
 * owner is told; what it says is decided when it is taken: a slow reader finds the newest states in it.
 */
export class Batch {
  /** One mailbox holds no more than one. */
  readonly key = 'batch';
  readonly #wish: BatchWish;
  readonly #read: (state: ContractState) => string;
  readonly #ready: () => void;
  readonly #pace: DueQueue;
  /** In the order of change. */
  #newest = new Map<ContractKey, ContractState>();
  /** How what was sent last of each contract reads, for `changesOnly`. */
  readonly #sent = new Map<ContractKey, string>();
  #takenMs = Number.NEGATIVE_INFINITY;
  #phase: 'quiet' | 'waiting' | 'ready' | 'closed' = 'quiet';
  #due: Due | undefined;

  /**
   * @param read how the subscription's selection reads for a state, for `changesOnly`
   * @param pace where waits what comes too early
   * @param ready told that there is something to take, once until it is taken
   */
  constructor(
    wish: BatchWish,
    read: (state: ContractState) => string,
    pace: DueQueue,
    ready: () => void,
  ) {
    this.#wish = wish;
    this.#read = read;
    this.#pace = pace;
    this.#ready = ready;
  }

  /** The subscriber has this state, or one that reads the same. */
  has(state: ContractState): void {
    if (this.#wish.changesOnly) this.#sent.set(state.key, this.#read(state));
  }

  /** A change of a contract. */
  offer(state: ContractState): void {
    if (this.#phase === 'closed') return;
    // Deleting first moves a contract that changes again behind those that changed before.
    this.#newest.delete(state.key);
    this.#newest.set(state.key, state);
    if (this.#phase !== 'quiet') return;
    const dueMs = this.#takenMs + this.#wish.everyMs;
    if (dueMs <= performance.now()) {
      this.#beReady();
      return;
    }
    this.#setPhase('waiting');
    this.#due = { dueMs, run: () => this.#beReady() };
    this.#pace.add(this.#due);
  }

  /** What is gathered may be sent now, however soon that is. */
  hurry(): void {
    if (this.#phase === 'waiting') this.#beReady();
  }

  /** The states of one message, in the order of change; none where there is nothing to tell after all. */
  take(): ContractState[] {
    if (this.#phase === 'quiet' || this.#phase === 'waiting') return [];
    this.#setPhase('quiet');
    const states = [...this.#newest.values()].filter((state) => this.#isNews(state));
    this.#newest = new Map();
    if (states.length > 0) this.#takenMs = performance.now();
    return states;
  }

  /** Forgets what is gathered of some contracts. */
  dropHeld(which: (key: ContractKey) => boolean): void {
    for (const key of this.#newest.keys()) if (which(key)) this.#newest.delete(key);
  }

  /** Nothing is gathered any more; what was can still be taken, once. */
  close(): void {
    this.#setPhase('closed');
  }

  #beReady(): void {
    this.#setPhase('ready');
    this.#ready();
  }

  #isNews(state: ContractState): boolean {
    if (!this.#wish.changesOnly) return true;
    const reads = this.#read(state);
    if (this.#sent.get(state.key) === reads) return false;
    if (state.statusCode === 'RELEASED') this.#sent.delete(state.key);
    else this.#sent.set(state.key, reads);
    return true;
  }

  #setPhase(phase: 'quiet' | 'waiting' | 'ready' | 'closed'): void {
    if (this.#phase === 'closed') return;
    this.#phase = phase;
    if (this.#due !== undefined) this.#pace.drop(this.#due);
    this.#due = undefined;
  }
}
