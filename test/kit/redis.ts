import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { freePort } from './gateway-process.ts';
import { REDIS_SERVER } from './programs.ts';

/** A redis-server of this test's own that keeps nothing on disk; ended with the test. */
export class RedisServer {
  readonly port: number;
  readonly #more: readonly string[];
  #process: ChildProcess | undefined;
  readonly #directory = mkdtempSync(join(tmpdir(), 'ime-gateway-redis-'));

  private constructor(port: number, more: readonly string[]) {
    this.port = port;
    this.#more = more;
    onTestFinished(async () => {
      await this.kill();
      rmSync(this.#directory, { recursive: true, force: true });
    });
  }

  /** @param more arguments of redis-server */
  static async start(more: readonly string[] = []): Promise<RedisServer> {
    const server = new RedisServer(await freePort(), more);
    await server.start();
    return server;
  }

  get url(): string {
    return `redis://127.0.0.1:${this.port}`;
  }

  get pid(): number {
    if (this.#process?.pid === undefined) throw new Error('redis-server does not run');
    return this.#process.pid;
  }

  /** Starts it again, empty. */
  async start(): Promise<void> {
    const own = ['--port', String(this.port), '--bind', '127.0.0.1', '--dir', this.#directory];
    const quiet = ['--save', '', '--appendonly', 'no', '--loglevel', 'warning'];
    this.#process = spawn(REDIS_SERVER, [...own, ...quiet, ...this.#more], { stdio: 'ignore' });
    for (let tries = 0; tries < 400; tries++) {
      if (/^(\+PONG|-NOAUTH)/.test(await this.ask('PING').catch(() => ''))) return;
      await new Promise((resolve) => setTimeout(resolve, 25));
    }
    throw new Error('redis-server does not serve');
  }

  /** Ends it as a fault would. */
  async kill(): Promise<void> {
    const running = this.#process;
    this.#process = undefined;
    if (running === undefined || running.exitCode !== null) return;
    const ended = new Promise((resolve) => running.once('exit', resolve));
    running.kill('SIGKILL');
    await ended;
  }

  /** Runs a command. @returns what it answers first, as it is written */
  ask(...words: readonly string[]): Promise<string> {
    return askRedis(this.port, ...words);
  }
}

function askRedis(port: number, ...words: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('error', reject);
    socket.once('data', (data) => {
      socket.destroy();
      resolve(data.toString('utf8'));
    });
    const parts = words.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`);
    socket.write(`*${words.length}\r\n${parts.join('')}`);
  });
}

/** A server, one that copies it, and three Sentinels that watch over them; ended with the test. */
export async function startSentinels(): Promise<{
  readonly url: string;
  readonly servers: readonly [RedisServer, RedisServer];
}> {
  const first = await RedisServer.start();
  const second = await RedisServer.start(['--replicaof', '127.0.0.1', String(first.port)]);
  const ports = await Promise.all([1, 2, 3].map(() => startSentinel(first.port)));
  const nodes = ports.map((port) => `127.0.0.1:${port}`).join(',');
  await answers(() => second.ask('INFO', 'replication'), 'master_link_status:up');
  for (const port of ports) {
    const ask = () => askRedis(port, 'SENTINEL', 'MASTER', 'main');
    await answers(ask, 'num-slaves\r\n$1\r\n1\r\n');
    await answers(ask, 'num-other-sentinels\r\n$1\r\n2\r\n');
  }
  return { url: `redis+sentinel://${nodes}/main`, servers: [first, second] };
}

async function startSentinel(watched: number): Promise<number> {
  const port = await freePort();
  const directory = mkdtempSync(join(tmpdir(), 'ime-gateway-sentinel-'));
  const path = join(directory, 'sentinel.conf');
  const lines = [
    `port ${port}`,
    'bind 127.0.0.1',
    `dir ${directory}`,
    `sentinel monitor main 127.0.0.1 ${watched} 2`,
    'sentinel down-after-milliseconds main 1000',
    'sentinel failover-timeout main 3000',
  ];
  writeFileSync(path, `${lines.join('\n')}\n`);
  const sentinel = spawn(REDIS_SERVER, [path, '--sentinel'], { stdio: 'ignore' });
  onTestFinished(async () => {
    const ended = new Promise((resolve) => sentinel.once('exit', resolve));
    sentinel.kill('SIGKILL');
    await ended;
    rmSync(directory, { recursive: true, force: true });
  });
  await answers(() => askRedis(port, 'PING'), '+PONG');
  return port;
}

/** Three nodes of a Redis Cluster, and one that copies the node with the slots of a key; ended with the test. */
export async function startRedisCluster(key: string): Promise<{
  readonly url: string;
  /** The node that has the slots of the key, and its copy. */
  readonly owner: RedisServer;
}> {
  const options = ['--cluster-enabled', 'yes', '--cluster-node-timeout', '1000'];
  const nodes: RedisServer[] = [];
  for (let at = 0; at < 4; at++) nodes.push(await RedisServer.start(options));
  const [first, second, third, copy] = nodes as [
    RedisServer,
    RedisServer,
    RedisServer,
    RedisServer,
  ];
  const masters = [first, second, third];
  const bounds = [0, 5461, 10923, 16384];
  for (const [at, node] of masters.entries()) {
    const [from, upTo] = [bounds[at] as number, (bounds[at + 1] as number) - 1];
    await node.ask('CLUSTER', 'ADDSLOTSRANGE', String(from), String(upTo));
    await node.ask('CLUSTER', 'SET-CONFIG-EPOCH', String(at + 1));
  }
  for (const node of nodes.slice(1)) {
    await node.ask('CLUSTER', 'MEET', '127.0.0.1', String(first.port));
  }
  for (const node of nodes)
    await answers(() => node.ask('CLUSTER', 'INFO'), 'cluster_known_nodes:4');
  const slot = Number((await first.ask('CLUSTER', 'KEYSLOT', key)).slice(1));
  const owner = masters[bounds.findIndex((bound) => bound > slot) - 1] as RedisServer;
  const id = (await owner.ask('CLUSTER', 'MYID')).split('\r\n')[1] ?? '';
  await answers(() => copy.ask('CLUSTER', 'REPLICATE', id), '+OK');
  await answers(() => copy.ask('INFO', 'replication'), 'master_link_status:up');
  for (const node of nodes) await answers(() => node.ask('CLUSTER', 'INFO'), 'cluster_state:ok');
  const urls = nodes.filter((node) => node !== owner).map(({ url }) => url);
  return { url: urls.join(','), owner };
}

/** Waits until an answer holds a text. */
async function answers(ask: () => Promise<string>, text: string): Promise<void> {
  let last = '';
  for (let tries = 0; tries < 600; tries++) {
    last = await ask().catch(String);
    if (last.includes(text)) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`waited for ${JSON.stringify(text)}, got ${JSON.stringify(last)}`);
}
