/**
 * `npm run bench`: the gateway beside its baselines, all in one run. Prints ratios first and writes
 * `docs/performance.md` from the same figures. `--rounds 3`, `--only <part of a title>`;
 * `--previous <folder>` measures another build beside it, `--node <path>`, which may be there several times,
 * runs the servers with other Nodes, whose ratios stand beside each other. With `--only` and `--previous`
 * nothing is written.
 */
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { canPin } from './cores.ts';
import type { Measurement } from './measurement.ts';
import { nodes, only, previous, rounds } from './options.ts';
import type { Report, Row } from './row.ts';
import { ROWS } from './rows.ts';
import { UpstreamProcess, useNode } from './servers.ts';

const rows = ROWS.filter(({ title }) => title.toLowerCase().includes(only));
if (rows.length === 0) throw new Error(`expected --only with a part of a row's title, got ${only}`);

const say = (text: string) => process.stdout.write(`${text}\n`);
const number = (value: number) =>
  value.toFixed(value < 0.2 ? 3 : value < 10 ? 2 : value < 100 ? 1 : 0);
const range = (all: readonly number[]) =>
  `${number(Math.min(...all))} to ${number(Math.max(...all))}`;

/** The numbers of the Nodes, as they call themselves: v20.20.0 without its v. */
const versions = nodes.map((path) =>
  execFileSync(path, ['--version'], { encoding: 'utf8' }).trim().slice(1),
);
/** Figures by Node, row and subject; a round that gave none leaves its place empty. */
const measured = new Map<string, (Measurement | undefined)[]>();
const figuresOf = (of: string, title: string, subject: string) =>
  measured.get(`${of} ${title} ${subject}`) ?? [];
const upstream = await UpstreamProcess.start();
const failures: string[] = [];
const notes: string[] = [];

async function measure({ title, unit, measure }: Row, round: number, by: string): Promise<void> {
  const report: Report = (subject, outcome) => {
    const name = `round ${round + 1}: Node ${by}: ${title}: ${subject}`;
    if (outcome instanceof Error) {
      failures.push(`${name}: ${outcome.message}`);
      say(`${name}: ${outcome.message}`);
      return;
    }
    const { value, note } = outcome;
    const all = figuresOf(by, title, subject);
    all[round] = outcome;
    measured.set(`${by} ${title} ${subject}`, all);
    if (note !== undefined) notes.push(`${title}: ${note}`);
    say(`${name} ${number(value)} ${unit}${note === undefined ? '' : `; ${note}`}`);
  };
  await measure(report, upstream);
}

for (let round = 0; round < rounds; round++) {
  for (const row of rows) {
    for (const [place, path] of nodes.entries()) {
      useNode(path);
      await measure(row, round, versions[place] as string);
    }
  }
}
upstream.stop();

/** The ratios of the rounds in which both were measured, as text. */
function ratios(of: (Measurement | undefined)[], to: (Measurement | undefined)[]): string {
  const known = of.flatMap((one, round) => {
    const other = to[round];
    return one && other ? [one.value / other.value] : [];
  });
  return known.length > 0 ? range(known) : 'unmeasured';
}

/** What one Node's figures say of a subject: the figures and the ratio, as cells of the table. */
function cells({ title, unit, subjects }: Row, place: number, by: string): string {
  const { name, isBaseline } = subjects[place] as Row['subjects'][number];
  const own = figuresOf(by, title, name);
  const values = own.flatMap((one) => one?.value ?? []);
  if (values.length === 0) return 'unmeasured | ';
  const first = figuresOf(by, title, subjects[0]?.name ?? '');
  const compared = isBaseline
    ? `gateway is ${ratios(first, own)} × this`
    : `${ratios(own, first)} × the first`;
  return `${range(values)} ${unit} | ${place === 0 ? '' : compared}`;
}

const lines = rows.flatMap((row) =>
  row.subjects.map(({ name }, place) => {
    const all = versions.map((by) => cells(row, place, by)).join(' | ');
    return `| ${place === 0 ? row.title : ''} | ${name} | ${all} |`;
  }),
);
const version = (name: string) =>
  (
    JSON.parse(
      readFileSync(new URL(`../node_modules/${name}/package.json`, import.meta.url), 'utf8'),
    ) as { version: string }
  ).version;
const packages = ['graphql', 'graphql-yoga', 'graphql-ws', 'mercurius', 'ws'].map(
  (name) => `${name} ${version(name)}`,
);
const seen = notes.length > 0 ? `\n\n${notes.map((text) => `- ${text}`).join('\n')}` : '';
const headings = versions.map(
  (by) => `Node ${by}: smallest to largest of ${rounds} rounds | ratio`,
);
const rule = versions.map(() => '--- | ---');
const table = `| what | who | ${headings.join(' | ')} |
| --- | --- | ${rule.join(' | ')} |
${lines.join('\n')}${seen}`;
say(`\n${table}`);
if (only === '' && previous === undefined) {
  const machine = `${cpus().length} × ${cpus()[0]?.model.trim()}`;
  const pinned = canPin
    ? 'The server under test has a core for itself; upstream and clients have the rest.'
    : 'Nothing could be pinned to a core: clients compete with the server under test.';
  const failed =
    failures.length > 0
      ? `\nNot measured:\n\n${failures.map((text) => `- ${text}`).join('\n')}\n`
      : '';
  const path = new URL('../docs/performance.md', import.meta.url);
  const text = `# Performance

Written by \`npm run bench\`. Figures are of this machine and this run only; the ratios are what counts, all
with NODE_ENV=production.

- Machine: ${machine}. ${pinned}
- ${packages.join(', ')}.
- CPU is user and system time of the whole server process, upstream decoding included, divided by the
  frames that raw clients counted. Every frame that was published must have come. Frames are about 900 bytes.
- The servers of a row about frames or queries are there at once and are measured in turn, in windows of 2.5
  seconds or 2,000 queries, so that the machine's own changes of speed fall on all alike. The other rows measure them one after the other.
- 100,000 frames a second are about the most that the relay can. Plain Yoga and Mercurius are given fewer,
  4,000 to 7,000 a second, for at that rate they need more than the core they have. Each server has read 1,000
  messages before its first client comes.
- Memory is resident memory, garbage collected before each reading.

${table}
${failed}`;
  writeFileSync(path, text);
}
