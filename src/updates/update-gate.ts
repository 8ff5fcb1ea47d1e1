import type { ContractKey } from '../contract/key.ts';
import type { ContractState } from '../hub/contract-state.ts';
import { paceOffset } from '../hub/position.ts';
import type { Due, DueQueue } from '../lib/due-queue.ts';
import type { UpdateWish } from './contract-updates.ts';

/** An update that is held back: the newest state of its contract. */
interface Held extends Due {
  state: ContractState | undefined;
  /** The position of the first state that was held back in this one's place. */
  readonly sinceOffset: number;
}

/**
 * Holds back what a subscription does not want to be told of every change: more than so many updates a
 * second, and updates that read as the last one did. Changes of status are never held back for the pace.
 */
export class UpdateGate {
  readonly #intervalMs: number;
  readonly #intervalOffset: number;
  readonly #changesOnly: boolean;
  readonly #read: (state: ContractState) => string;
  readonly #emit: (state: ContractState) => void;
  readonly #sent = new Map<ContractKey, { atMs: number; reads: string | undefined }>();
  /** Those held back for longest first. */
  readonly #held = new Map<ContractKey, Held>();
  readonly #pace: DueQueue;
  readonly #broken: () => void;

  /**
   * @param read how the subscription's selection reads for a state, for `changesOnly`
   * @param emit takes what is let through
   * @param pace where everything that is held back waits, for all gates together
   * @param broken told when `emit` or `read` throws for what was held back
   */
  constructor(
    wish: UpdateWish,
    read: (state: ContractState) => string,
    emit: (state: ContractState) => void,
    pace: DueQueue,
    broken: () => void,
  ) {
    this.#pace = pace;
    this.#broken = broken;
    this.#intervalMs = wish.intervalMs;
    this.#intervalOffset = paceOffset(wish.intervalMs);
    this.#changesOnly = wish.changesOnly;
    this.#read = read;
    this.#emit = emit;
  }

  /** The subscriber has this state, or one that reads the same. */
  has(state: ContractState): void {
    if (!this.#changesOnly) return;
    this.#sent.set(state.key, { atMs: Number.NEGATIVE_INFINITY, reads: this.#read(state) });
  }

  /** A change of a contract. */
  offer(state: ContractState, statusChanged: boolean): void {
    const { key } = state;
    const held = this.#held.get(key);
    const nowMs = performance.now();
    const dueMs = (this.#sent.get(key)?.atMs ?? Number.NEGATIVE_INFINITY) + this.#intervalMs;
    if (statusChanged || dueMs <= nowMs) {
      if (held !== undefined) {
        this.#held.delete(key);
        this.#drop(held);
      }
      this.#let(state, nowMs);
    } else if (held !== undefined) {
      held.state = state;
    } else {
      this.#hold(state, dueMs);
    }
  }

  /** Forgets what is held of some contracts. */
  dropHeld(which: (key: ContractKey) => boolean): void {
    for (const [key, held] of this.#held) {
      if (!which(key)) continue;
      this.#held.delete(key);
      this.#drop(held);
    }
  }

  /** Forgets what is held. */
  close(): void {
    this.dropHeld(() => true);
  }

  #hold(state: ContractState, dueMs: number): void {
    const held: Held = {
      state,
      sinceOffset: state.position.offset,
      dueMs,
      run: () => {
        this.#held.delete(state.key);
        try {
          if (held.state !== undefined) this.#let(held.state, performance.now());
        } catch (error) {
          this.#broken();
          throw error;
        }
      },
    };
    this.#held.set(state.key, held);
    this.#pace.add(held);
  }

  #drop(held: Held): void {
    held.state = undefined;
    this.#pace.drop(held);
  }

  #let(state: ContractState, nowMs: number): void {
    // Whoever resumes is sent again what has changed within one interval: nothing older may wait behind this.
    const upTo = state.position.offset - this.#intervalOffset;
    for (const held of this.#held.values()) {
      if (held.sinceOffset > upTo) break;
      const { state: late } = held;
      this.#drop(held);
      if (late === undefined) continue;
      this.#held.delete(late.key);
      this.#tell(late, nowMs);
    }
    this.#tell(state, nowMs);
  }

  #tell(state: ContractState, nowMs: number): void {
    const reads = this.#changesOnly ? this.#read(state) : undefined;
    const last = this.#sent.get(state.key);
    if (reads !== undefined && reads === last?.reads) return;
    if (state.statusCode === 'RELEASED') this.#sent.delete(state.key);
    else this.#sent.set(state.key, { atMs: nowMs, reads });
    this.#emit(state);
  }
}
