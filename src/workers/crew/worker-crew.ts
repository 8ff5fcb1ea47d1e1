import cluster, { type Worker } from 'node:cluster';
import { backoffMs } from '../../lib/backoff.ts';
import type { Logger } from '../../observability/log.ts';
import type { Channel } from '../link/channel.ts';

/** What a worker is told by its environment: where the first process is, and which of its workers it is. */
export const PRIMARY_VARIABLE = 'IME_GATEWAY_PRIMARY';
export const WORKER_VARIABLE = 'IME_GATEWAY_WORKER';

/** A stop that takes a worker longer than its drain and this ends it at once. */
const STOP_TIMEOUT_MS = 3_000;
/** So long after its start a worker that dies has not died of its start. */
const SOUND_MS = 10_000;

/** Where a worker listens, as it says once it does. */
export interface WorkerAddress {
  readonly address: string;
  readonly family: string;
  readonly port: number;
}

/** A worker could not start, and has said why. */
export class WorkerNotStarted extends Error {
  override readonly name = 'WorkerNotStarted';

  /** @param exitCode its own */
  constructor(readonly exitCode: number) {
    super('a worker could not start');
  }
}

/** One process of the crew. */
interface Member {
  /** Which of the workers it is, from 1. */
  readonly number: number;
  readonly process: Worker;
  readonly startedAtMs: number;
  readonly ended: Promise<number>;
  readonly ready: Promise<WorkerAddress>;
  readonly becomeReady: (address: WorkerAddress) => void;
  channel: Channel | undefined;
  state: 'starting' | 'serving' | 'leaving';
}

/** The processes that share the port: started, started again where they die, replaced and stopped. */
export class WorkerCrew {
  readonly #size: number;
  readonly #log: Logger;
  readonly #members = new Set<Member>();
  readonly #retries = new Map<number, { tries: number; timer: NodeJS.Timeout | undefined }>();
  #environment: Record<string, string> = {};
  #state: 'starting' | 'running' | 'rolling' | 'stopping' = 'starting';

  constructor(size: number, log: Logger) {
    this.#size = size;
    this.#log = log;
  }

