import { type ChildProcess, fork, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { UpstreamCommand } from './upstream.ts';

/** Clock ticks of /proc in a second. Source: `getconf CLK_TCK` on Linux. */
const TICKS_PER_SECOND = 100;

/** The servers that are compared. */
export type ServerKind = 'gateway' | 'relay' | 'yoga' | 'mercurius';

const script = (name: string) => fileURLToPath(new URL(name, import.meta.url));
const production = { ...process.env, NODE_ENV: 'production' };

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
    if (kind === 'gateway') {
      const child = spawn(
        process.execPath,
        [fileURLToPath(new URL('../dist/main.js', import.meta.url))],
        {
          env: {
            ...production,
            PORT: '0',
            AUTH: 'none',
            IME_URL: upstreamUrl,
            IME_PINNED_NAMES: names.join(','),
            MAX_OPERATIONS_PER_SECOND: '1000000',
            // A client that stops for a minute is measured, not closed.
            CLIENT_STALL_MS: '600000',
            ...settings,
          },
          stdio: ['ignore', 'pipe', 'inherit'],
        },
      );
      for await (const line of createInterface({ input: child.stdout })) {
        const { url } = JSON.parse(line) as { url?: string };
        if (url) return new ServerProcess(child, Number(new URL(url).port));
      }
      throw new Error('the gateway did not start');
    }
    const child = fork(script('baselines.ts'), {
      execArgv: ['--import', 'tsx'],
      env: { ...production, BASELINE: kind, UPSTREAM: upstreamUrl, NAMES: names.join(',') },
    });
    const port = await new Promise<number>((resolve) =>
      child.once('message', (message) => resolve((message as { port: number }).port)),
    );
    return new ServerProcess(child, port);
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

  /** Resident memory, in bytes. */
  residentBytes(): number {
    const status = readFileSync(`/proc/${this.#child.pid}/status`, 'utf8');
    return Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1]) * 1_024;
  }

  stop(): void {
    this.#child.kill('SIGKILL');
  }
}
