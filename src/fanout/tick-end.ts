/** Fewer connections are written to in less time than the wait takes. */
const FEW_CONNECTIONS = 100;
const WAIT_MS = 1;
/** From then on a tick's first state waits for no more of its burst. */
const MOST_WAITED_MS = 4;
/** A tick that begins so soon after the last one was written is the rest of the same burst. */
const SAME_BURST_MS = 1;
/** How far bursts are expected: waited for from here on, and no further than to there. */
const EXPECTED = 2;
const SURE = 3;

/** What a tick has come to. */
export interface TickExtent {
  /** How many connections are to be written to. */
  readonly connections: number;
  /** How many states are to be written. */
  readonly states: number;
}

/**
 * Decides when a tick ends: as a rule as soon as everything is read that has come. But a burst of messages
 * comes over the time that its sender takes, and where the first of them is written to a thousand
 * connections before the second is read, every connection is written to twice (measured: 2.4 µs of CPU a
 * frame for bursts of ten, 1.5 where they are kept together). So where the last ticks were parts of
 * bursts, the next one waits for as long as each millisecond brings more. Messages that come alone are
 * not kept waiting.
 */
export class TickEnd {
  readonly #extent: () => TickExtent;
  readonly #write: () => void;
  /** Raised by every burst, lowered by every wait in vain. */
  #expectation = 0;
  #state: 'idle' | 'reading' | 'waiting' | 'closed' = 'idle';
  #beganAtMs = 0;
  #writtenAtMs = Number.NEGATIVE_INFINITY;
  #reading: NodeJS.Immediate | undefined;
  #waiting: NodeJS.Timeout | undefined;

  /**
   * @param extent tells what the tick has come to
   * @param write writes the tick
   */
  constructor(extent: () => TickExtent, write: () => void) {
    this.#extent = extent;
    this.#write = write;
  }

  /** A tick has its first state. */
  begin(): void {
    if (this.#state !== 'idle') return;
    this.#beganAtMs = performance.now();
    const isRestOfBurst = this.#beganAtMs - this.#writtenAtMs < SAME_BURST_MS;
    if (isRestOfBurst) this.#expect(true);
    this.#setState('reading');
    this.#reading = setImmediate(() => {
      const { connections, states } = this.#extent();
      const isBegun = !isRestOfBurst && this.#expectation >= EXPECTED;
      if (isBegun && connections >= FEW_CONNECTIONS) this.#wait(states, states);
      else this.#end();
    });
  }

  /** No tick is written any more. */
  close(): void {
    clearImmediate(this.#reading);
    clearTimeout(this.#waiting);
    this.#setState('closed');
  }

  /** Waits for more than `states`, with `first` of which the tick began. */
  #wait(first: number, states: number): void {
    this.#setState('waiting');
    this.#waiting = setTimeout(() => {
      const more = this.#extent().states;
      const waitedMs = performance.now() - this.#beganAtMs;
      if (more > states && waitedMs < MOST_WAITED_MS) {
        this.#wait(first, more);
      } else {
        this.#expect(more > first);
        this.#end();
      }
    }, WAIT_MS);
  }

  #end(): void {
    this.#setState('idle');
    this.#write();
    this.#writtenAtMs = performance.now();
  }

  #expect(isBurst: boolean): void {
    this.#expectation = Math.max(0, Math.min(SURE, this.#expectation + (isBurst ? 1 : -1)));
  }

  #setState(state: 'idle' | 'reading' | 'waiting' | 'closed'): void {
    if (this.#state !== 'closed') this.#state = state;
  }
}
