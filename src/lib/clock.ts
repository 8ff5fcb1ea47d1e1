/** Node waits no longer than this at once, in milliseconds; what is longer it takes for 1. */
const MOST_WAIT_MS = 2 ** 31 - 1;

/** Where times and timers come from. It is handed in, so that hours can pass within a test. */
export interface Clock {
  /** The time of day in epoch milliseconds: to be shown, and compared with other clocks. It may be set. */
  nowMs(): number;
  /** Milliseconds since some moment: for everything that lasts. It is never set. */
  monotonicMs(): number;
  /**
   * Runs `run` once, after any time: what is negative or no number comes as soon as can be, and what is
   * longer than Node can wait is waited for in parts.
   *
   * @returns cancels it; harmless when repeated
   */
  setTimeout(run: () => void, ms: number): () => void;
  /** Runs `run` again and again. @returns ends that */
  setInterval(run: () => void, ms: number): () => void;
}

/** The machine's own clock. */
export const systemClock: Clock = {
  nowMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  setTimeout(run, ms) {
    let timer: NodeJS.Timeout;
    const wait = (leftMs: number) => {
      const nowMs = Math.min(waitMs(leftMs), MOST_WAIT_MS);
      timer = setTimeout(() => {
        if (leftMs > MOST_WAIT_MS) wait(leftMs - nowMs);
        else run();
      }, nowMs);
    };
    wait(ms);
    return () => clearTimeout(timer);
  },
  setInterval(run, ms) {
    const timer = setInterval(run, Math.min(Math.max(1, waitMs(ms)), MOST_WAIT_MS));
    return () => clearInterval(timer);
  },
};

/**
 * A clock of whose timers one that throws ends nothing but itself: the others, and an interval's next turn, go
 * on.
 *
 * @param failed told of what throws
 */
export function guardedClock(clock: Clock, failed: (error: unknown) => void): Clock {
  const guarded = (run: () => void) => () => {
    try {
      run();
    } catch (error) {
      failed(error);
    }
  };
  return {
    nowMs: () => clock.nowMs(),
    monotonicMs: () => clock.monotonicMs(),
    setTimeout: (run, ms) => clock.setTimeout(guarded(run), ms),
    setInterval: (run, ms) => clock.setInterval(guarded(run), ms),
  };
}

/** What is left of a time that may be anything. */
function waitMs(ms: number): number {
  return Number.isNaN(ms) ? 0 : Math.max(0, ms);
}

/** Resolves after a time; rejects with the signal's reason as soon as it aborts. */
export function sleep(clock: Clock, ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) {
      reject(signal.reason);
      return;
    }
    const abort = () => {
      cancel();
      reject(signal.reason);
    };
    const cancel = clock.setTimeout(() => {
      signal.removeEventListener('abort', abort);
      resolve();
    }, ms);
    signal.addEventListener('abort', abort, { once: true });
  });
}
