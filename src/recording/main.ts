/**
 * `npm run record -- ls DIR`: what a recording holds. `npm run record -- cat DIR --name X --from … --to …`: its
 * messages as lines of JSON, for other programs.
 */
import { parseArgs } from 'node:util';
import { readInstantMs } from '../config/replay-target.ts';
import { type ContractKey, contractKey } from '../contract/key.ts';
import { recordLine } from './record.ts';
import { recordingFiles } from './recording-files.ts';
import { readRecording } from './recording-reader.ts';

const USAGE = `usage: npm run record -- ls DIR
       npm run record -- cat DIR [--name NAME]… [--id ID]… [--from INSTANT] [--to INSTANT]
`;
const EXIT_USAGE = 2;

/** Waits where the reader of the output is slower. @returns false once nobody reads any more */
async function write(text: string): Promise<boolean> {
  if (process.stdout.destroyed) return false;
  if (process.stdout.write(text)) return true;
  await new Promise<void>((resolve) => {
    process.stdout.once('drain', resolve);
    process.stdout.once('close', resolve);
  });
  return !process.stdout.destroyed;
}

async function list(folder: string): Promise<void> {
  for (const { path, bytes } of recordingFiles(folder)) {
    let first: number | undefined;
    let last = 0;
    let records = 0;
    const contracts = new Set<ContractKey>();
    const faults: string[] = [];
    const told = ({ fault }: { fault: string }) => void faults.push(fault);
    for await (const read of readRecording(folder, Number.NEGATIVE_INFINITY, told, path)) {
      for (const { atMs, key } of read) {
        first ??= atMs;
        last = atMs;
        records++;
        contracts.add(key);
      }
    }
    const span =
      first === undefined
        ? 'empty'
        : `${new Date(first).toISOString()} to ${new Date(last).toISOString()}`;
    const notes = faults.map((fault) => `  (${fault})`).join('');
    const line = `${path}  ${span}  ${records} records of ${contracts.size} contracts, ${bytes} bytes${notes}\n`;
    if (!(await write(line))) return;
  }
}

async function print(
  folder: string,
  wanted: ReadonlySet<ContractKey>,
  fromMs: number,
  toMs: number,
): Promise<void> {
  const told = ({ path, fault }: { path: string; fault: string }) =>
    process.stderr.write(`${path}: ${fault}\n`);
  for await (const records of readRecording(folder, fromMs, told)) {
    const lines = records
      .filter(({ key, atMs }) => atMs < toMs && (wanted.size === 0 || wanted.has(key)))
      .map(recordLine);
    if (lines.length > 0 && !(await write(lines.join('')))) return;
    if ((records.at(-1)?.atMs ?? 0) >= toMs) return;
  }
}

async function run(): Promise<void> {
  const { positionals, values } = parseArgs({
    allowPositionals: true,
    options: {
      name: { type: 'string', multiple: true, default: [] },
      id: { type: 'string', multiple: true, default: [] },
      from: { type: 'string' },
      to: { type: 'string' },
    },
  });
  const [command, folder, ...more] = positionals;
  if (folder === undefined || more.length > 0)
    throw new TypeError('expected a command and a folder');
  if (command === 'ls') {
    await list(folder);
  } else if (command === 'cat') {
    const wanted = new Set([
      ...values.name.map((name) => contractKey('name', name)),
      ...values.id.map((id) => contractKey('id', id)),
    ]);
    const fromMs = readInstantMs(values.from, Number.NEGATIVE_INFINITY);
    await print(folder, wanted, fromMs, readInstantMs(values.to, Number.POSITIVE_INFINITY));
  } else {
    throw new TypeError(`expected ls or cat, got ${command}`);
  }
}

// Whoever has read enough closes the pipe.
process.stdout.on('error', () => process.exit(0));
run().catch((error: Error) => {
  process.stderr.write(`${error.message}\n${USAGE}`);
  process.exitCode = EXIT_USAGE;
});
