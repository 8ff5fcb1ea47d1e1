import { spawn, spawnSync } from 'node:child_process';
import {
  appendFileSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { describe, expect, onTestFinished, test } from 'vitest';
import { WebSocket } from 'ws';
import { readReplayTarget } from '../src/config/replay-target.ts';
import type { ContractKey } from '../src/contract/key.ts';
import type { Clock } from '../src/lib/clock.ts';
import { systemClock } from '../src/lib/clock.ts';
import { createLog } from '../src/observability/log.ts';
import { type Record, readRecord, recordLine } from '../src/recording/record.ts';
import { RecordedSink } from '../src/recording/recorded-sink.ts';
import { Recorder } from '../src/recording/recorder.ts';
import { dropOldFiles, recordingFiles, recordingName } from '../src/recording/recording-files.ts';
import { readRecording } from '../src/recording/recording-reader.ts';
import { ReplaySource } from '../src/recording/replay-source.ts';
import { SeededRandom } from '../src/simulator/random.ts';
import { ask } from './kit/clients.ts';
import { liveMarket, names, TEHRAN, TestExchange, testGateway, until } from './kit/gateway.ts';
import { imeSource } from './kit/ime-source.ts';
import { ManualClock } from './kit/manual-clock.ts';
import { RecordingSink } from './kit/source-suite.ts';

const BEGIN_MS = Date.UTC(2026, 4, 23, 8);
const LOST = { code: 'UPSTREAM_LOST', reason: 'The connection to IME is lost.' } as const;
const ALL = { bytes: 10 * 2 ** 30, days: 10_000 };

function folder(): string {
  return mkdtempSync(join(tmpdir(), 'ime-recording-'));
}

function recorder(
  to: string,
  { kept = ALL, clock = systemClock }: { kept?: typeof ALL; clock?: Clock } = {},
) {
  const lines: string[] = [];
  const log = createLog('info', { write: (line) => void lines.push(line) });
  const made = new Recorder(to, kept, log, clock);
  onTestFinished(() => made.close());
  return { recorder: made, lines };
}

/** IME's message as Python writes it, with a number that no double holds. */
const messageOf = (name: string, at: number) =>
  `{"channel": "IME Stream", "contractName": "${name}", "timestamp": "2026-05-23T11:30:00.${String(at % 1_000_000).padStart(6, '0')}", "data": {"Aggregate": {"last_price": ${at}.0, "total_value": 12345678901234567${at}}, "سود": 1}}`;

/** Messages of some contracts with outages between them, one each so many milliseconds. */
function market(count: number, everyMs: number): Record[] {
  const random = new SeededRandom(7);
  const keys = names(...Array.from({ length: 50 }, (_, at) => `قرارداد ${at}`));
  const records: Record[] = [];
  for (let at = 0; at < count; at++) {
    const atMs = BEGIN_MS + at * everyMs;
    if (at % 5_000 === 4_999) {
      for (const key of keys) records.push({ atMs, key, status: 'STALE', cause: LOST });
    }
    const key = keys[random.integer(0, keys.length - 1)] as ContractKey;
    records.push({ atMs, key, message: messageOf(key.slice(5), at), cause: undefined });
  }
  return records;
}

async function recorded(records: readonly Record[], to = folder()): Promise<string> {
  const { recorder: made } = recorder(to);
  for (const record of records) made.record(record);
  await made.close();
  expect(made.report()).toEqual({
    state: 'closed',
    written: records.length,
    lost: 0,
    problem: null,
  });
  return to;
}

async function readAll(from: string, fromMs = 0) {
  const records: Record[] = [];
  const faults: string[] = [];
  for await (const some of readRecording(from, fromMs, ({ fault }) => void faults.push(fault))) {
    records.push(...some);
  }
  return { records, faults };
}

function replay(from: string, query: string, clock: Clock = systemClock) {
  const sink = new RecordingSink();
  const target = readReplayTarget(`replay:${from}${query}`);
  const source = new ReplaySource(target, sink, TEHRAN, createLog('silent'), clock);
  onTestFinished(() => source.close());
  return { sink, source };
}

const isOver = (source: ReplaySource) =>
  until(() => source.health().includes('The recording is over.'), 'it is over');

describe('a recording', () => {
  test('of 100,000 messages with outages plays to the same states, digit by digit', async () => {
    const records = market(100_000, 1);
    const from = await recorded(records);
    const { sink, source } = replay(from, '?speed=max');
    const keys = [...new Set(records.map(({ key }) => key))];
    source.retain(keys);
    await isOver(source);
    const told = sink.told.slice(keys.length, -keys.length);
    expect(told.length).toBe(records.length);
    const sequences = new Map<ContractKey, number>();
    for (const [at, one] of told.entries()) {
      const record = records[at] as Record;
      if (one.key !== record.key) throw new Error(`${at}: ${one.key}, expected ${record.key}`);
      if ('status' in record) {
        expect('status' in one && one.status).toMatchObject({ status: 'STALE', cause: LOST });
        continue;
      }
      const sequence = (sequences.get(record.key) ?? 0) + 1;
      sequences.set(record.key, sequence);
      if (!('state' in one)) throw new Error(`${at}: expected a state`);
      const { snapshot } = one.state;
      const digits = /total_value": (\d+)/.exec(record.message)?.[1];
      const isSame =
        one.state.sequence === sequence &&
        snapshot.raw === record.message &&
        snapshot.aggregate?.totalValue === digits;
      if (!isSame) throw new Error(`${at}: ${snapshot.raw} for ${record.message}`);
    }
    for (const key of keys) expect(sink.lastOf(key)).toBe('STALE');
  });

  test('is played by the clock that is handed in: an hour in a moment', async () => {
    const from = await recorded(market(3_600, 1_000));
    const clock = new ManualClock();
    const { sink, source } = replay(from, '?speed=2', clock);
    source.retain([...new Set(market(3_600, 1_000).map(({ key }) => key))]);
    await until(() => sink.told.some((one) => 'state' in one), 'it begins');
    const states = () => sink.told.filter((one) => 'state' in one).length;
    await clock.advance(60_000);
    await until(() => states() >= 121, 'what is due is played');
    expect(states()).toBe(121);
    await clock.advance(1_740_000);
    await until(() => states() === 3_600, 'all are played');
    await clock.advance(1_000);
    await isOver(source);
    expect(states()).toBe(3_600);
  });

  test('begins where it is asked to, and tells who comes late what there was', async () => {
    const records = market(2_000, 10);
    const from = await recorded(records);
    const instant = new Date(BEGIN_MS + 15_000).toISOString();
    const { sink, source } = replay(from, `?speed=max&from=${instant}`);
    const [first, late] = [...new Set(records.slice(1_500).map(({ key }) => key))] as [
      ContractKey,
      ContractKey,
    ];
    source.retain([first, 'name:never']);
    await isOver(source);
    const ofFirst = records.filter(({ key }) => key === first).slice();
    const after = ofFirst.filter(({ atMs }) => atMs >= BEGIN_MS + 15_000);
    expect(sink.states(first).length).toBe(after.length);
    expect(sink.lastOf('name:never')).toBe('INVALID');
    source.retain([late]);
    expect(sink.states(late).length).toBe(1);
    expect(sink.lastOf(late)).toBe('STALE');
    source.retain(['name:never, too']);
    expect(sink.lastOf('name:never, too')).toBe('INVALID');
  });

  test('is played again and again with loop=true, its timestamps moved with time=now', async () => {
    const from = await recorded(market(20, 1));
    const { sink, source } = replay(from, '?speed=max&loop=true&time=now');
    const [key] = market(1, 1).map((one) => one.key) as [ContractKey];
    source.retain([key]);
    await until(() => sink.states(key).length > 30, 'it is played many times');
    const states = sink.states(key);
    expect(states.map(({ sequence }) => sequence).slice(0, 30)).toEqual(
      Array.from({ length: 30 }, (_, at) => at + 1),
    );
    const timestampMs = TEHRAN.toEpochMs(states.at(-1)?.snapshot.timestamp ?? '') ?? 0;
    expect(Math.abs(timestampMs - Date.now())).toBeLessThan(60_000);
    source.close();
    const told = sink.told.length;
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(sink.told.length).toBe(told);
  });

  test('of what an upstream says has its messages and what became of it', async () => {
    const exchange = await new TestExchange().listen();
    const to = folder();
    const { recorder: made } = recorder(to);
    const sink = new RecordingSink();
    const recordedSink = new RecordedSink(sink, made, systemClock);
    const source = imeSource(exchange.url, recordedSink, {
      clock: systemClock,
      dial: (url, options) => new WebSocket(url, options),
    });
    onTestFinished(() => source.close());
    source.retain(names('A'));
    await exchange.carries(names('A'));
    exchange.publish('name:A', 1);
    await until(() => sink.lastOf('name:A') === 'LIVE', 'it is live');
    exchange.exchange.drop();
    await until(() => sink.lastOf('name:A') === 'STALE', 'it is lost');
    await exchange.carries(names('A'));
    exchange.publish('name:A', 2);
    await until(() => sink.states('name:A').length === 2, 'it is back');
    await made.close();
    const { records } = await readAll(to);
    expect(records.map((one) => ('status' in one ? one.status : 'message'))).toEqual([
      'PENDING',
      'message',
      'STALE',
      'message',
    ]);
    const raws = sink.states('name:A').map(({ snapshot }) => snapshot.raw);
    expect(records.flatMap((one) => ('message' in one ? [one.message] : []))).toEqual(raws);
  });
});

test('a gateway records, and another one plays what it has recorded and says so', async () => {
  const to = folder();
  const [exchange, gateway] = await liveMarket(['A'], ['A'], { RECORD_DIR: to });
  exchange.publish('name:A', '12345678901234567891');
  await until(() => gateway.report().upstream.messages === 2, 'both have come');
  await gateway.close(0);
  const replayed = await testGateway({ IME_URL: `replay:${to}?speed=max`, IME_PINNED_NAMES: 'A' });
  await until(() => replayed.report().contracts.STALE === 1, 'it is over');
  const query = `{ status { simulated ready reasons upstream { mode url problems } }
    contract(name: "A") { status statusCode snapshot { sequence aggregate { lastPrice } } } }`;
  const { data } = await ask(replayed, query);
  expect(data).toEqual({
    status: {
      simulated: false,
      ready: false,
      reasons: ['The recording is over.'],
      upstream: {
        mode: 'REPLAY',
        url: `replay:${to}?speed=max`,
        problems: ['The recording is over.'],
      },
    },
    contract: {
      status: 'STALE',
      statusCode: 'UPSTREAM_LOST',
      snapshot: { sequence: '2', aggregate: { lastPrice: '12345678901234567891' } },
    },
  });
  const page = await fetch(`${replayed.url}/graphql`, { headers: { accept: 'text/html' } });
  expect(await page.text()).toContain('RECORDED DATA');
});

test('where nothing can be recorded, serving goes on, and status says so', async () => {
  const [exchange, gateway] = await liveMarket(['A'], ['A'], { RECORD_DIR: '/proc/recording' });
  await until(() => gateway.report().upstream.problems.length === 1, 'it is noticed');
  expect(gateway.report().upstream.problems[0]).toContain('Nothing is recorded');
  exchange.publish('name:A', 2);
  await until(() => gateway.report().upstream.messages === 2, 'it goes on');
  expect(gateway.report().ready).toBe(true);
});

describe('a file of a recording', () => {
  test('that is torn is read up to the tear, and what follows it as well', async () => {
    const to = folder();
    const { recorder: made } = recorder(to);
    const records = market(3_000, 1);
    for (const record of records.slice(0, 1_000)) made.record(record);
    await until(() => made.report().written === 1_000, 'the first are written');
    for (const record of records.slice(1_000, 2_000)) made.record(record);
    await made.close();
    const [file] = recordingFiles(to);
    truncateSync(file?.path ?? '', (file?.bytes ?? 0) - 2_000);
    await recorded(records.slice(2_000), to);
    const { records: read, faults } = await readAll(to);
    expect(faults.length).toBe(1);
    expect(read.length).toBeGreaterThan(2_000);
    const missing = 3_000 - read.length;
    const whole = [...records.slice(0, 2_000 - missing), ...records.slice(2_000)];
    expect(read).toEqual(whole);
  });

  test('that is none, or has other lines, harms nothing', async () => {
    const to = await recorded(market(10, 1));
    writeFileSync(join(to, 'notes.txt'), 'mine');
    writeFileSync(join(to, recordingName(BEGIN_MS)), 'not gzip at all');
    const lines = ['{}', '[]', 'null', '', '{"at":"x"}', recordLine(market(1, 1)[0] as Record)];
    writeFileSync(join(to, recordingName(BEGIN_MS + 1)), gzipSync(`${lines.join('\n')}\n`));
    appendFileSync(join(to, recordingName(BEGIN_MS + 2)), '');
    const { records, faults } = await readAll(to);
    expect(records.length).toBe(11);
    expect(faults.length).toBe(2);
  });

  test('is closed and deleted by size and age', async () => {
    const to = folder();
    const clock = new ManualClock(BEGIN_MS);
    const { recorder: made } = recorder(to, { kept: { bytes: 200_000, days: 1 }, clock });
    const write = async () => {
      const before = made.report().written;
      for (const record of market(200, 1)) made.record(record);
      while (made.report().written === before) await clock.advance(500);
    };
    await write();
    await clock.advance(3_600_000);
    await write();
    expect(recordingFiles(to).length).toBe(2);
    for (let times = 0; times < 100; times++) await write();
    const bytes = recordingFiles(to).reduce((sum, file) => sum + file.bytes, 0);
    expect(recordingFiles(to).length).toBeGreaterThan(5);
    expect(bytes).toBeLessThan(230_000);
    await clock.advance(3 * 86_400_000);
    await write();
    await clock.advance(3_600_000);
    await write();
    // The one before these had not ended until then.
    expect(recordingFiles(to).length).toBe(3);
    dropOldFiles(to, { bytes: 0, days: 1 }, clock.nowMs());
    expect(recordingFiles(to).length).toBe(1);
    await made.close();
    expect(clock.timers).toBe(0);
  });
});

test('a process that is killed has lost no more than its last second', async () => {
  const to = folder();
  const program = `
    import { Recorder } from '${process.cwd()}/src/recording/recorder.ts';
    import { systemClock } from '${process.cwd()}/src/lib/clock.ts';
    import { createLog } from '${process.cwd()}/src/observability/log.ts';
    const recorder = new Recorder(${JSON.stringify(to)}, { bytes: 1e9, days: 1 }, createLog('silent'), systemClock);
    let at = 0;
    setInterval(() => {
      recorder.record({ atMs: Date.now(), key: 'name:A', message: String(at++), cause: undefined });
      if (at % 100 === 0) process.stdout.write(at + '\\n');
    }, 1);`;
  const file = join(folder(), 'program.mts');
  writeFileSync(file, program);
  const child = spawn(process.execPath, ['--import', 'tsx', file]);
  onTestFinished(() => void child.kill('SIGKILL'));
  let said = '';
  child.stdout.on('data', (text) => {
    said += text;
  });
  await until(() => said.split('\n').length > 15, 'it has recorded for a while');
  const killedAtMs = Date.now();
  child.kill('SIGKILL');
  await new Promise((resolve) => child.once('exit', resolve));
  const { records } = await readAll(to);
  const texts = records.map((one) => ('message' in one ? Number(one.message) : -1));
  expect(texts).toEqual(texts.map((_, at) => at));
  expect(killedAtMs - (records.at(-1)?.atMs ?? 0)).toBeLessThan(1_500);
});

const tiny = mkdtempSync(join(tmpdir(), 'ime-full-'));
const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=96k', 'tmpfs', tiny]).status === 0;
if (!mounted) process.stderr.write('skipped: a full disk cannot be tried without mount\n');

test.skipIf(!mounted)(
  'a full disk stops the recording, which goes on once there is room',
  async () => {
    onTestFinished(() => void spawnSync('umount', [tiny]));
    const { recorder: made, lines } = recorder(tiny);
    const records = market(20_000, 1);
    for (const record of records) made.record(record);
    await until(() => made.report().state === 'waiting', 'there is no room');
    expect(made.report().problem).toContain('no space left');
    const { lost } = made.report();
    expect(lost).toBe(records.length);
    for (const name of readdirSync(tiny)) truncateSync(join(tiny, name), 0);
    await until(() => made.report().state === 'recording', 'there is room again');
    expect(made.report().problem).toBeNull();
    made.record(records[0] as Record);
    await made.close();
    expect((await readAll(tiny)).records).toEqual([records[0]]);
    const said = lines.map((line) => JSON.parse(line).msg);
    expect(said).toEqual(['recording stops until there is room for it', 'recording goes on']);
  },
);

describe('npm run record', () => {
  const run = (...args: string[]) => {
    const { status, stdout, stderr } = spawnSync(
      process.execPath,
      ['--import', 'tsx', 'src/recording/main.ts', ...args],
      { encoding: 'utf8' },
    );
    return { status, stdout, stderr };
  };

  test('ls lists the files, cat prints what is asked for', async () => {
    const records = market(500, 1_000);
    const from = await recorded(records);
    const listed = run('ls', from).stdout;
    expect(listed).toContain('2026-05-23T08:00:00.000Z to 2026-05-23T08:08:19.000Z');
    expect(listed).toContain('500 records of 50 contracts');
    const { key } = records[100] as Record;
    const printed = run(
      'cat',
      from,
      '--name',
      key.slice(5),
      '--from',
      '2026-05-23T08:01:00',
      '--to',
      '2026-05-23T11:35+03:30',
    );
    const lines = printed.stdout.split('\n').slice(0, -1);
    const wanted = records.filter(
      (one) => one.key === key && one.atMs >= BEGIN_MS + 60_000 && one.atMs < BEGIN_MS + 300_000,
    );
    expect(lines.map(readRecord)).toEqual(wanted);
  });

  test.each([
    [[], 'expected a command and a folder'],
    [['ls'], 'expected a command and a folder'],
    [['rm', '/tmp'], 'expected ls or cat, got rm'],
    [['ls', '/nowhere'], 'no such file'],
    [['cat', '/tmp', '--from', 'noon'], 'from: expected an instant'],
  ])('%j says what was expected', (args, words) => {
    const { status, stderr } = run(...args);
    expect(status).toBe(2);
    expect(stderr).toContain(words);
    expect(stderr).toContain('usage:');
  });
});

describe('IME_URL=replay:', () => {
  test.each([
    ['replay:', 'got no folder'],
    ['replay:/x?speed=0', 'speed: expected max'],
    ['replay:/x?speed=fast', 'speed: expected max'],
    ['replay:/x?from=noon', 'from: expected an instant'],
    ['replay:/x?loop=yes', 'loop: expected false or true'],
    ['replay:/x?time=then', 'time: expected recorded or now'],
    ['replay:/x?sped=1', 'expected one of speed, from, loop, time'],
  ])('%s is refused in words', (url, words) => {
    expect(() => readReplayTarget(url)).toThrow(words);
  });

  test('reads instants as they are written', () => {
    const fromOf = (text: string) => readReplayTarget(`replay:/x?from=${text}`).fromMs;
    expect(fromOf('2026-05-23T08:00:00')).toBe(BEGIN_MS);
    expect(fromOf('2026-05-23T11:30:00+03:30')).toBe(BEGIN_MS);
    expect(fromOf('2026-05-23T11:30:00%2B03:30')).toBe(BEGIN_MS);
    expect(fromOf('2026-05-23')).toBe(BEGIN_MS - 8 * 3_600_000);
  });

  test('that is not there is said by health', async () => {
    const { source, sink } = replay('/nowhere', '');
    expect((await source.check())[0]).toContain('no such file');
    source.retain(names('A'));
    await until(() => source.health().length > 0, 'it is noticed');
    expect(sink.lastOf('name:A')).toBe('INVALID');
    expect(readFileSync('package.json', 'utf8')).toContain('recording/main.js');
  });
});
