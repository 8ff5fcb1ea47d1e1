import type { Socket } from 'node:net';

/** An HTTP answer in place of every handshake. */
export interface FaultAnswer {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

/** What can go wrong with an exchange, for tests to switch on and off while it runs. */
export class ExchangeFaults {
  /** Answers every handshake with this. */
  answer: FaultAnswer | undefined;
  /** Longer request targets are answered with 414, in bytes. */
  maxTargetBytes = Number.POSITIVE_INFINITY;
  /** How long after the handshake a refusal comes, in milliseconds. */
  refuseAfterMs = 0;
  /** Breaks every new connection so long after its handshake, in milliseconds. */
  dieOnOpenMs: number | undefined;
  readonly #connections = new Set<Socket>();
  readonly #timers = new Set<NodeJS.Timeout>();
  #asleep: 'awake' | 'frozen' | 'cut' = 'awake';
  #backlog: (() => void)[] = [];

  /** Says and reads nothing any more, as a stopped process; {@link thaw} then lets out all of it. */
  freeze(): void {
    this.#sleep('frozen');
  }

  /** Loses everything in both directions, as a cut path; connections stay open on this side. */
  cut(): void {
    this.#sleep('cut');
  }

  /** Ends a {@link freeze} or {@link cut}. Connections of a cut path never come back to life. */
  thaw(): void {
    const wasCut = this.#asleep === 'cut';
    this.#asleep = 'awake';
    for (const socket of this.#connections) {
      if (wasCut) socket.destroy();
      else socket.resume();
    }
    const backlog = this.#backlog;
    this.#backlog = [];
    for (const run of backlog) run();
  }

  /** Runs `run` now, or when the exchange is awake again; never where the path is cut. */
  whenAwake(run: () => void): void {
    if (this.#asleep === 'awake') run();
    else if (this.#asleep === 'frozen') this.#backlog.push(run);
  }

  /** Runs `run` in a while, unless the exchange is closed before. */
  after(ms: number, run: () => void): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      run();
    }, ms);
    this.#timers.add(timer);
  }

  /** Takes note of a connection, for the faults that concern all of them. */
  watch(socket: Socket): void {
    this.#connections.add(socket);
    socket.on('close', () => this.#connections.delete(socket));
    if (this.#asleep !== 'awake') socket.pause();
  }

  /** Ends what is waiting. */
  clear(): void {
    for (const timer of this.#timers) clearTimeout(timer);
    this.#timers.clear();
    this.#backlog = [];
    this.#asleep = 'awake';
  }

  #sleep(how: 'frozen' | 'cut'): void {
    this.#asleep = how;
    for (const socket of this.#connections) socket.pause();
  }
}
