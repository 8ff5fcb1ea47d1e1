/** A map of bounded size: what was put in longest ago goes first. */
export class RecentMap<K, V> extends Map<K, V> {
  readonly #most: number;
  #newest: K | undefined;

  /** @param most how many entries are kept */
  constructor(most: number) {
    super();
    this.#most = most;
  }

  /** Puts an entry behind all others, whether it was there before or not. */
  override set(key: K, value: V): this {
    // Who comes again and again is behind all others already.
    if (key !== this.#newest) this.delete(key);
    this.#newest = key;
    super.set(key, value);
    if (this.size > this.#most) {
      for (const oldest of this.keys()) {
        this.delete(oldest);
        break;
      }
    }
    return this;
  }
}
