import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
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
      if ((await this.ask('PING').catch(() => '')).startsWith('+PONG')) return;
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
    return new Promise((resolve, reject) => {
      const socket = connect(this.port, '127.0.0.1');
      socket.once('error', reject);
      socket.once('data', (data) => {
        socket.destroy();
        resolve(data.toString('utf8'));
      });
      const parts = words.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`);
      socket.write(`*${words.length}\r\n${parts.join('')}`);
    });
  }
}
