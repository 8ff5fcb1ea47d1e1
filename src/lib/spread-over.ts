/** How finely work is spread, in milliseconds. */
const STEP_MS = 20;

/** A few need no more than this each, in milliseconds. */
const MOST_MS_EACH = 50;

/**
 * Does something with each of many, spread evenly over a time: the first at once, the last at its end. A
 * few do not take all of it.
 */
export async function spreadOver<T>(
  mostMs: number,
  items: readonly T[],
  work: (item: T) => void,
): Promise<void> {
  const startMs = performance.now();
  const timeMs = Math.min(mostMs, items.length * MOST_MS_EACH);
  const last = Math.max(1, items.length - 1);
  let done = 0;
  while (done < items.length) {
    const passed = timeMs === 0 ? 1 : Math.min(1, (performance.now() - startMs) / timeMs);
    for (const due = Math.floor(passed * last) + 1; done < due && done < items.length; done++) {
      work(items[done] as T);
    }
    if (done < items.length) await new Promise((resolve) => setTimeout(resolve, STEP_MS));
  }
}
