/** What is kept of what was written of all states, in bytes, about; and of one, at most and at least. */
const MOST_BYTES = 32 * 1024 * 1024;
const MOST_BYTES_EACH = 128 * 1024;
const LEAST_BYTES_EACH = 4 * 1024;

/**
 * How much may be kept of what was written of one contract's state: its share of what may be kept of all
 * contracts that are held. Without that, whoever selects always something else of many quiet contracts would
 * fill the memory.
 */
export class KeptShare {
  /** The share of a state that is nobody's contract. */
  static readonly WHOLE = new KeptShare();
  #bytes = MOST_BYTES_EACH;

  /** In bytes. */
  get bytes(): number {
    return this.#bytes;
  }

  /** So many contracts are held from now on. */
  divide(contracts: number): void {
    const share = MOST_BYTES / Math.max(1, contracts);
    this.#bytes = Math.min(MOST_BYTES_EACH, Math.max(LEAST_BYTES_EACH, Math.floor(share)));
  }
}
