import { Load } from './load.ts';
import { SELECTION, sleep, subscriptionTo } from './measurement.ts';
import { type ServerKind, ServerProcess, UpstreamProcess } from './servers.ts';

/** A delivery is measured as it is after a minute's work: so many messages come before the first client. */
const WARM_UP_MESSAGES = 1_000;
const WARM_UP_EVERY_MS = 4;
/** A gateway takes a moment to have all its contracts carried, and longer for a thousand. */
const CARRIED_MS = 1_500;
const MANY_CARRIED_MS = 6_000;
const SETTLE_MS = 1_500;
const ATTEMPT_MS = 3_000;
const MOST_ATTEMPTS = 10;
/** Frames that have not arrived so long after they were due are lost. */
const LOST_AFTER_MS = 15_000;

/** What is delivered to whom. */
export interface Delivery {
  /** Contracts published together. */
  readonly together: number;
  readonly everyMs: number;
  readonly clients: number;
  /** How many different selections the clients have; 1 unless said otherwise. */
  readonly selections?: number;
  /** Whether each client adds a contract of its own that is never published. */
  readonly ownList?: boolean;
  /** Further clients, whose contract is never published. */
  readonly quietClients?: number;
}

/** What some publications have cost. */
export interface Spent {
  /** CPU time of the whole server process, user and system, in seconds. */
  readonly cpuSeconds: number;
  readonly frames: number;
  readonly messages: number;
  readonly latenciesMs: readonly number[];
}

/**
 * A server with an upstream and clients of its own, ready to deliver. Several of them can be there at once
 * on one core, where each costs nothing while nothing is published to it.
 */
export class Contender {
  readonly #delivery: Delivery;
  readonly #names: readonly string[];
  readonly #upstream: UpstreamProcess;
  readonly #server: ServerProcess;
  readonly #load = new Load();

  private constructor(
    delivery: Delivery,
    names: readonly string[],
    upstream: UpstreamProcess,
    server: ServerProcess,
  ) {
    this.#delivery = delivery;
    this.#names = names;
    this.#upstream = upstream;
    this.#server = server;
  }

  /**
   * Starts a server, has it read messages until its code is warm, and connects its clients.
   *
   * @throws Error where not every client comes to be subscribed
   */
  static async start(kind: ServerKind, delivery: Delivery): Promise<Contender> {
    const { together, clients, ownList = false } = delivery;
    const published = Array.from({ length: together }, (_, at) => `c${at}`);
    const quiet = ownList ? Array.from({ length: clients }, (_, at) => quietName(at)) : [];
    const upstream = await UpstreamProcess.start();
    const names = [...published, ...quiet, 'quiet'];
    const server = await ServerProcess.start(kind, upstream.url, names);
    const contender = new Contender(delivery, published, upstream, server);
    await sleep(ownList ? MANY_CARRIED_MS : CARRIED_MS);
    const everyMs = WARM_UP_EVERY_MS * together;
    upstream.publish({ names: published, everyMs, times: WARM_UP_MESSAGES / together });
    await sleep(WARM_UP_MESSAGES * WARM_UP_EVERY_MS);
    try {
      await contender.#connect(kind);
      await contender.#subscribed();
    } catch (error) {
      contender.close();
      throw error;
    }
    return contender;
  }

  /**
   * Publishes so many times and waits until every frame has come.
   *
   * @throws Error where frames are wrong, too many or lost
   */
  async deliver(times: number): Promise<Spent> {
    const { together, everyMs, clients } = this.#delivery;
    const messages = times * together;
    const due = messages * clients;
    this.#load.reset();
    const before = this.#server.cpuSeconds();
    this.#upstream.publish({ names: this.#names, everyMs, times });
    await sleep(times * everyMs);
    const lostAtMs = performance.now() + LOST_AFTER_MS;
    while (this.#load.received.frames < due && performance.now() < lostAtMs) await sleep(10);
    const cpuSeconds = this.#server.cpuSeconds() - before;
    const { frames, latenciesMs, wrong } = this.#load.received;
    if (wrong > 0) throw new Error(`${wrong} sampled frames are wrong`);
    if (frames !== due) throw new Error(`${frames} frames came of ${due}`);
    return { cpuSeconds, frames, messages, latenciesMs: [...latenciesMs] };
  }

  /** Ends the server, its upstream and its clients. */
  close(): void {
    this.#load.close();
    this.#server.stop();
    this.#upstream.stop();
  }

  async #connect(kind: ServerKind): Promise<void> {
    const { clients, quietClients = 0, selections = 1, ownList = false } = this.#delivery;
    const query = (client: number) => {
      const variant = client % selections;
      const names = [...this.#names, ...(ownList ? [quietName(client)] : [])];
      const extra = variant === 0 ? '' : `v${variant}: status`;
      return {
        query: `subscription ($names: [String!]) { contractUpdates(names: $names) { ${SELECTION} ${extra} } }`,
        variables: { names },
      };
    };
    const { port } = this.#server;
    const protocol = 'graphql-transport-ws';
    await this.#load.open(port, clients, kind === 'relay' ? undefined : query, protocol);
    await this.#load.open(port, quietClients, () => subscriptionTo(['quiet']), protocol);
    await sleep(SETTLE_MS);
  }

  /** Publishes until every client has received all of a publication, for none says when it is subscribed. */
  async #subscribed(): Promise<void> {
    const { together, clients } = this.#delivery;
    for (let attempt = 0; attempt < MOST_ATTEMPTS; attempt++) {
      this.#load.reset();
      this.#upstream.publish({ names: this.#names, everyMs: 1, times: 1 });
      await sleep(ATTEMPT_MS);
      if (this.#load.received.frames === together * clients) return;
    }
    throw new Error('not every client was subscribed');
  }
}

function quietName(client: number): string {
  return `q${client}`;
}
