import { type ChildProcess, spawn } from 'node:child_process';
import { stripVTControlCharacters } from 'node:util';
import { describe, expect, onTestFinished, test } from 'vitest';
import { Table } from '../src/watch/table.ts';
import type { WatchedContract } from '../src/watch/watched-contract.ts';
import { liveMarket, names, testGateway, until } from './kit/gateway.ts';
import { keysOf, withKey } from './kit/keys.ts';
import { hasProgram } from './kit/programs.ts';

const PROGRAM = ['--import', 'tsx', 'src/watch/main.ts'];
const SCRIPT = '/usr/bin/script';

/** `npm run watch` as somebody runs it, and what it has printed. */
class Watching {
  readonly child: ChildProcess;
  output = '';
  faults = '';
  ended: number | null | undefined;

  constructor(
    args: readonly string[],
    command = process.execPath,
    before: readonly string[] = PROGRAM,
  ) {
    const { PATH = '' } = process.env;
    this.child = spawn(command, [...before, ...args], { env: { PATH, TERM: 'xterm' } });
    this.child.stdout?.on('data', (text) => {
      this.output += text;
    });
    this.child.stderr?.on('data', (text) => {
      this.faults += text;
    });
    this.child.on('exit', (code) => {
      this.ended = code;
    });
    onTestFinished(() => void this.child.kill('SIGKILL'));
  }

  get lines(): WatchedContract[] {
    return this.output
      .split('\n')
      .slice(0, -1)
      .map((line) => JSON.parse(line));
  }

  prices(): (string | null | undefined)[] {
    return this.lines.map(({ snapshot }) => snapshot?.lastTradePrice);
  }
}

const contract = (
  lastTradePrice: string,
  more: Partial<WatchedContract> = {},
): WatchedContract => ({
  id: 'name:A',
  cursor: '',
  name: 'A',
  contractId: null,
  status: 'LIVE',
  statusReason: null,
  snapshot: {
    timestamp: '2026-05-23T15:10:00.000000',
    lastTradePrice,
    lastPriceChangePercent: '-1.5',
    bestBid: { price: '1234567', quantity: '12' },
    bestAsk: null,
    aggregate: { totalVolume: '12345678901234567891' },
  },
  ...more,
});

