import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { describe, expect, onTestFinished, test } from 'vitest';
import { WebSocket } from 'ws';
import type { Gateway } from '../src/app/gateway.ts';
import { type ContractUpdate, Inbox, UPDATES, wsClient } from './kit/clients.ts';
import { testGateway, until } from './kit/gateway.ts';

interface Ended {
  readonly code: number | null;
  readonly stdout: string[];
  readonly stderr: string;
}

/** The built program, as `npm start` runs it. */
class Program {
  readonly child: ChildProcess;
  readonly ended: Promise<Ended>;
  readonly #lines: string[] = [];

  constructor(script: string, args: string[], environment: Record<string, string> = {}) {
    const { PATH = '' } = process.env;
    this.child = spawn(process.execPath, [script, ...args], { env: { PATH, ...environment } });
    let stderr = '';
    this.child.stderr?.on('data', (chunk) => {
      stderr += chunk;
    });
    if (this.child.stdout) {
      createInterface({ input: this.child.stdout }).on('line', (line) => this.#lines.push(line));
    }
    this.ended = new Promise((resolve) => {
      this.child.on('close', (code) => resolve({ code, stdout: this.#lines, stderr }));
    });
    onTestFinished(() => void this.child.kill('SIGKILL'));
  }

  /** Waits for a line of the log that says `text`. */
  async line(text: string): Promise<string> {
    await until(() => this.#lines.some((line) => line.includes(text)), `the log says ${text}`);
    return this.#lines.find((line) => line.includes(text)) ?? '';
  }
}

async function started(environment: Record<string, string> = {}): Promise<[Program, Gateway]> {
  const program = new Program('dist/main.js', ['--port', '0'], environment);
  const { url } = JSON.parse(await program.line('listening on'));
  return [program, { url } as Gateway];
}

describe('the gateway as a process', () => {
  test('starts without a setting, says that its data is simulated, and logs JSON lines', async () => {
    const [program, gateway] = await started();
    await program.line('SIMULATED DATA');
    expect(await (await fetch(`${gateway.url}/health`)).json()).toEqual({ status: 'ok' });
    program.child.kill('SIGTERM');
    const { code, stdout, stderr } = await program.ended;
    expect(code).toBe(0);
    expect(stderr).toBe('');
    for (const line of stdout) expect(JSON.parse(line)).toHaveProperty('level');
  });

  test.each(['SIGTERM', 'SIGINT'] as const)(
    'stops on %s: closes its clients with a code they come back on, and exits 0',
    async (signal) => {
      const [program, gateway] = await started();
      const socket = new WebSocket(
        `${gateway.url.replace('http', 'ws')}/graphql`,
        'graphql-transport-ws',
      );
      const closed = new Promise<number>((resolve) => socket.on('close', resolve));
      const client = wsClient(gateway, { retryAttempts: 0 });
      const inbox = new Inbox<ContractUpdate>(client, UPDATES, { names: ['Gold Bar DE05'] });
      await inbox.until(({ values }) => values.length > 1, 'updates flow');
      const query = encodeURIComponent('subscription { contractUpdates(ids: [7]) { id } }');
      const sse = await fetch(`${gateway.url}/graphql?query=${query}`, {
        headers: { accept: 'text/event-stream' },
      });
      const stoppedMs = performance.now();
      program.child.kill(signal);
      expect(await closed).toBe(1012);
      await expect(sse.text()).rejects.toThrow();
      expect((await program.ended).code).toBe(0);
      expect(performance.now() - stoppedMs).toBeLessThan(5_000);
      expect(inbox.completed).toBe(false);
    },
  );

  test('stops with the npm start that a supervisor stops', async () => {
    const { PATH = '', HOME = '' } = process.env;
    // Without the build before it, which would write the files that other tests run.
    const child = spawn('npm', ['start', '--ignore-scripts', '--', '--port', '0'], {
      env: { PATH, HOME },
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    onTestFinished(() => void child.kill('SIGKILL'));
    const lines = createInterface({ input: child.stdout });
    const url = await new Promise<string>((resolve) => {
      lines.on(
        'line',
        (line) => line.startsWith('{"level"') && resolve(JSON.parse(line).url ?? ''),
      );
    });
    expect((await fetch(`${url}/health`)).status).toBe(200);
    const stopped = new Promise<void>((resolve) => lines.on('close', resolve));
    child.kill('SIGTERM');
    await stopped;
    await expect(fetch(`${url}/health`)).rejects.toThrow();
  });

  test('lists every bad setting and exits with 2', async () => {
    const program = new Program('dist/main.js', ['--nonsense', '--ime-linger-ms', 'x'], {
      PORT: 'abc',
    });
    const { code, stdout, stderr } = await program.ended;
    expect(code).toBe(2);
    expect(stdout).toEqual([]);
    expect(stderr.trim().split('\n')).toEqual([
      '--nonsense: expected one of the flags of --help, got an unknown one',
      'PORT: expected a whole number from 0 to 65535, got "abc"',
      'IME_LINGER_MS: expected a whole number from 0 to 86400000, got "x"',
    ]);
  });

  test('prints its help and its configuration', async () => {
    const help = await new Program('dist/main.js', ['--help']).ended;
    expect(help.code).toBe(0);
    expect(help.stdout.join('\n')).toContain(
      'IME_MAX_CONTRACTS_PER_SOCKET, --ime-max-contracts-per-socket',
    );
    const secret = { IME_TOKEN: 'a-secret' };
    const printed = await new Program('dist/main.js', ['--print-config'], secret).ended;
    expect(printed.code).toBe(0);
    expect(printed.stdout).toContain('PORT=4000');
    expect(printed.stdout.join()).not.toContain('a-secret');
  });

  test('says so when its port is taken, and exits with 1', async () => {
    const gateway = await testGateway();
    const program = new Program('dist/main.js', ['--port', String(gateway.address.port)]);
    const { code, stdout } = await program.ended;
    expect(code).toBe(1);
    expect(JSON.parse(stdout.at(-1) ?? '')).toMatchObject({ level: 'fatal', code: 'EADDRINUSE' });
  });
});

test('the simulator runs alone and serves a gateway that points at it', async () => {
  const simulator = new Program('dist/simulator/main.js', [
    '--port',
    '0',
    '--simulator-token',
    'good',
  ]);
  const url = (await simulator.line('SIMULATED DATA at')).split(' at ')[1] ?? '';
  const gateway = await testGateway({ IME_URL: url, IME_TOKEN: 'good' });
  const inbox = new Inbox<ContractUpdate>(wsClient(gateway), UPDATES, { ids: ['007'] });
  await inbox.until(
    ({ values }) => values.at(-1)?.contractUpdates.status === 'LIVE',
    'the contract is live',
  );
  expect(gateway.report().upstream.mode).toBe('IME');
  simulator.child.kill('SIGTERM');
  expect((await simulator.ended).code).toBe(0);
  await inbox.until(
    ({ values }) => values.at(-1)?.contractUpdates.status === 'STALE',
    'the contract is stale',
  );
});
