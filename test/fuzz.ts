/** `npm run fuzz -- --minutes 10 --seed 1`: the fuzzing suite for as long as one likes. */
import { parseArgs } from 'node:util';
import { Fuzz } from './kit/fuzz.ts';

const { values } = parseArgs({
  options: { minutes: { type: 'string', default: '10' }, seed: { type: 'string', default: '1' } },
});
const endsAtMs = performance.now() + Number(values.minutes) * 60_000;
const fuzz = new Fuzz(Number(values.seed));
await fuzz.start();
let saidAtMs = 0;
while (performance.now() < endsAtMs && fuzz.report.faults.length === 0) {
  await fuzz.run(1_000);
  if (performance.now() - saidAtMs < 10_000) continue;
  saidAtMs = performance.now();
  const heapMb = Math.round(process.memoryUsage().heapUsed / 2 ** 20);
  const { attacks, told } = fuzz.report;
  process.stdout.write(`${attacks} attacks, ${told} updates told meanwhile, heap ${heapMb} MB\n`);
}
await fuzz.close();
process.stdout.write(`${JSON.stringify(fuzz.report, null, 2)}\n`);
process.exitCode = fuzz.report.faults.length > 0 ? 1 : 0;