describe('npm run watch', () => {
  test('prints a line for each change, each once, also through a restart of the gateway', async () => {
    const [exchange, gateway] = await liveMarket(['A', 'B'], ['A', 'B']);
    const watching = new Watching(['A', 'B', '--url', gateway.url]);
    await until(() => watching.lines.length === 2, 'it begins');
    exchange.publish('name:A', '12345678901234567891');
    exchange.publish('name:A', '2.50');
    await until(() => watching.lines.length === 4, 'it goes on');
    expect(watching.prices().slice(2)).toEqual(['12345678901234567891', '2.50']);
    await gateway.close(0);
    await until(() => watching.faults.includes('is not there'), 'it says what is the matter');
    await testGateway({
      PORT: String(gateway.address.port),
      IME_URL: exchange.url,
      IME_PINNED_NAMES: 'A,B',
    });
    await exchange.carries(names('A', 'B'));
    exchange.publish('name:B', 7);
    await until(() => watching.prices().includes('7'), 'it goes on by itself');
  });

  test('by IDs, of all, and with a key', async () => {
    const [exchange, gateway] = await liveMarket(['A'], ['A'], keysOf({ reader: {} }));
    const shown = withKey('reader').authorization.replace('Bearer ', '');
    const args = ['--url', `${gateway.url}/graphql`, '--token', shown];
    const all = new Watching(['--all', ...args]);
    const ofId = new Watching(['12', '--ids', ...args]);
    await until(() => all.lines.length > 0, 'it begins');
    expect(all.lines[0]?.id).toBe('name:A');
    await exchange.carries(['id:12']);
    exchange.publish('id:12', 3);
    await until(() => ofId.prices().includes('3'), 'it comes');
    const without = new Watching(['A', '--url', gateway.url]);
    await until(() => without.ended !== undefined, 'it ends');
    expect(without.ended).toBe(1);
    expect(without.faults).toContain('--token');
  });

  test('ends where IME knows nothing of what is asked, and in words for what cannot be asked', async () => {
    const [exchange, gateway] = await liveMarket(['A'], ['A']);
    exchange.unlisted.add('name:gone');
    const gone = new Watching(['gone', '--url', gateway.url]);
    await until(() => gone.ended !== undefined, 'it ends');
    expect([gone.ended, gone.faults]).toEqual([1, 'IME knows none of these contracts\n']);
    expect(gone.lines.at(-1)?.status).toBe('INVALID');
    const wrong = [[], ['A', '--all'], ['A', '--url', 'ftp://x'], ['A', '--what']].map(
      (args) => new Watching(args),
    );
    for (const one of wrong) {
      await until(() => one.ended !== undefined, 'it ends');
      expect([one.ended, one.output]).toEqual([2, '']);
      expect(one.faults).toContain('usage:');
    }
  });

  test('whose reader has read enough ends', async () => {
    const [exchange, gateway] = await liveMarket(['A'], ['A']);
    const command = `"${process.execPath}" ${PROGRAM.join(' ')} A --url ${gateway.url} | head -1`;
    const piped = new Watching([command], '/bin/sh', ['-c']);
    await until(() => piped.output.includes('"lastTradePrice":"1"'), 'the first is read');
    const publishing = setInterval(() => exchange.publish('name:A', 2), 20);
    onTestFinished(() => clearInterval(publishing));
    await until(() => piped.ended !== undefined, 'it ends');
    expect([piped.ended, piped.faults]).toEqual([0, '']);
  });

  test.skipIf(!hasProgram('script', SCRIPT))('draws a table in place in a terminal', async () => {
    const [exchange, gateway] = await liveMarket(['A', 'B'], ['A', 'B']);
    const run = `"${process.execPath}" ${PROGRAM.join(' ')} A B --url ${gateway.url}`;
    const typed = new Watching([`stty cols 100 rows 20; ${run}`, '/dev/null'], SCRIPT, ['-qec']);
    await until(() => typed.output.includes('LIVE'), 'it is drawn');
    exchange.publish('name:A', 1234567);
    const drawnOver = () => typed.output.split('\u001b[3F').slice(1).join('');
    await until(() => drawnOver().includes('\u001b[32m1,234,567'), 'it is drawn over');
  });
});

describe('the table', () => {
  test('shows what goes up and down by all digits, and what does not fit', () => {
    const table = new Table();
    table.set(contract('12345678901234567891'));
    table.set(contract('12345678901234567892'));
    expect(table.draw(24, 200)).toContain('\u001b[32m12,345,678,901,234,567,892\u001b[0m');
    table.set(contract('12345678901234567891.9'));
    expect(table.draw(24, 200)).toContain('\u001b[31m12,345,678,901,234,567,891.9\u001b[0m');
    for (let at = 0; at < 9; at++) table.set(contract('1', { id: `name:${at}` }));
    expect(table.draw(8, 200)).toContain('… and 5 more');
    for (const line of table.draw(24, 40).split('\n')) {
      const text = stripVTControlCharacters(line);
      expect([...text].length).toBeLessThanOrEqual(40);
    }
  });

  test('lets no name steer the terminal, and says why a contract is not live', () => {
    const table = new Table();
    const name = 'A\u001b[2J\u202eB';
    table.set(contract('1', { name, status: 'STALE', statusReason: 'The connection is lost.' }));
    const drawn = table.draw(24, 200);
    expect(drawn).not.toContain('\u001b[2J');
    expect(drawn).toContain('A[2JB');
    expect(drawn).toContain('STALE: The connection is lost.');
    table.note('somewhere is not there');
    expect(table.draw(24, 200)).toContain('somewhere is not there');
  });
});
