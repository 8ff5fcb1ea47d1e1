import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { chromium } from 'playwright-core';
import { describe, expect, onTestFinished, test } from 'vitest';
import type { Gateway } from '../src/app/gateway.ts';
import { names, pinnedMarket, type TestExchange, testGateway, until } from './kit/gateway.ts';
import { CHROMIUM, CHROMIUM_ARGUMENTS, hasProgram } from './kit/programs.ts';

const TSX = ['--import', 'tsx'];
const NAMES = ['سکه ۱', 'Gold 2', 'Oil 3'];

/** An example as its reader runs it, and what it has printed. */
class Example {
  readonly child: ChildProcess;
  output = '';

  constructor(command: string, args: readonly string[], environment: Record<string, string>) {
    this.child = spawn(command, args, { env: { ...process.env, ...environment } });
    this.child.stdout?.on('data', (text) => {
      this.output += text;
    });
    this.child.stderr?.on('data', (text) => {
      this.output += text;
    });
    onTestFinished(() => void this.child.kill('SIGKILL'));
  }

  async says(text: string): Promise<void> {
    try {
      await until(() => this.output.includes(text), `it says ${text}`);
    } catch {
      throw new Error(`expected ${text} in:\n${this.output.slice(-2_000)}`);
    }
  }
}

async function market(settings: Record<string, string> = {}): Promise<[TestExchange, Gateway]> {
  const [exchange, gateway] = await pinnedMarket(NAMES, settings);
  for (const key of names(...NAMES)) exchange.publish(key, 100);
  return [exchange, gateway];
}

describe('the examples', () => {
  test.each([
    ['node', process.execPath, [...TSX, 'examples/node/main.ts'], 3],
    ['urql', process.execPath, [...TSX, 'examples/urql/main.ts'], 1],
    ['curl', 'sh', ['examples/curl/main.sh'], 1],
  ] as const)('%s shows live prices', async (_name, command, args, contracts) => {
    const [exchange, gateway] = await market();
    const example = new Example(command, args, { GATEWAY_URL: gateway.url });
    await example.says(NAMES[0] as string);
    for (const key of names(...NAMES)) exchange.publish(key, '12345678901234567891');
    await example.says('12345678901234567891');
    if (contracts === 3)
      for (const name of NAMES) await example.says(`${name}: 12345678901234567891 (LIVE)`);
  });

  test('node goes on after a restart of the gateway', async () => {
    const [exchange, gateway] = await market();
    const example = new Example(process.execPath, [...TSX, 'examples/node/main.ts'], {
      GATEWAY_URL: gateway.url,
    });
    await example.says('100 (LIVE)');
    await gateway.close();
    await testGateway({
      IME_URL: exchange.url,
      IME_PINNED_NAMES: NAMES.join(','),
      PORT: String(gateway.address.port),
    });
    await exchange.carries(names(...NAMES));
    await example.says('– (PENDING)');
    exchange.publish('name:Oil 3', 777);
    await example.says('Oil 3: 777 (LIVE)');
  });

  const websockets = '/usr/lib/python3/dist-packages/websockets';
  test.skipIf(!hasProgram('python3-websockets', websockets))(
    'python shows live prices',
    async () => {
      const [exchange, gateway] = await market();
      const python = existsSync('/usr/bin/python3') ? '/usr/bin/python3' : 'python3';
      const example = new Example(python, ['examples/python/main.py'], {
        GATEWAY_URL: gateway.url,
      });
      await example.says(`${NAMES[0]} 100 LIVE`);
      exchange.publish('name:Gold 2', 555);
      await example.says('Gold 2 555 LIVE');
    },
  );

  test.skipIf(!hasProgram('chromium', CHROMIUM))(
    'react shows a live table of three contracts',
    async () => {
      const example = new Example(process.execPath, [...TSX, 'examples/react/serve.ts'], {
        PORT: '0',
      });
      await example.says('http://127.0.0.1:');
      const origin = example.output.trim();
      const [exchange, gateway] = await market({ CORS_ORIGINS: origin });
      const browser = await chromium.launch({ executablePath: CHROMIUM, args: CHROMIUM_ARGUMENTS });
      onTestFinished(() => browser.close());
      const page = await browser.newPage();
      const faults: string[] = [];
      page.on('console', (message) => message.type() === 'error' && faults.push(message.text()));
      page.on('pageerror', (error) => faults.push(error.message));
      await page.goto(`${origin}/?gateway=${encodeURIComponent(gateway.url)}`);
      const prices = page.locator('.price');
      await expect.poll(() => prices.allTextContents()).toEqual(['100', '100', '100']);
      exchange.publish('name:Gold 2', '12345678901234567891');
      await expect
        .poll(() => prices.allTextContents())
        .toEqual(['100', '12345678901234567891', '100']);
      expect(faults.filter((text) => !text.includes('favicon'))).toEqual([]);
    },
  );
});