  /**
   * Starts every worker, the first before the others: what is wrong with the configuration is said once.
   *
   * @param path of the socket at which workers find this process
   * @returns where they listen
   * @throws WorkerNotStarted where one ends before it serves
   */
  async start(path: string): Promise<WorkerAddress> {
    this.#environment = { [PRIMARY_VARIABLE]: path };
    cluster.schedulingPolicy = cluster.SCHED_RR;
    const address = await this.#started(1);
    const others = Array.from({ length: this.#size - 1 }, (_, at) => this.#started(at + 2));
    await Promise.all(others);
    if (this.#state === 'starting') this.#state = 'running';
    return address;
  }

  /** A process has come to the socket and says which worker it is. */
  came(channel: Channel): void {
    channel.answers('hello', ({ pid }: { pid: number }) => {
      for (const member of this.#members) {
        if (member.process.process.pid === pid) member.channel = channel;
      }
    });
    channel.answers('ready', (address: WorkerAddress) => {
      for (const member of this.#members)
        if (member.channel === channel) member.becomeReady(address);
    });
  }

  /** The channels of all processes, those that are about to go too. */
  get channels(): Channel[] {
    return [...this.#members].flatMap(({ channel }) => channel ?? []);
  }

  /**
   * Replaces one worker after the other: the next listens before the last takes no more connections.
   *
   * @param drainMs over how long each closes its clients, in milliseconds
   */
  async roll(drainMs: number): Promise<void> {
    if (this.#state !== 'running') {
      this.#log.warn('the workers are not replaced: that, or a stop, is under way');
      return;
    }
    this.#state = 'rolling';
    this.#log.info({ workers: this.#size }, 'replacing the workers');
    try {
      for (let number = 1; number <= this.#size && this.#isRolling(); number++) {
        const last = [...this.#members].filter((member) => member.number === number);
        await this.#started(number);
        for (const member of last) member.state = 'leaving';
        await Promise.all(last.map((member) => this.#stop(member, drainMs, true)));
      }
      this.#log.info('the workers are replaced');
    } catch (error) {
      if (this.#isRolling()) {
        this.#log.error({ error }, 'a new worker could not start: the others stay');
      }
    } finally {
      if (this.#isRolling()) this.#state = 'running';
    }
  }

  /**
   * Stops every worker, and ends those that do not.
   *
   * @param drainMs over how long they close their clients, in milliseconds
   */
  async stop(drainMs: number): Promise<void> {
    this.#state = 'stopping';
    for (const { timer } of this.#retries.values()) clearTimeout(timer);
    const members = [...this.#members];
    for (const member of members) member.state = 'leaving';
    await Promise.all(members.map((member) => this.#stop(member, drainMs, false)));
  }

  /** Ends every worker at once. */
  kill(): void {
    this.#state = 'stopping';
    for (const { process } of this.#members) process.process.kill('SIGKILL');
  }

  #isRolling(): boolean {
    return this.#state === 'rolling';
  }

  /** Starts a worker and waits until it serves. @throws WorkerNotStarted where it ends before */
  async #started(number: number): Promise<WorkerAddress> {
    const member = this.#fork(number);
    const failed = member.ended.then((code): never => {
      throw new WorkerNotStarted(code);
    });
    failed.catch(() => {});
    const address = await Promise.race([member.ready, failed]);
    if (member.state === 'starting') member.state = 'serving';
    this.#log.info({ worker: number, pid: member.process.process.pid }, 'a worker serves');
    return address;
  }

  #fork(number: number): Member {
    const process = cluster.fork({ ...this.#environment, [WORKER_VARIABLE]: String(number) });
    let becomeReady: Member['becomeReady'] = () => {};
    const ready = new Promise<WorkerAddress>((resolve) => {
      becomeReady = resolve;
    });
    const ended = new Promise<number>((resolve) => {
      process.once('exit', (code: number | null) => resolve(code ?? 1));
    });
    const member: Member = {
      number,
      process,
      startedAtMs: performance.now(),
      ended,
      ready,
      becomeReady,
      channel: undefined,
      state: 'starting',
    };
    this.#members.add(member);
    process.on('error', (error) => this.#log.error({ error, worker: number }, 'a worker failed'));
    process.once('exit', (code: number | null, signal: string | null) => {
      this.#ended(member, code, signal);
    });
    return member;
  }

  #ended(member: Member, code: number | null, signal: string | null): void {
    this.#members.delete(member);
    member.channel?.close();
    const { number } = member;
    if (member.state === 'leaving' || this.#state === 'stopping') {
      this.#log.debug({ worker: number, code, signal }, 'a worker has ended');
      return;
    }
    // Whoever started it hears of it.
    if (member.state === 'starting') return;
    this.#log.error({ worker: number, code, signal }, 'a worker has died: it is started again');
    const wasSound = performance.now() - member.startedAtMs > SOUND_MS;
    this.#restart(number, wasSound ? 0 : (this.#retries.get(number)?.tries ?? 0));
  }

  /** @param tries how many of its kind have died soon after their start */
  #restart(number: number, tries: number): void {
    const timer = setTimeout(
      () => {
        if (this.#state === 'stopping') return;
        this.#started(number).then(
          () => {},
          (error: unknown) => {
            if (this.#state === 'stopping') return;
            this.#log.error({ error, worker: number }, 'a worker could not be started again');
            this.#restart(number, tries + 1);
          },
        );
      },
      tries === 0 ? 0 : backoffMs(tries - 1, false),
    );
    this.#retries.set(number, { tries: tries + 1, timer });
  }

  async #stop(member: Member, drainMs: number, handsOver: boolean): Promise<void> {
    const kill = setTimeout(() => {
      this.#log.error({ worker: member.number }, 'a worker did not stop: it is ended');
      member.process.process.kill('SIGKILL');
    }, drainMs + STOP_TIMEOUT_MS);
    if (member.channel?.isOpen) member.channel.tell('stop', { drainMs, handsOver });
    else member.process.process.kill('SIGTERM');
    await member.ended;
    clearTimeout(kill);
  }
}
