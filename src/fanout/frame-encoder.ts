import type { ContractState } from '../hub/contract-state.ts';

/**
 * What a contract's state is to the clients of one protocol who see the same of it: one message.
 *
 * Everybody who is sent the same has the same encoder, for that is what their frames are shared by. Two
 * clients' messages of a state may differ in nothing but the own text of their subscriptions, and where
 * two own texts are equally long, in nothing but the bytes at which they stand.
 */
export interface FrameEncoder {
  /** Whether the messages are compressed, as RFC 7692 has it. */
  readonly isCompressed: boolean;
  /** Where in a message the own text stands, in bytes. */
  readonly ownTextAt: number;
  /** The length of a state's message, in bytes. */
  messageBytes(ownText: string, state: ContractState): number;
  /**
   * Writes a state's message.
   *
   * @returns the place behind it
   */
  writeMessage(ownText: string, state: ContractState, target: Buffer, at: number): number;
}

/** A subscription, as the connection that carries it sees it. */
export interface CarriedSubscription {
  readonly encoder: FrameEncoder;
  /**
   * What its messages have that nobody else's do, such as its id: each character one byte, as in latin1.
   * Empty where nothing differs from client to client.
   */
  readonly ownText: string;
  /** Nothing may be sent any more. */
  readonly isOver: boolean;
}
