import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { type AddressInfo, createServer } from 'node:net';
import { onTestFinished } from 'vitest';
import { type ContractKey, keySpaceOf } from '../../src/contract/key.ts';
import { encodeMessage } from '../../src/ime/protocol/encode.ts';
import { marketState, TEHRAN } from './gateway.ts';
import { hasProgram, PYTHON } from './programs.ts';

const MODULES = 'import fastapi, jwt, multipart, uvicorn, websockets';

/** Whether {@link FastApiService} can run here; says what is missing where it cannot. */
export function hasFastApi(): boolean {
  if (!hasProgram('python3', PYTHON)) return false;
  const { status, stderr } = spawnSync(PYTHON, ['-c', MODULES], { encoding: 'utf8' });
  if (status === 0) return true;
  const missing = `a module of Debian's python3-* is not installed: ${stderr.trim().split('\n').at(-1)}`;
  if (process.env['CI'] === 'true') throw new Error(missing);
  process.stderr.write(`skipped: ${missing}\n`);
  return false;
}

/** How the service of `test/fastapi/app.py` is set up. */
export interface FastApiOptions {
  /** Refuses before the handshake with HTTP 403, or after it with close 1008. */
  readonly refuse?: string;
  /** `me:secret`: who may log in; without it the token is `good`. */
  readonly login?: string;
  /** What the fields of the login's form are called. */
  readonly fields?: readonly [username: string, password: string];
  /** The status of a login that succeeds. */
  readonly loginStatus?: 200 | 201;
  /** For how long a token of the login is good, in seconds; then its sockets are cut with 1008. */
  readonly tokenLifeS?: number;
  /** What stands before the token in its header. */
  readonly prefix?: 'Bearer ' | '';
}

/** The service of `test/fastapi/app.py`, in uvicorn; killed with the test. */
export class FastApiService {
  readonly #options: FastApiOptions;
  #port = 0;
  #process: ChildProcess | undefined;

  constructor(options: FastApiOptions) {
    this.#options = options;
    onTestFinished(() => this.kill());
  }

  get url(): string {
    return `${this.#origin}/data-engine/ime`;
  }

  get #origin(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  /** Starts it, on the same port where it has run before. */
  async start(): Promise<this> {
    if (this.#port === 0) this.#port = await freePort();
    const { refuse, login, fields, loginStatus, tokenLifeS, prefix } = this.#options;
    const settings = {
      SERVICE_REFUSE: refuse,
      SERVICE_LOGIN: login,
      SERVICE_FIELDS: fields?.join(),
      SERVICE_LOGIN_STATUS: loginStatus?.toString(),
      SERVICE_TOKEN_LIFE: tokenLifeS?.toString(),
      SERVICE_PREFIX: prefix,
    };
    const given = Object.entries(settings).filter(([, value]) => value !== undefined);
    this.#process = spawn(
      PYTHON,
      [
        '-m',
        'uvicorn',
        'app:app',
        '--app-dir',
        'test/fastapi',
        '--port',
        String(this.#port),
        '--log-level',
        'warning',
      ],
      {
        env: { PATH: process.env['PATH'], ...Object.fromEntries(given) },
        stdio: ['ignore', 'ignore', 'inherit'],
      },
    );
    for (let tries = 0; tries < 400; tries++) {
      const answer = await fetch(`${this.#origin}/openapi.json`).catch(() => undefined);
      if (answer?.ok) return this;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    throw new Error('uvicorn did not start');
  }

  signal(signal: NodeJS.Signals): void {
    this.#process?.kill(signal);
  }

  kill(): void {
    this.#process?.kill('SIGKILL');
  }

  /** How many logins and handshakes it was asked for, and sockets that it cut at their token's end. */
  async seen(): Promise<{ logins: number; handshakes: number; cut: number }> {
    const answer = await fetch(`${this.#origin}/seen`);
    return (await answer.json()) as { logins: number; handshakes: number; cut: number };
  }

  /** @returns how many connections carry the contract */
  async publish(key: ContractKey, lastPrice: string): Promise<number> {
    const now = TEHRAN.toLocal(Date.now());
    const frame = encodeMessage(key, keySpaceOf(key), now, marketState(lastPrice));
    return this.#post(`/publish?key=${encodeURIComponent(key)}`, frame);
  }

  /** Publishes a state as Python's `json` writes it. @returns how many connections carry the contract */
  async publishFloats(key: ContractKey, price: string): Promise<number> {
    return this.#post(`/publish/floats?key=${encodeURIComponent(key)}&price=${price}`);
  }

  /** Publishes until a connection carries the contract. */
  async publishWhenCarried(key: ContractKey, lastPrice: string): Promise<void> {
    while ((await this.publish(key, lastPrice)) === 0) {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  async #post(target: string, body = ''): Promise<number> {
    return (await (await fetch(this.#origin + target, { method: 'POST', body })).json()) as number;
  }
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}
