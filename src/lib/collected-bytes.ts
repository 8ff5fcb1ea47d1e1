/** Collects pieces of bytes in one buffer, which is widened where there is no room. */
export class CollectedBytes {
  #buffer: Buffer;
  #length = 0;
  readonly #most: number;

  /**
   * @param first how much is set aside to begin with, in bytes
   * @param most no more is ever added, in bytes
   */
  constructor(first: number, most: number) {
    this.#buffer = Buffer.allocUnsafe(first);
    this.#most = most;
  }

  /** How much has been added, in bytes. */
  get length(): number {
    return this.#length;
  }

  /** All that has been added. */
  get bytes(): Buffer {
    return this.#buffer.subarray(0, this.#length);
  }

  /** Adds a copy of a piece. */
  add(piece: Buffer): void {
    const length = this.#length + piece.length;
    if (length > this.#buffer.length) {
      const wider = Math.min(this.#most, Math.max(length, 2 * this.#buffer.length));
      const buffer = Buffer.allocUnsafe(wider);
      buffer.set(this.bytes, 0);
      this.#buffer = buffer;
    }
    this.#buffer.set(piece, this.#length);
    this.#length = length;
  }
}
