import type { ContractKey } from '../contract/key.ts';
import type { ContractState } from './contract-state.ts';
import type { UpdateWish } from './contract-updates.ts';

/** How often held updates are looked at: the pace is even to within this, in milliseconds. */
const TICK_MS = 5;

/** The one timer of all gates that hold an update back. It runs only while one does. */
class PaceClock {
  readonly #gates = new Set<UpdateGate>();
  #timer: NodeJS.Timeout | undefined;

  add(gate: UpdateGate): void {
    this.#gates.add(gate);
    this.#timer ??= setInterval(() => this.#tick(), TICK_MS);
  }

  delete(gate: UpdateGate): void {
    this.#gates.delete(gate);
    if (this.#gates.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #tick(): void {
    const nowMs = performance.now();
    for (const gate of this.#gates) if (!gate.releaseDue(nowMs)) this.delete(gate);
  }
}

const clock = new PaceClock();

/**
 * Holds back what a subscription does not want to be told of every change: more than so many updates a
 * second, and updates that read as the last one did. Changes of status are never held back for the pace.
 */
export class UpdateGate {
  readonly #intervalMs: number;
  readonly #changesOnly: boolean;
  readonly #read: (state: ContractState) => string;
  readonly #emit: (state: ContractState) => void;
  readonly #sent = new Map<ContractKey, { atMs: number; reads: string | undefined }>();
  readonly #held = new Map<ContractKey, ContractState>();

  /**
   * @param read how the subscription's selection reads for a state, for `changesOnly`
   * @param emit takes what is let through
   */
  constructor(
    wish: UpdateWish,
    read: (state: ContractState) => string,
    emit: (state: ContractState) => void,
  ) {
    this.#intervalMs = wish.intervalMs;
    this.#changesOnly = wish.changesOnly;
    this.#read = read;
    this.#emit = emit;
  }

  /** A change of a contract. */
  offer(state: ContractState, statusChanged: boolean): void {
    const sent = this.#sent.get(state.key);
    const dueAtMs = sent === undefined ? 0 : sent.atMs + this.#intervalMs;
    const nowMs = performance.now();
    if (statusChanged || dueAtMs <= nowMs) {
      this.#held.delete(state.key);
      this.#let(state, nowMs);
      return;
    }
    this.#held.set(state.key, state);
    clock.add(this);
  }

  /** Lets through what has waited long enough. @returns whether anything is held still */
  releaseDue(nowMs: number): boolean {
    for (const [key, state] of this.#held) {
      if ((this.#sent.get(key)?.atMs ?? 0) + this.#intervalMs > nowMs) continue;
      this.#held.delete(key);
      this.#let(state, nowMs);
    }
    return this.#held.size > 0;
  }

  /** Forgets what is held. */
  close(): void {
    this.#held.clear();
    clock.delete(this);
  }

  #let(state: ContractState, nowMs: number): void {
    const reads = this.#changesOnly ? this.#read(state) : undefined;
    const last = this.#sent.get(state.key);
    if (reads !== undefined && reads === last?.reads) return;
    this.#sent.set(state.key, { atMs: nowMs, reads });
    this.#emit(state);
  }
}
