import { expect, test } from 'vitest';
import { guardedClock, systemClock } from '../src/lib/clock.ts';
import { until } from './kit/gateway.ts';
import { ManualClock } from './kit/manual-clock.ts';

test('a timer that throws ends neither another nor its own next turn', async () => {
  const clock = new ManualClock();
  const failed: unknown[] = [];
  const guarded = guardedClock(clock, (error) => void failed.push(error));
  const fault = new Error('a fault');
  let turns = 0;
  let isDone = false;
  guarded.setTimeout(() => {
    throw fault;
  }, 10);
  const end = guarded.setInterval(() => {
    turns++;
    if (turns === 1) throw fault;
  }, 10);
  guarded.setTimeout(() => {
    isDone = true;
  }, 30);
  await clock.advance(35);
  end();
  expect(failed).toEqual([fault, fault]);
  expect([turns, isDone]).toEqual([3, true]);
  expect(guarded.nowMs()).toBe(clock.nowMs());
  expect(clock.timers).toBe(0);
});

test.each([-1, 0, Number.NaN, Number.NEGATIVE_INFINITY])(
  'a delay of %s ms is over as soon as can be',
  async (ms) => {
    let isOver = false;
    systemClock.setTimeout(() => {
      isOver = true;
    }, ms);
    await until(() => isOver, 'it is over', 1_000);
  },
);

test.each([2 ** 31, 30 * 86_400_000, Number.MAX_VALUE, Number.POSITIVE_INFINITY])(
  'a delay of %s ms is not over at once, and takes no CPU',
  async (ms) => {
    let isOver = false;
    const cancel = systemClock.setTimeout(() => {
      isOver = true;
    }, ms);
    const { user } = process.cpuUsage();
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(process.cpuUsage().user - user).toBeLessThan(100_000);
    cancel();
    expect(isOver).toBe(false);
  },
);
