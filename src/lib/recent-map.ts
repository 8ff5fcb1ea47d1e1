/** A map of bounded size: what was put in longest ago goes first. */
export class RecentMap<K, V> extends Map<K, V> {
  readonly #most: number;

  /** @param most how many entries are kept */
  constructor(most: number) {
    super();
    this.#most = most;
  }

  /** Puts an entry behind all others, whether it was there before or not. */
  override set(key: K, value: V): this {
    this.delete(key);
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
