import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { Config } from '../../src/config/command-line.ts';
import type { GatewayReport } from '../../src/schema/report.ts';

/** The heap that the gateway has, in MiB. */
const HEAP_MB = 1_024;
/** What the yardstick takes on an idle machine of 2026 with 2 cores, in milliseconds. */
const YARDSTICK_MS = 40;
const PROCESS = fileURLToPath(new URL('attacked-process.ts', import.meta.url));

/** What a gateway under attack has used. */
export interface AttackedUsage {
  /** CPU time since its start, of all its threads. */
  readonly cpuMs: number;
  /** What is reachable, on the heap and beside it; only exact where it was collected before. */
  readonly liveBytes: number;
  /** The highest values since the last question. */
  readonly mostRssBytes: number;
  readonly mostBufferBytes: number;
  readonly worstStallMs: number;
  readonly report: GatewayReport;
  /** Lines of its log at level error or above: each is a fault of the gateway. */
  readonly faults: readonly string[];
}

/** What the process is asked. */
export interface AttackedQuestion {
  readonly number: number;
  readonly ask: 'usage' | 'live usage' | 'yardstick' | 'set clock' | 'reload';
  /** For `set clock`: how far ahead of the true time it goes from now on, in milliseconds. */
  readonly byMs?: number | undefined;
}

/** What the process says. */
export interface AttackedAnswer {
  readonly url?: string;
  readonly number?: number;
  readonly usage?: AttackedUsage;
  readonly yardstickMs?: number;
}

/** A gateway in a process of its own with a heap of 1 GiB. */
export class Attacked {
  readonly url: string;
  readonly #child: ChildProcess;
  readonly #waiting: Map<number, (answer: AttackedAnswer) => void>;
  #asked = 0;
  #end: string | undefined;

  private constructor(url: string, child: ChildProcess) {
    this.url = url;
    this.#child = child;
    this.#waiting = new Map();
    child.on('message', (answer: AttackedAnswer) => {
      this.#waiting.get(answer.number ?? 0)?.(answer);
      this.#waiting.delete(answer.number ?? 0);
    });
    child.on('exit', (code, signal) => {
      this.#end = `the gateway's process has ended: ${signal ?? code}`;
      for (const answer of this.#waiting.values()) answer({});
    });
  }

  /** Starts one. @throws where it ends before it listens */
  static async start(settings: Partial<Record<keyof Config, string>>): Promise<Attacked> {
    const { PATH = '' } = process.env;
    const flags = ['--expose-gc', `--max-old-space-size=${HEAP_MB}`, '--import', 'tsx'];
    const child = spawn(process.execPath, [...flags, PROCESS], {
      env: { PATH, ...settings },
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    });
    let said = '';
    child.stderr?.on('data', (text) => {
      said = (said + text).slice(-2_000);
    });
    const url = await new Promise<string>((resolve, reject) => {
      child.once('message', (answer: AttackedAnswer) => resolve(answer.url ?? ''));
      child.once('exit', () => reject(new Error(`the gateway did not start: ${said}`)));
    });
    return new Attacked(url, child);
  }

  get port(): number {
    return Number(new URL(this.url).port);
  }

  /** Why it is no longer there; `undefined` while it lives. */
  get end(): string | undefined {
    return this.#end;
  }

  /** What it has used; with `live` everything that is not reachable is collected first. */
  async usage(live = false): Promise<AttackedUsage> {
    const { usage } = await this.#ask(live ? 'live usage' : 'usage');
    if (usage === undefined) throw new Error(this.#end);
    return usage;
  }

  /**
   * How slow its machine is now, and at least 1: what a piece of work takes that is always the same, to what it
   * takes where the bounds of CPU time were measured.
   */
  async slowness(): Promise<number> {
    const { yardstickMs } = await this.#ask('yardstick');
    if (yardstickMs === undefined) throw new Error(this.#end);
    return Math.max(1, yardstickMs / YARDSTICK_MS);
  }

  /** Sets the time of day of its machine. */
  async setClock(aheadByMs: number): Promise<void> {
    await this.#ask('set clock', aheadByMs);
  }

  /** Has it read its files anew. */
  async reload(): Promise<void> {
    await this.#ask('reload');
  }

  async close(): Promise<void> {
    if (this.#end !== undefined) return;
    const ended = new Promise((resolve) => this.#child.once('exit', resolve));
    this.#child.kill('SIGKILL');
    await ended;
  }

  #ask(ask: AttackedQuestion['ask'], byMs?: number): Promise<AttackedAnswer> {
    if (this.#end !== undefined) return Promise.reject(new Error(this.#end));
    const number = ++this.#asked;
    return new Promise((resolve) => {
      this.#waiting.set(number, resolve);
      this.#child.send({ number, ask, byMs } satisfies AttackedQuestion);
    });
  }
}
