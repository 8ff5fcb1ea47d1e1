import { execFileSync, spawn } from 'node:child_process';
import { closeSync, constants, mkdtempSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { constants as osConstants, tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { describe, expect, onTestFinished, test } from 'vitest';
import { until } from './kit/gateway.ts';
import {
  freePort,
  gatewayProcess,
  lostLines,
  makeItTalk,
  spawnGateway,
  untilServed,
} from './kit/gateway-process.ts';
import { hasProgram, PYTHON } from './kit/programs.ts';
import { RawClient } from './kit/raw.ts';

const { SIGHUP } = osConstants.signals;

/** Whether a process has a handler of its own for a signal. */
function catches(pid: number | undefined, signal: number): boolean {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const caught = BigInt(`0x${/^SigCgt:\s+(\w+)/m.exec(status)?.[1] ?? '0'}`);
  return (caught & (1n << BigInt(signal - 1))) !== 0n;
}

describe('a log that cannot be written', () => {
  test('because its device is full costs lines, which are counted, and nothing else', async () => {
    const { child, gateway, ended } = await gatewayProcess({
      stdout: openSync('/dev/full', 'w'),
    });
    await makeItTalk(gateway.url);
    expect(await lostLines(gateway.url)).toBeGreaterThan(100);
    const client = await new RawClient(gateway).init();
    client.subscribe('1', 'subscription { contractUpdates(names: ["Gold Bar DE05"]) { id } }');
    await client.until(() => client.of('1').length > 0, 'it serves');
    child.kill('SIGTERM');
    expect(await ended).toBe(0);
  });

  test('because nobody reads it holds up neither serving nor a stop', async () => {
    const { child, gateway, ended } = await gatewayProcess();
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

  test('because the reader of its FIFO has stopped reading holds up neither serving nor a stop', async () => {
    const fifo = join(mkdtempSync(join(tmpdir(), 'log-')), 'log');
    execFileSync('mkfifo', [fifo]);
    // Open for reading and never read.
    const reader = openSync(fifo, constants.O_RDWR);
    onTestFinished(() => closeSync(reader));
    const stdout = openSync(fifo, 'w');
    const { child, gateway, ended } = await gatewayProcess({ stdout });
    closeSync(stdout);
    await makeItTalk(gateway.url);
    await makeItTalk(gateway.url);
    expect((await fetch(`${gateway.url}/health`)).status).toBe(200);
    const stoppedMs = performance.now();
    child.kill('SIGTERM');
    expect(await ended).toBe(0);
    expect(performance.now() - stoppedMs).toBeLessThan(8_000);
  });

  test.runIf(hasProgram('python3', PYTHON))(
    'because its terminal is stopped holds up neither serving nor a stop',
    async () => {
      const port = await freePort();
      const url = `http://127.0.0.1:${port}`;
      const { PATH = '' } = process.env;
      // A terminal that nobody reads; what comes of the gateway is told on stderr.
      const terminal = `
import os, pty, sys
child, terminal = pty.fork()
if child == 0: os.execvp(sys.argv[1], sys.argv[1:])
print(child, flush=True)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)`;
      const python = spawn(
        PYTHON,
        ['-c', terminal, process.execPath, 'dist/main.js', '--port', String(port)],
        { env: { PATH, LOG_LEVEL: 'debug', DRAIN_MS: '0' }, stdio: ['ignore', 'pipe', 'inherit'] },
      );
      onTestFinished(() => void python.kill('SIGKILL'));
      const told = createInterface({ input: python.stdout })[Symbol.asyncIterator]();
      const pid = Number((await told.next()).value);
      await untilServed(url);
      await makeItTalk(url);
      expect((await fetch(`${url}/health`)).status).toBe(200);
      const stoppedMs = performance.now();
      process.kill(pid, 'SIGTERM');
      expect((await told.next()).value).toBe('0');
      expect(performance.now() - stoppedMs).toBeLessThan(8_000);
    },
  );

  test('because the system holds up a write, as a disk does that hangs, does not keep it from ending', async () => {
    const fifo = join(mkdtempSync(join(tmpdir(), 'log-')), 'log');
    execFileSync('mkfifo', [fifo]);
    const { child, gateway, ended } = await gatewayProcess({
      // From the signal on its writes go where they block a thread of its own for ever.
      preload: `
        import fs from 'node:fs';
        import { syncBuiltinESMExports } from 'node:module';
        const { write } = fs;
        process.on('SIGUSR2', () => {
          const stuck = fs.openSync(${JSON.stringify(fifo)}, fs.constants.O_RDWR);
          fs.write = (_fd, _bytes, ...more) => write(stuck, Buffer.alloc(1 << 20), 0, 1 << 20, null, more.at(-1));
          syncBuiltinESMExports();
        });`,
    });
    child.stdout?.resume();
    child.kill('SIGUSR2');
    await makeItTalk(gateway.url);
    expect((await fetch(`${gateway.url}/health`)).status).toBe(200);
    const stoppedMs = performance.now();
    child.kill('SIGTERM');
    await ended;
    expect(child.signalCode).toBe('SIGKILL');
    expect(performance.now() - stoppedMs).toBeLessThan(10_000);
  });

  test('because its reader has gone ends nothing', async () => {
    const { child, gateway, ended } = await gatewayProcess();
    child.stdout?.destroy();
    await makeItTalk(gateway.url);
    expect(await lostLines(gateway.url)).toBeGreaterThan(100);
    child.kill('SIGTERM');
    expect(await ended).toBe(0);
  });
});

describe('a signal', () => {
  test('that comes while the gateway starts stops it cleanly', async () => {
    for (const afterMs of [0, 150, 300, 450, 600]) {
      const { child, ended } = await spawnGateway();
      child.stdout?.resume();
      // As soon as its first lines have run; the port is not open yet, nor are its files read.
      await until(() => catches(child.pid, SIGHUP), 'it catches signals');
      await new Promise((resolve) => setTimeout(resolve, afterMs));
      child.kill('SIGTERM');
      expect(await ended, `after ${afterMs} ms`).toBe(0);
    }
  });

  test('that comes once more while it drains ends it at once', async () => {
    const { child, gateway, ended } = await gatewayProcess({ settings: { DRAIN_MS: '20000' } });
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
    const { child, gateway } = await gatewayProcess({ settings: { TRUSTED_DOCUMENTS: file } });
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
