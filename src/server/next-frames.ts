import type { ContractState } from '../hub/contract-state.ts';
import type { Projection } from './projection.ts';

const FIN_TEXT = 0x81;
const TAIL = Buffer.from('}');

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

  /**
   * Appends the frame for a state to `chunks`: header, head, payload and tail. The payload is shared by
   * every subscription of the projection and is copied, never changed.
   *
   * @returns the frame's length in bytes
   */
  frame(state: ContractState, chunks: Buffer[]): number {
    const payload = this.#projection.payload(state);
    const bytes = this.#head.length + payload.length + TAIL.length;
    const header = frameHeader(bytes);
    chunks.push(header, this.#head, payload, TAIL);
    return header.length + bytes;
  }
}

/** The header of an unmasked text frame, as a server sends it. Source: RFC 6455, section 5.2. */
function frameHeader(payloadBytes: number): Buffer {
  if (payloadBytes < 126) return Buffer.from([FIN_TEXT, payloadBytes]);
  if (payloadBytes < 65_536) {
    return Buffer.from([FIN_TEXT, 126, payloadBytes >>> 8, payloadBytes & 0xff]);
  }
  const header = Buffer.alloc(10);
  header[0] = FIN_TEXT;
  header[1] = 127;
  header.writeUIntBE(payloadBytes, 4, 6);
  return header;
}
