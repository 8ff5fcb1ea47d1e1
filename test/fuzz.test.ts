import { expect, onTestFinished, test } from 'vitest';
import { Fuzz } from './kit/fuzz.ts';

test('3,000 attacks on every transport: no fault in the log, no leak, and an ordinary client misses nothing', async () => {
  const faults: unknown[] = [];
  const take = (error: unknown) => faults.push(error);
  process.on('unhandledRejection', take);
  process.on('uncaughtException', take);
  onTestFinished(() => {
    process.off('unhandledRejection', take);
    process.off('uncaughtException', take);
  });
  const fuzz = new Fuzz(7);
  await fuzz.start();
  onTestFinished(() => fuzz.close());
  await fuzz.run(3_000);
  expect(fuzz.report.faults).toEqual([]);
  expect(faults).toEqual([]);
  expect(fuzz.report.attacks).toBe(3_000);
  expect(Math.min(...Object.values(fuzz.report.kinds))).toBeGreaterThan(200);
  expect(fuzz.report.told).toBeGreaterThan(500);
}, 120_000);
