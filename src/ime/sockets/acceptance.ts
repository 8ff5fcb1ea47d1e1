const LEAST_MS = 1_000;
const MOST_MS = 5_000;
/** How much longer than the slowest refusal seen a socket must stay open to count as accepted. */
const MARGIN = 3;

/**
 * How long a socket must stay open before its subscription counts as accepted. IME accepts the
 * handshake first and refuses afterwards, milliseconds to seconds later.
 */
export class AcceptanceClock {
  #slowestRefusalMs = 0;

  /** A socket was refused after having been open for `openForMs`. */
  refusedAfter(openForMs: number): void {
    this.#slowestRefusalMs = Math.max(this.#slowestRefusalMs, openForMs);
  }

  /** In milliseconds from the socket's opening. */
  get acceptedAfterMs(): number {
    return Math.min(MOST_MS, Math.max(LEAST_MS, MARGIN * this.#slowestRefusalMs));
  }
}
