import type { ContractState } from '../hub/contract-state.ts';
import { attachment } from '../lib/attachment.ts';

/** The most that is kept with one state; past that it is made anew. */
const MOST_KEPT = 256;

/** What has been made of states, kept with each of them for as long as it lives. */
export class RenderedStates<V> {
  readonly #kept = attachment<Map<number, V>>();
  #renderers = 0;

  /** A number for somebody who renders states; nobody else ever has it. */
  register(): number {
    return this.#renderers++;
  }

  /** What a renderer has made of a state; `undefined` where it has not, or where it is not kept. */
  get(state: ContractState, renderer: number): V | undefined {
    return this.#kept.get(state)?.get(renderer);
  }

  /** Keeps what a renderer has made of a state. */
  set(state: ContractState, renderer: number, made: V): void {
    const kept = this.#kept.get(state);
    if (kept === undefined) {
      this.#kept.set(state, new Map([[renderer, made]]));
      return;
    }
    // What is kept for renderers that are gone must not grow while a contract stays as it is.
    if (kept.size >= MOST_KEPT) kept.clear();
    kept.set(renderer, made);
  }
}
