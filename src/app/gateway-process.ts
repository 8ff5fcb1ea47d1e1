import { SettingFault } from '../access/refused.ts';
import type { Config } from '../config/command-line.ts';
import type { Logger, ProcessLog } from '../observability/log.ts';
import { WorkerNotStarted } from '../workers/crew/worker-crew.ts';
import { type GatewayParts, type RunningGateway, VERSION } from './gateway.ts';
import type { StopOrder } from './worker.ts';

/** The exit code of a setting that cannot be used. */
export const EXIT_BAD_SETTING = 2;
/** A start that is to stop serves nobody yet: how long its end is waited for. */
const START_TIMEOUT_MS = 5_000;
/** A stop that takes longer than the drain and this is given up. */
const STOP_TIMEOUT_MS = 10_000;
/** The same where the gateway itself has failed: over how long it drains at most, and what may follow. */
const FAULT_DRAIN_MS = 3_000;
const FAULT_TIMEOUT_MS = 1_500;
/** How long the last lines of the log are waited for, and how long a write that the system holds up. */
const FLUSH_MS = 500;
const STUCK_MS = 2_000;

/** What runs in a process: a gateway of its own, or its part of one. */
export interface ProcessRole {
  /** @param stop has the process stop, as a signal does that comes once */
  start(
    log: Logger,
    parts: GatewayParts,
    stop: (order: StopOrder) => void,
  ): Promise<RunningGateway>;
  /** Whether it says where it listens. */
  readonly announces: boolean;
}

/** A gateway that is a process: its signals, its faults, and its end. */
export class GatewayProcess {
  readonly #role: ProcessRole;
  readonly #config: Config;
  readonly #output: ProcessLog;
  #state: 'starting' | 'running' | 'stopping' | 'ending' = 'starting';
  #gateway: RunningGateway | undefined;
  #exitCode = 0;
  #giveUp: NodeJS.Timeout | undefined;

  constructor(role: ProcessRole, config: Config, output: ProcessLog) {
    this.#role = role;
    this.#config = config;
    this.#output = output;
  }

