import { type ChildProcess, fork, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { onServerCore } from './cores.ts';
import { previous } from './options.ts';
import type { UpstreamCommand } from './upstream.ts';

/** Clock ticks of /proc in a second. Source: `getconf CLK_TCK` on Linux. */
const TICKS_PER_SECOND = 100;

/** The servers that are compared. */
export type ServerKind = 'gateway' | 'previous' | 'relay' | 'yoga' | 'mercurius';

/** The Node that servers under test are started with. */
let node = process.execPath;

/** From now on servers under test are started with another Node. */
export function useNode(path: string): void {
  node = path;
}

/** The Node that servers under test are started with. */
export function usedNode(): string {
  return node;
}

const script = (name: string) => fileURLToPath(new URL(name, import.meta.url));
const production = { ...process.env, NODE_ENV: 'production' };

/** What a process holds once nothing is left to collect, in bytes. */
export interface HeldMemory {
  /** What is in use of the JavaScript heap, and outside of it for JavaScript. */
  readonly heldBytes: number;
  readonly residentBytes: number;
}

// Loaded into every server: tells its memory when asked. What one collection finalises frees more in the next.
const MEMORY_PROBE = `data:text/javascript,
  process.on('message', (message) => {
    if (message !== 'memory') return;
    for (let round = 0; round < 3; round++) gc();
    const { heapUsed, external, rss } = process.memoryUsage();
    process.send({ heldBytes: heapUsed + external, residentBytes: rss });
  });`;

/** The upstream process. */
export class UpstreamProcess {
  readonly #child: ChildProcess;
  readonly url: string;

  private constructor(child: ChildProcess, url: string) {
    this.#child = child;
    this.url = url;
  }

  static async start(): Promise<UpstreamProcess> {
    const child = fork(script('upstream.ts'), { execArgv: ['--import', 'tsx'] });
    const url = await new Promise<string>((resolve) =>
      child.once('message', (message) => resolve((message as { url: string }).url)),
    );
    return new UpstreamProcess(child, url);
  }

  publish(command: UpstreamCommand): void {
    this.#child.send(command);
  }

  stop(): void {
    this.#child.kill();
  }
}

/** A server under test in a process of its own. */
export class ServerProcess {
  readonly #child: ChildProcess;

  private constructor(
    child: ChildProcess,
    readonly port: number,
  ) {
    this.#child = child;
  }

  static async start(
    kind: ServerKind,
    upstreamUrl: string,
    names: readonly string[],
    settings: Readonly<Record<string, string>> = {},
  ): Promise<ServerProcess> {
    const child =
      kind === 'gateway' || kind === 'previous'
        ? spawnServer(
            [kind === 'gateway' ? script('../dist/main.js') : `${previous}/dist/main.js`],
            'pipe',
            {
              PORT: '0',
              AUTH: 'none',
              IME_URL: upstreamUrl,
              IME_PINNED_NAMES: names.join(','),
              MAX_OPERATIONS_PER_SECOND: '1000000',
              MAX_OPERATIONS_PER_SECOND_PER_PRINCIPAL: '1000000',
              // A client that stops for a minute is measured, not closed.
              CLIENT_STALL_MS: '600000',
              ...settings,
            },
          )
        : spawnServer(['--import', 'tsx', script('baselines.ts')], 'inherit', {
            BASELINE: kind,
            UPSTREAM: upstreamUrl,
            NAMES: names.join(','),
          });
    if (child.stdout !== null) return new ServerProcess(child, await portOfGateway(child.stdout));
    const port = await new Promise<number>((resolve) =>
      child.once('message', (message) => resolve((message as { port: number }).port)),
    );
    return new ServerProcess(child, port);
  }

  /** What the process holds once its garbage is collected. */
  memory(): Promise<HeldMemory> {
    return new Promise((resolve) => {
      this.#child.once('message', (message) => resolve(message as HeldMemory));
      this.#child.send('memory');
    });
  }

  /** CPU time used so far, user and system, in seconds. Source: proc(5), `/proc/pid/stat`. */
  cpuSeconds(): number {
    const stat = readFileSync(`/proc/${this.#child.pid}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
  }

  /** The value of one of the gateway's metrics. */
  async metric(name: string): Promise<number> {
    const text = await (await fetch(`http://127.0.0.1:${this.port}/metrics`)).text();
    return Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(text)?.[1]);
  }

  stop(): void {
    this.#child.kill('SIGKILL');
  }
}

function spawnServer(
  script: readonly string[],
  stdout: 'pipe' | 'inherit',
  settings: Readonly<Record<string, string>>,
): ChildProcess {
  const probe = ['--expose-gc', '--import', MEMORY_PROBE];
  const [command, args] = onServerCore(node, [...probe, ...script]);
  return spawn(command, args, {
    env: { ...production, ...settings },
    stdio: ['ignore', stdout, 'inherit', 'ipc'],
  });
}

/** The port that the gateway's log names. */
async function portOfGateway(log: Readable): Promise<number> {
  for await (const line of createInterface({ input: log })) {
    const { url } = JSON.parse(line) as { url?: string };
    if (url) return Number(new URL(url).port);
  }
  throw new Error('the gateway did not start');
}
