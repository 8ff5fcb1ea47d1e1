import { type Clock, systemClock } from '../../src/lib/clock.ts';

/** A clock that counts the timers which wait. */
export function countingClock(): Clock & { timers(): number } {
  const waiting = new Set<object>();
  const track = (arm: (done: () => void) => () => void) => {
    const timer = {};
    waiting.add(timer);
    const cancel = arm(() => waiting.delete(timer));
    return () => {
      waiting.delete(timer);
      cancel();
    };
  };
  return {
    ...systemClock,
    timers: () => waiting.size,
    setTimeout: (run, ms) =>
      track((done) =>
        systemClock.setTimeout(() => {
          done();
          run();
        }, ms),
      ),
    setInterval: (run, ms) => track(() => systemClock.setInterval(run, ms)),
  };
}
