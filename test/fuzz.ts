/**
 * `npm run fuzz -- --minutes 10 --seconds 60 --seed 1`: rubbish for so many minutes, and each attack that can
 * last for so many seconds. `--only word`: the attacks whose name has it, and no rubbish.
 */
import { parseArgs } from 'node:util';
import { figuresLine } from './kit/attack.ts';
import { CAMPAIGNS, lead } from './kit/attacks.ts';
import { Fuzz } from './kit/fuzz.ts';

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '60' },
    seed: { type: 'string', default: '1' },
    only: { type: 'string' },
  },
});
const seed = Number(values.seed);
const say = (line: string) => process.stdout.write(`${line}\n`);
const failures: string[] = [];

/** Rubbish on every transport. */
async function rubbish(minutes: number): Promise<void> {
  const endsAtMs = performance.now() + minutes * 60_000;
  const fuzz = new Fuzz(seed);
  await fuzz.start();
  let saidAtMs = 0;
  while (performance.now() < endsAtMs && fuzz.report.faults.length === 0) {
    await fuzz.run(1_000);
    if (performance.now() - saidAtMs < 10_000) continue;
    saidAtMs = performance.now();
    const heapMb = Math.round(process.memoryUsage().heapUsed / 2 ** 20);
    const { attacks, told } = fuzz.report;
    say(`${attacks} pieces of rubbish, ${told} updates told meanwhile, heap ${heapMb} MB`);
  }
  await fuzz.close();
  say(JSON.stringify(fuzz.report, null, 2));
  failures.push(...fuzz.report.faults);
}

if (values.only === undefined) await rubbish(Number(values.minutes));
let withstood = 0;
for (const campaign of CAMPAIGNS) {
  const failed = await lead(campaign, {
    seed,
    ms: Number(values.seconds) * 1_000,
    isLong: true,
    ...(values.only !== undefined && { only: values.only }),
    withstood: (figures) => {
      withstood++;
      say(figuresLine(figures));
    },
  });
  for (const failure of failed) say(`FAILED  ${failure}`);
  failures.push(...failed);
}
if (withstood + failures.length === 0) {
  say(`no attack has ${JSON.stringify(values.only)} in its name`);
  process.exit(2);
}
process.exit(failures.length > 0 ? 1 : 0);
