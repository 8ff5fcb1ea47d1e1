import { spawn } from 'node:child_process';
import { mkdtempSync, openSync, writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import type { Gateway } from '../src/app/gateway.ts';
import { until } from './kit/gateway.ts';
import { RawClient } from './kit/raw.ts';

/** A port that nobody else has just now. */
async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** A gateway as a process whose log goes somewhere. */
async function gatewayLoggingTo(
  stdout: number | 'pipe',
  settings: Record<string, string> = {},
): Promise<{ child: ReturnType<typeof spawn>; gateway: Gateway; ended: Promise<number | null> }> {
  const port = await freePort();
  const { PATH = '' } = process.env;
  const child = spawn(process.execPath, ['dist/main.js', '--port', String(port)], {
    env: { PATH, LOG_LEVEL: 'debug', DRAIN_MS: '0', ...settings },
    stdio: ['ignore', stdout, 'inherit'],
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  const ended = new Promise<number | null>((resolve) =>
    child.once('exit', (code) => resolve(code)),
  );
  const url = `http://127.0.0.1:${port}`;
  let isUp = false;
  const asking = setInterval(() => {
    fetch(`${url}/health`).then(
      () => {
        isUp = true;
      },
      () => {},
    );
  }, 50);
  await until(() => isUp, 'it serves');
  clearInterval(asking);
  return { child, gateway: { url } as Gateway, ended };
}

/** Makes the gateway say more than a pipe holds. */
async function makeItTalk(url: string): Promise<void> {
  for (let round = 0; round < 20; round++) {
    await Promise.all(
      Array.from({ length: 50 }, () =>
        fetch(`${url}/graphql?query={nonsense${'x'.repeat(90)}}`).then((response) =>
          response.text(),
        ),
      ),
    );
  }
}

async function lostLines(url: string): Promise<number> {
  const text = await (await fetch(`${url}/metrics`)).text();
  return Number(/^ime_gateway_log_lines_lost_total (\d+)$/m.exec(text)?.[1]);
}

describe('a log that cannot be written', () => {
  test('because its device is full costs lines, which are counted, and nothing else', async () => {
    const { child, gateway, ended } = await gatewayLoggingTo(openSync('/dev/full', 'w'));
    await makeItTalk(gateway.url);
    expect(await lostLines(gateway.url)).toBeGreaterThan(100);
    const client = await new RawClient(gateway).init();
    client.subscribe('1', 'subscription { contractUpdates(names: ["Gold Bar DE05"]) { id } }');
    await client.until(() => client.of('1').length > 0, 'it serves');
    child.kill('SIGTERM');
    expect(await ended).toBe(0);
  });

  test('because nobody reads it holds up neither serving nor a stop', async () => {
    const { child, gateway, ended } = await gatewayLoggingTo('pipe');
    child.stdout?.pause();
    await makeItTalk(gateway.url);
    await makeItTalk(gateway.url);
    const startMs = performance.now();
    expect((await fetch(`${gateway.url}/health`)).status).toBe(200);
    expect(performance.now() - startMs).toBeLessThan(2_000);
    const stoppedMs = performance.now();
    child.kill('SIGTERM');
    expect(await ended).toBe(0);
    expect(performance.now() - stoppedMs).toBeLessThan(8_000);
  });

  test('because its reader has gone ends nothing', async () => {
    const { child, gateway, ended } = await gatewayLoggingTo('pipe');
    child.stdout?.destroy();
    await makeItTalk(gateway.url);
    expect(await lostLines(gateway.url)).toBeGreaterThan(100);
    child.kill('SIGTERM');
    expect(await ended).toBe(0);
  });
});

describe('a signal', () => {
  test('that comes while the gateway starts stops it cleanly', async () => {
    const port = await freePort();
    const { PATH = '' } = process.env;
    const child = spawn(process.execPath, ['dist/main.js', '--port', String(port)], {
      env: { PATH },
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    onTestFinished(() => void child.kill('SIGKILL'));
    const ended = new Promise<number | null>((resolve) =>
      child.once('exit', (code) => resolve(code)),
    );
    let started = false;
    // As soon as its own code runs it has taken over the signals: the port is not open yet.
    setTimeout(() => {
      started = true;
      child.kill('SIGTERM');
    }, 700);
    expect([0]).toContain(await ended);
    expect(started).toBe(true);
  });

  test('that comes once more while it drains ends it at once', async () => {
    const { child, gateway, ended } = await gatewayLoggingTo('pipe', { DRAIN_MS: '20000' });
    child.stdout?.resume();
    await Promise.all(Array.from({ length: 200 }, () => new RawClient(gateway).init()));
    child.kill('SIGTERM');
    await until(() => child.exitCode === null, 'it drains');
    await new Promise((resolve) => setTimeout(resolve, 500));
    expect(child.exitCode).toBeNull();
    const secondMs = performance.now();
    child.kill('SIGTERM');
    expect(await ended).toBe(0);
    expect(performance.now() - secondMs).toBeLessThan(2_000);
  });

  test('SIGHUP reads files anew and touches no client', async () => {
    const file = join(mkdtempSync(join(tmpdir(), 'trusted-')), 'trusted.json');
    writeFileSync(file, JSON.stringify({ one: '{ one: __typename }' }));
    const { child, gateway } = await gatewayLoggingTo('pipe', { TRUSTED_DOCUMENTS: file });
    child.stdout?.resume();
    const client = await new RawClient(gateway).init();
    const ask = async (query: string) =>
      (await fetch(`${gateway.url}/graphql?query=${encodeURIComponent(query)}`)).text();
    expect(await ask('{ two: __typename }')).toContain('UNKNOWN_DOCUMENT');
    writeFileSync(file, JSON.stringify({ two: '{ two: __typename }' }));
    child.kill('SIGHUP');
    let answer = '';
    const asking = setInterval(() => {
      void ask('{ two: __typename }').then((text) => {
        answer = text;
      });
    }, 50);
    await until(() => answer.includes('"two"'), 'the new document is known');
    clearInterval(asking);
    writeFileSync(file, 'rubbish');
    child.kill('SIGHUP');
    expect(await ask('{ two: __typename }')).toContain('"two"');
    client.send({ type: 'ping' });
    await client.until(() => client.messages.at(-1)?.type === 'pong', 'it is still there');
    expect(client.closed).toBeUndefined();
  });
});
