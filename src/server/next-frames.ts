import type { GraphQLError } from 'graphql';
import type { ContractState } from '../hub/contract-state.ts';
import type { Projection } from './projection.ts';

const FIN_TEXT = 0x81;
const CLOSING_BRACE = 0x7d;

/** Writes the `next` messages of one subscription as WebSocket frames around its projection's payloads. */
export class NextFrames {
  /** Nothing may be sent any more: the client, or the gateway, has completed the subscription. */
  ended = false;
  readonly #head: Buffer;
  readonly #projection: Projection;

  /** @param id the subscription's id, as the client chose it */
  constructor(
    readonly id: string,
    projection: Projection,
  ) {
    this.#projection = projection;
    this.#head = Buffer.from(`{"id":${JSON.stringify(id)},"type":"next","payload":`);
  }

  /** The payload for a state, shared by every subscription of the projection. Never to be written to. */
  payload(state: ContractState): Buffer {
    return this.#projection.payload(state);
  }

  /** The payload that tells of an error in a contract's place. */
  refusal(error: GraphQLError): Buffer {
    return this.#projection.refusal(error);
  }

  /** The length of a message with this payload, in bytes. */
  messageBytes(payload: Buffer): number {
    return this.#head.length + payload.length + 1;
  }

  /** Writes a message into `target` at `at`. @returns the place behind it */
  writeMessage(payload: Buffer, target: Buffer, at: number): number {
    target.set(this.#head, at);
    const payloadAt = at + this.#head.length;
    target.set(payload, payloadAt);
    const end = payloadAt + payload.length;
    target[end] = CLOSING_BRACE;
    return end + 1;
  }
}

/** The length of the header of a frame whose message has `messageBytes`. */
export function headerBytes(messageBytes: number): number {
  if (messageBytes < 126) return 2;
  return messageBytes < 65_536 ? 4 : 10;
}

/**
 * Writes the header of an unmasked text frame, as a server sends it. Source: RFC 6455, section 5.2.
 *
 * @returns the place behind it
 */
export function writeHeader(messageBytes: number, target: Buffer, at: number): number {
  target[at] = FIN_TEXT;
  if (messageBytes < 126) {
    target[at + 1] = messageBytes;
    return at + 2;
  }
  if (messageBytes < 65_536) {
    target[at + 1] = 126;
    target[at + 2] = messageBytes >>> 8;
    target[at + 3] = messageBytes & 0xff;
    return at + 4;
  }
  target[at + 1] = 127;
  target.writeUInt32BE(Math.floor(messageBytes / 2 ** 32), at + 2);
  target.writeUInt32BE(messageBytes % 2 ** 32, at + 6);
  return at + 10;
}
