import { onTestFinished, test } from 'vitest';
import { Walk } from './kit/walk.ts';

test.each([1, 2])(
  'a random walk of faults with seed %i ends with every state right',
  async (seed) => {
    const walk = new Walk(seed);
    onTestFinished(() => walk.stop());
    await walk.start();
    const endsAtMs = performance.now() + 15_000;
    while (performance.now() < endsAtMs) await walk.stretch(100);
    await walk.empty();
  },
  180_000,
);
