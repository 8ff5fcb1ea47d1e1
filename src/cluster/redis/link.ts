import type { Redis } from 'ioredis';
import type { RedisAddress } from '../../config/redis-url.ts';
import type { Clock } from '../../lib/clock.ts';
import { locate, openRedis } from './locate.ts';
import { SCRIPTS, type ScriptName } from './scripts.ts';

/** How long is waited before the next try: growing from the first to the last, in milliseconds. */
const LEAST_WAIT_MS = 50;
const MOST_WAIT_MS = 500;

/** Who uses a link. */
export interface LinkOwner {
  /** Both connections are open; nothing is subscribed to yet. */
  opened(): void;
  /** A message came on a channel, named without the prefix. */
  heard(channel: string, message: string): void;
  /** A connection was lost, or could not be had; it is tried again by itself. */
  broke(reason: string): void;
}

/** One life of the two connections. */
interface Connections {
  readonly commands: Redis;
  readonly listener: Redis;
}

type LinkState = 'idle' | 'opening' | 'open' | 'waiting' | 'closed';

/**
 * The way to Redis: one connection for commands and one that listens. Both live and die together, and nothing
 * is resumed: after a loss both are opened anew, and their owner subscribes to everything again.
 */
export class RedisLink {
  readonly #address: RedisAddress;
  /** What every key and channel begins with; its braces keep them in one slot. */
  readonly #prefix: string;
  readonly #publish: 'PUBLISH' | 'SPUBLISH';
  readonly #clock: Clock;
  readonly #owner: LinkOwner;
  readonly #hashes = new Map<ScriptName, string>();
  #state: LinkState = 'idle';
  #connections: Connections | undefined;
  #cancelWait: (() => void) | undefined;
  #failures = 0;

  constructor(address: RedisAddress, prefix: string, clock: Clock, owner: LinkOwner) {
    this.#address = address;
    this.#prefix = `{${prefix}}:`;
    this.#publish = address.kind === 'cluster' ? 'SPUBLISH' : 'PUBLISH';
    this.#clock = clock;
    this.#owner = owner;
  }

  get isOpen(): boolean {
    return this.#state === 'open';
  }

  /** Opens the connections, and opens them again whenever they end. */
  open(): void {
    if (this.#state === 'idle') void this.#dial();
  }

  /**
   * Runs a script.
   *
   * @throws Error where Redis cannot be asked, or says no
   */
  async run(script: ScriptName, ...args: readonly (string | number)[]): Promise<unknown> {
    const hash = this.#hashes.get(script);
    const connections = this.#connections;
    if (connections === undefined || hash === undefined || this.#state !== 'open') {
      throw new Error('Redis cannot be reached');
    }
    return connections.commands.evalsha(hash, 1, this.#prefix, this.#publish, ...args);
  }

  /** Listens to channels, named without the prefix; resolves once nothing of them is missed any more. */
  async subscribe(channels: readonly string[]): Promise<void> {
    const listener = this.#listener();
    const named = channels.map((channel) => this.#prefix + channel);
    if (named.length === 0) return;
    if (this.#publish === 'SPUBLISH') await listener.ssubscribe(...named);
    else await listener.subscribe(...named);
  }

  /** Listens to channels no more. */
  async unsubscribe(channels: readonly string[]): Promise<void> {
    const listener = this.#listener();
    const named = channels.map((channel) => this.#prefix + channel);
    if (named.length === 0) return;
    if (this.#publish === 'SPUBLISH') await listener.sunsubscribe(...named);
    else await listener.unsubscribe(...named);
  }

  /** Whoever uses it has found that it does not work, whatever it says itself: it is opened anew. */
  fail(reason: string): void {
    if (this.#state === 'open') this.#broke(reason);
  }

  /** Ends both connections. */
  close(): void {
    this.#setState('closed');
    this.#cancelWait?.();
    this.#disconnect();
  }

  #listener(): Redis {
    if (this.#connections === undefined) throw new Error('Redis cannot be reached');
    return this.#connections.listener;
  }

  #setState(state: LinkState): void {
    if (this.#state !== 'closed') this.#state = state;
  }

  async #dial(): Promise<void> {
    this.#setState('opening');
    let connections: Connections | undefined;
    try {
      const node = await locate(this.#address, this.#prefix);
      if (this.#state !== 'opening') return;
      connections = {
        commands: openRedis(this.#address, node),
        listener: openRedis(this.#address, node),
      };
      this.#connections = connections;
      this.#watch(connections);
      await Promise.all([connections.commands.connect(), connections.listener.connect()]);
      for (const [name, script] of Object.entries(SCRIPTS) as [ScriptName, string][]) {
        this.#hashes.set(name, String(await connections.commands.script('LOAD', script)));
      }
    } catch (error) {
      if (connections === undefined || connections === this.#connections) {
        if (this.#state === 'opening') this.#broke((error as Error).message);
      }
      return;
    }
    if (connections !== this.#connections || this.#state !== 'opening') return;
    this.#failures = 0;
    this.#setState('open');
    this.#owner.opened();
  }

  /** Every event counts only while its connections are those in use. */
  #watch(connections: Connections): void {
    for (const [name, redis] of Object.entries(connections) as [string, Redis][]) {
      let failure: string | undefined;
      redis.on('error', (error: Error) => {
        failure = error.message;
      });
      redis.on('end', () => {
        if (connections !== this.#connections) return;
        this.#broke(failure ?? `the connection for ${name} has ended`);
      });
    }
    const heard = (channel: string, message: string) => {
      if (connections !== this.#connections || this.#state !== 'open') return;
      this.#owner.heard(channel.slice(this.#prefix.length), message);
    };
    connections.listener.on('message', heard);
    connections.listener.on('smessage', heard);
  }

  #broke(reason: string): void {
    if (this.#state === 'closed' || this.#state === 'waiting') return;
    this.#setState('waiting');
    this.#disconnect();
    const most = Math.min(MOST_WAIT_MS, LEAST_WAIT_MS * 2 ** this.#failures++);
    this.#cancelWait = this.#clock.setTimeout(
      () => void this.#dial(),
      most / 2 + (Math.random() * most) / 2,
    );
    this.#owner.broke(reason);
  }

  #disconnect(): void {
    const connections = this.#connections;
    this.#connections = undefined;
    connections?.commands.disconnect();
    connections?.listener.disconnect();
  }
}
