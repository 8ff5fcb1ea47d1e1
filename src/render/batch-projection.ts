import type { ContractState } from '../hub/contract-state.ts';
import { Projection } from './projection.ts';

const NOTHING = Buffer.alloc(0);
/** How long a batch's answer may be that is kept for the next one who is sent the same, in bytes. */
const MOST_BUNDLE_BYTES = 1024 * 1024;
const BUNDLE_TAIL = Buffer.from(']}}');
const COMMA = 0x2c;

/** What clients see of contracts' states in batches: each state's text is made once, and copied. */
export class BatchProjection extends Projection {
  readonly #head: Buffer;
  readonly #executed: (states: readonly ContractState[]) => string;
  /** Those who are sent a batch in one tick are often sent the same. */
  #lastStates: readonly ContractState[] = [];
  #lastBundle: Buffer = NOTHING;

  /**
   * @param head what an answer begins with
   * @param executed the answer as graphql-js gives it
   */
  constructor(
    base: ConstructorParameters<typeof Projection>,
    head: string,
    executed: (states: readonly ContractState[]) => string,
  ) {
    super(...base);
    this.#head = Buffer.from(`${head}[`);
    this.#executed = executed;
  }

  /** The answer for a batch: the JSON text of an execution result, UTF-8. Never to be written to. */
  bundle(states: readonly ContractState[]): Buffer {
    const isLast =
      states.length === this.#lastStates.length &&
      states.every((state, at) => state === this.#lastStates[at]);
    if (isLast) return this.#lastBundle;
    const bundle = this.#lay(states);
    const isKept = bundle.length <= MOST_BUNDLE_BYTES;
    this.#lastStates = isKept ? states : [];
    this.#lastBundle = isKept ? bundle : NOTHING;
    return bundle;
  }

  override reads(state: ContractState): string {
    try {
      return super.reads(state);
    } catch {
      return this.#executed([state]);
    }
  }

  protected override rest(): void {
    super.rest();
    this.#lastStates = [];
    this.#lastBundle = NOTHING;
  }

  #lay(states: readonly ContractState[]): Buffer {
    let texts: Buffer[];
    try {
      texts = states.map((state) => this.payload(state));
    } catch {
      // Whatever went wrong, graphql-js says it as the specification wants it said.
      return Buffer.from(this.#executed(states));
    }
    // One comma less than texts.
    const bytes = texts.reduce((sum, { length }) => sum + length + 1, -1);
    const bundle = Buffer.allocUnsafe(this.#head.length + bytes + BUNDLE_TAIL.length);
    bundle.set(this.#head, 0);
    let at = this.#head.length;
    for (const text of texts) {
      if (at > this.#head.length) bundle[at++] = COMMA;
      bundle.set(text, at);
      at += text.length;
    }
    bundle.set(BUNDLE_TAIL, at);
    return bundle;
  }
}
