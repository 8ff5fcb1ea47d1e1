/** Something that objects of others carry, which nobody sees who does not have the attachment. */
export interface Attachment<V> {
  /** What is attached to an object; `undefined` where nothing is. */
  get(host: object): V | undefined;
  /** Attaches it for as long as the object lives. */
  set(host: object, value: V): void;
}

/** Constructs nothing: a subclass's private fields come to be on the object that it is told. */
class Host {
  constructor(host: object) {
    // biome-ignore lint/correctness/noConstructorReturn: it is what this class is for.
    return host;
  }
}

/**
 * Makes an attachment: what a `WeakMap` does, by a private field on the objects themselves, so that what
 * they carry dies with them.
 *
 * Of a `WeakMap` young values are not collected with their keys: at 1,000 updates a second, 2 MB a second
 * of texts of states that were gone came into the old generation, which was marked every 6 seconds, 20 ms
 * at a time (measured with Node 20, `--trace-gc`; without it, no full collection in a minute).
 */
export function attachment<V>(): Attachment<V> {
  return class Attached extends Host {
    #value: V;

    constructor(host: object, value: V) {
      super(host);
      this.#value = value;
    }

    static get(host: object): V | undefined {
      return #value in host ? (host as Attached).#value : undefined;
    }

    static set(host: object, value: V): void {
      if (#value in host) (host as Attached).#value = value;
      else new Attached(host, value);
    }
  };
}
