import { type ChildProcess, type StdioOptions, spawn } from 'node:child_process';
import { type AddressInfo, createServer } from 'node:net';
import { onTestFinished } from 'vitest';
import type { Gateway } from '../../src/app/gateway.ts';
import { until } from './gateway.ts';

/** A port that nobody else has just now. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** The built gateway as a process. */
export interface GatewayProcess {
  readonly child: ChildProcess;
  readonly gateway: Gateway;
  /** Its exit code; `null` where a signal ended it. */
  readonly ended: Promise<number | null>;
}

/** What a gateway that is a process is started with. */
export interface ProcessOptions {
  readonly settings?: Record<string, string>;
  /** Where its log goes. */
  readonly stdout?: number | 'pipe';
  /** How many files it may have open. */
  readonly files?: number;
  /** JavaScript that runs in it before its own. */
  readonly preload?: string;
}

/** Starts a gateway as a process, whose port may not be open yet. */
export async function spawnGateway({
  settings = {},
  stdout = 'pipe',
  files,
  preload,
}: ProcessOptions = {}): Promise<GatewayProcess> {
  const port = await freePort();
  const { PATH = '' } = process.env;
  const program = [
    ...(preload === undefined
      ? []
      : ['--import', `data:text/javascript,${encodeURIComponent(preload)}`]),
    'dist/main.js',
    '--port',
    String(port),
  ];
  const options = {
    env: { PATH, LOG_LEVEL: 'debug', DRAIN_MS: '0', ...settings },
    stdio: ['ignore', stdout, 'inherit'] satisfies StdioOptions,
  };
  const child =
    files === undefined
      ? spawn(process.execPath, program, options)
      : spawn(
          'bash',
          ['-c', `ulimit -n ${files}; exec "$@"`, '-', process.execPath, ...program],
          options,
        );
  onTestFinished(() => void child.kill('SIGKILL'));
  const ended = new Promise<number | null>((resolve) =>
    child.once('exit', (code) => resolve(code)),
  );
  return { child, gateway: { url: `http://127.0.0.1:${port}` } as Gateway, ended };
}

/** Starts a gateway as a process, and waits until it serves. */
export async function gatewayProcess(options: ProcessOptions = {}): Promise<GatewayProcess> {
  const started = await spawnGateway(options);
  await untilServed(started.gateway.url);
  return started;
}

/** Waits until a gateway that is a process serves. */
export async function untilServed(url: string): Promise<void> {
  let isUp = false;
  const asking = setInterval(() => {
    fetch(`${url}/health`).then(
      () => {
        isUp = true;
      },
      () => {},
    );
  }, 50);
  try {
    await until(() => isUp, 'it serves');
  } finally {
    clearInterval(asking);
  }
}

/** Makes the gateway say more than a pipe holds. */
export async function makeItTalk(url: string): Promise<void> {
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

/** How many lines of its log a gateway could not write. */
export async function lostLines(url: string): Promise<number> {
  const text = await (await fetch(`${url}/metrics`)).text();
  return Number(/^ime_gateway_log_lines_lost_total (\d+)$/m.exec(text)?.[1]);
}
