import { describe, expect, onTestFinished, test } from 'vitest';
import { figuresLine } from './kit/attack.ts';
import { CAMPAIGNS, type Campaign, lead } from './kit/attacks.ts';
import { Fuzz } from './kit/fuzz.ts';

const seconds = 1_000;
const [idle, busy] = [true, false].map((isIdle) =>
  CAMPAIGNS.filter((campaign) => campaign.isIdle === isIdle),
) as [Campaign[], Campaign[]];

async function withstand(campaign: Campaign): Promise<void> {
  const lines: string[] = [];
  const failures = await lead(campaign, {
    seed: 7,
    ms: campaign.boundedMs,
    withstood: (figures) => lines.push(figuresLine(figures)),
  });
  expect(failures, lines.join('\n')).toEqual([]);
  expect(lines.length).toBeGreaterThan(0);
}

test.each(busy)(
  '$name: costs no more than it may, and leaves nothing behind',
  withstand,
  120 * seconds,
);

// What they cost is not measured, and they wait most of the time.
describe.concurrent('at the same time', () => {
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
    await fuzz.run(3_000, 32);
    expect(fuzz.report.faults).toEqual([]);
    expect(faults).toEqual([]);
    expect(fuzz.report.attacks).toBe(3_000);
    expect(Math.min(...Object.values(fuzz.report.kinds))).toBeGreaterThan(200);
    expect(fuzz.report.told).toBeGreaterThan(500);
  }, 120_000);

  test.each(idle)('$name: is withstood, and leaves nothing behind', withstand, 120 * seconds);
});