  /** Starts the gateway, which runs until a signal or a fault of its own stops it. */
  async start(): Promise<void> {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) {
      process.on(signal, () => this.#signalled(signal));
    }
    process.on('SIGHUP', () => this.#gateway?.reload());
    process.on('SIGUSR2', () => void this.#gateway?.roll?.());
    for (const event of ['uncaughtException', 'unhandledRejection'] as const) {
      process.on(event, (error: unknown) => this.#failed(error));
    }
    const { log, lost } = this.#output;
    try {
      const stop = (order: StopOrder) => this.#ordered(order);
      this.#gateway = await this.#role.start(log, { lostLines: lost }, stop);
    } catch (error) {
      this.#cannotStart(error);
      return;
    }
    if (this.#state === 'starting') {
      this.#state = 'running';
      if (this.#role.announces) this.#announce(this.#gateway);
    } else {
      this.#stop(this.#config.DRAIN_MS, STOP_TIMEOUT_MS);
    }
  }

  #signalled(signal: NodeJS.Signals): void {
    if (this.#state === 'stopping' || this.#state === 'ending') {
      // Whoever asks twice does not want to wait.
      this.#end(this.#exitCode);
      return;
    }
    const wasRunning = this.#state === 'running';
    this.#state = 'stopping';
    const drainMs = this.#config.DRAIN_MS;
    this.#output.log.info({ signal, drainMs }, 'stopping');
    if (wasRunning) this.#stop(drainMs, STOP_TIMEOUT_MS);
    // A start that is under way is let come to its end, and stopped then.
    else this.#giveUp = setTimeout(() => this.#end(0), START_TIMEOUT_MS);
  }

  /** Whoever it belongs to has it stop; where a signal has done that already, it goes on as it is. */
  #ordered({ drainMs, handsOver }: StopOrder): void {
    if (this.#state === 'stopping' || this.#state === 'ending') return;
    const wasRunning = this.#state === 'running';
    this.#state = 'stopping';
    if (wasRunning) this.#stop(drainMs, STOP_TIMEOUT_MS, handsOver);
    else this.#end(0);
  }

  /**
   * A fault that nobody has caught may have left anything behind: the gateway ends, but closes its clients so
   * that they come back. One more, or one at another time, is not waited for.
   */
  #failed(error: unknown): void {
    const wasRunning = this.#state === 'running';
    this.#exitCode = 1;
    this.#output.log.fatal({ error }, 'a fault of the gateway: it ends');
    if (!wasRunning) {
      this.#end(1);
      return;
    }
    this.#state = 'stopping';
    this.#stop(Math.min(this.#config.DRAIN_MS, FAULT_DRAIN_MS), FAULT_TIMEOUT_MS);
  }

  #cannotStart(error: unknown): void {
    if (error instanceof WorkerNotStarted) {
      // It has said why itself.
      this.#end(error.exitCode);
      return;
    }
    if (error instanceof SettingFault) {
      process.stderr.write(`${error.message}\n`);
      this.#end(EXIT_BAD_SETTING);
      return;
    }
    const { code, message } = error as NodeJS.ErrnoException;
    this.#output.log.fatal({ code }, `the gateway cannot start: ${message}`);
    this.#end(1);
  }

  #stop(drainMs: number, timeoutMs: number, handsOver = false): void {
    clearTimeout(this.#giveUp);
    this.#giveUp = setTimeout(() => {
      this.#output.log.error('the stop took too long');
      this.#end(1);
    }, drainMs + timeoutMs);
    this.#gateway?.close(drainMs, handsOver).then(
      () => {
        this.#output.log.info('stopped');
        this.#end(this.#exitCode);
      },
      (error: unknown) => this.#failed(error),
    );
  }

  /** Ends the process, with the log written as far as that can be. */
  #end(code: number): void {
    if (this.#state === 'ending') return;
    this.#state = 'ending';
    clearTimeout(this.#giveUp);
    this.#gateway?.kill?.();
    this.#exitCode = code;
    void this.#flushed().then((isWritten) => {
      // The end of a process waits for its writes; where the system holds one up, only this ends it.
      if (!isWritten) process.kill(process.pid, 'SIGKILL');
      process.exit(code);
    });
  }

  /** Waits for the log. @returns false where the system still holds up a write */
  async #flushed(): Promise<boolean> {
    await this.#output.flush(FLUSH_MS);
    if (this.#output.isWriting()) await this.#output.flush(STUCK_MS);
    return !this.#output.isWriting();
  }

  #announce(gateway: RunningGateway): void {
    const { log, tell } = this.#output;
    const { mode, upstreamUrl: imeUrl } = gateway;
    log.info({ url: gateway.url, version: VERSION, upstream: mode }, `listening on ${gateway.url}`);
    if (mode === 'IME') {
      log.info({ imeUrl }, `IME is at ${imeUrl}`);
      return;
    }
    if (mode === 'REPLAY') {
      log.warn(
        { imeUrl },
        'RECORDED DATA: every price comes from a recording, and is of another time',
      );
      return;
    }
    log.warn(
      'SIMULATED DATA: IME_URL is not set, so every price comes from the embedded simulator',
    );
    tell?.(
      framed([
        'SIMULATED DATA',
        'IME_URL is not set: every price is invented by the embedded simulator.',
        `Open ${gateway.url} for the market board, ${gateway.url}/graphql for GraphiQL.`,
      ]),
    );
  }
}

function framed(lines: readonly string[]): string {
  const width = Math.max(...lines.map((line) => line.length));
  const inside = lines.map((line) => `│ ${line.padEnd(width)} │`).join('\n');
  const bar = '─'.repeat(width + 2);
  return `\n┌${bar}┐\n${inside}\n└${bar}┘\n\n`;
}
