/**
 * `npm run bench`: the gateway beside its baselines, all in one run. Prints ratios first and writes
 * `docs/performance.md` from the same figures. `--rounds 3`, `--only <part of a title>`.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { parseArgs } from 'node:util';
import { canPin } from './cores.ts';
import type { Measurement } from './measurement.ts';
import { ROWS } from './rows.ts';
import { type ServerKind, UpstreamProcess } from './servers.ts';

const { values } = parseArgs({
  options: { rounds: { type: 'string', default: '3' }, only: { type: 'string', default: '' } },
});
const rounds = Number(values.rounds);
const rows = ROWS.filter(({ title }) => title.toLowerCase().includes(values.only.toLowerCase()));

const say = (text: string) => process.stdout.write(`${text}\n`);
const number = (value: number) => value.toFixed(value < 10 ? 2 : value < 100 ? 1 : 0);
const range = (all: readonly number[]) =>
  `${number(Math.min(...all))} to ${number(Math.max(...all))}`;

const measured = new Map<string, Measurement[]>();
const upstream = await UpstreamProcess.start();
const failures: string[] = [];
const notes: string[] = [];
for (let round = 1; round <= rounds; round++) {
  for (const { title, servers, unit, measure } of rows) {
    // Interleaved, so that what the machine does meanwhile falls on all alike.
    for (const kind of servers) {
      try {
        const measurement = await measure(kind, upstream);
        const key = `${title} ${kind}`;
        measured.set(key, [...(measured.get(key) ?? []), measurement]);
        const p99 = measurement.p99Ms === undefined ? '' : `, p99 ${number(measurement.p99Ms)} ms`;
        const note = measurement.note === undefined ? '' : `; ${measurement.note}`;
        if (measurement.note !== undefined) notes.push(`${title}: ${measurement.note}`);
        say(`round ${round}: ${title}: ${kind} ${number(measurement.value)} ${unit}${p99}${note}`);
      } catch (error) {
        failures.push(
          `round ${round}: ${title}: ${kind}: ${error instanceof Error ? error.message : error}`,
        );
        say(failures.at(-1) ?? '');
      }
    }
  }
}
upstream.stop();

const of = (title: string, kind: ServerKind) =>
  (measured.get(`${title} ${kind}`) ?? []).map(({ value }) => value);
const lines: string[] = [];
for (const { title, unit, servers } of rows) {
  const gateway = of(title, 'gateway');
  if (gateway.length === 0) continue;
  lines.push(`| ${title} | gateway | ${range(gateway)} ${unit} | |`);
  for (const kind of servers) {
    const other = of(title, kind);
    if (kind === 'gateway' || other.length === 0) continue;
    const ratios = gateway
      .slice(0, other.length)
      .map((value, at) => value / (other[at] ?? Number.NaN));
    lines.push(`| | ${kind} | ${range(other)} ${unit} | gateway is ${range(ratios)} × this |`);
  }
}
for (const { title, against } of rows) {
  const base = against === undefined ? [] : of(against, 'gateway');
  const ratios = of(title, 'gateway').flatMap((value, at) => (base[at] ? [value / base[at]] : []));
  if (ratios.length > 0) lines.push(`| ${title} | against: ${against} | | ${range(ratios)} × |`);
}
const version = (name: string) =>
  (
    JSON.parse(
      readFileSync(new URL(`../node_modules/${name}/package.json`, import.meta.url), 'utf8'),
    ) as { version: string }
  ).version;
const versions = ['graphql', 'graphql-yoga', 'graphql-ws', 'mercurius', 'ws'].map(
  (name) => `${name} ${version(name)}`,
);
const seen = notes.length > 0 ? `\n\n${notes.map((text) => `- ${text}`).join('\n')}` : '';
const table = `| what | server | smallest to largest of ${rounds} rounds | ratio |\n| --- | --- | --- | --- |\n${lines.join('\n')}${seen}`;
say(`\n${table}`);
if (values.only === '') {
  const machine = `${cpus().length} × ${cpus()[0]?.model.trim()}, Node ${process.versions.node}`;
  const pinned = canPin
    ? 'The server under test has a core for itself; upstream and clients have the rest.'
    : 'Nothing could be pinned to a core: clients compete with the server under test.';
  const failed =
    failures.length > 0
      ? `\nNot measured:\n\n${failures.map((text) => `- ${text}`).join('\n')}\n`
      : '';
  const path = new URL('../docs/performance.md', import.meta.url);
  const text = `# Performance

Written by \`npm run bench\`. Figures are of this machine and this run only; the ratios are what counts, each
between processes that were measured one after the other, all with NODE_ENV=production.

- Machine: ${machine}. ${pinned}
- ${versions.join(', ')}.
- CPU is user and system time of the whole server process, upstream decoding included, divided by the
  frames that raw clients counted. Frames are about 900 bytes. Gateway and relay send 20,000 frames a
  second one at a time and 100,000 ten in a tick, about the most that the relay can. Plain Yoga and
  Mercurius are given fewer, for at that rate they need more than the core they have. Each server has
  read 1,000 messages before its first client comes, so that its code is as warm as after a minute's work.
- Memory is resident memory, garbage collected before each reading.

${table}
${failed}`;
  writeFileSync(path, text);
}
