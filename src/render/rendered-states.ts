import type { ContractState } from '../hub/contract-state.ts';

/** The most renderings that are kept with one state, within its share; past that it is made anew. */
const MOST_KEPT = 256;

/** The numbers of all renderers of the process: each state keeps what all of them have made of it. */
let renderers = 0;

/** What has been made of states, kept by each of them for as long as it lives. */
export class RenderedStates<V extends { readonly length: number }> {
  /** A number for somebody who renders states; nobody else ever has it. */
  register(): number {
    return renderers++;
  }

  /** What a renderer has made of a state; `undefined` where it has not, or where it is not kept. */
  get(state: ContractState, renderer: number): V | undefined {
    return state.renderings?.get(renderer) as V | undefined;
  }

  /** Keeps what a renderer has made of a state. */
  set(state: ContractState, renderer: number, made: V): void {
    const bytes = made.length;
    if (bytes > state.share.bytes) return;
    const { renderings } = state;
    if (renderings === undefined) {
      state.renderings = new Map([[renderer, made]]);
      state.renderingBytes = bytes;
      return;
    }
    // What is kept for renderers that are gone must not grow while a contract stays as it is.
    if (renderings.size >= MOST_KEPT || state.renderingBytes + bytes > state.share.bytes) {
      renderings.clear();
      state.renderingBytes = 0;
    }
    renderings.set(renderer, made);
    state.renderingBytes += bytes;
  }
}
