import type { FrameEncoder } from '../fanout/frame-encoder.ts';
import type { ContractState } from '../hub/contract-state.ts';
import type { Projection } from '../render/projection.ts';

/** A state as IME wrote it: the same bytes for everybody. */
export class MessageFrames implements FrameEncoder {
  readonly isCompressed = false;
  readonly ownTextAt = 0;
  readonly #messages: Projection;

  /** @param messages brings IME's own message of a state */
  constructor(messages: Projection) {
    this.#messages = messages;
  }

  messageBytes(_ownText: string, state: ContractState): number {
    return this.#messages.payload(state).length;
  }

  writeMessage(_ownText: string, state: ContractState, target: Buffer, at: number): number {
    const message = this.#messages.payload(state);
    target.set(message, at);
    return at + message.length;
  }
}
