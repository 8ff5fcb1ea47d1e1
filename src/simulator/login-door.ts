import { createHmac, randomBytes } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';

/** Where one logs in, as the real service's documents have it. */
const LOGIN_PATH = '/auth/user/token/issue';
const MOST_BODY_BYTES = 16 * 1024;

/** What a service asks of those who log in. */
export interface LoginDoorOptions {
  readonly username: string;
  readonly password: string;
  /** For how long a token is good, in seconds. */
  readonly tokenLifeS: number;
  /** What the fields of the form are called: as the API document has them, as the makers' SDK, or either. */
  readonly fields: 'document' | 'sdk' | 'any';
  /** Whether a token is good only from the address and with the User-Agent that logged in. */
  readonly isBound: boolean;
}

interface Issued {
  readonly endsAtMs: number;
  readonly address: string | undefined;
  readonly userAgent: string | undefined;
  readonly cookie: string;
}

/** Issues tokens for a name and a password, and knows which of them are good. */
export class LoginDoor {
  /** Answers every login with this status, for tests to switch on and off. */
  answer: number | undefined;
  /** May be changed while it runs. */
  password: string;
  readonly #options: LoginDoorOptions;
  readonly #secret = randomBytes(32);
  readonly #issued = new Map<string, Issued>();
  #requests = 0;

  constructor(options: LoginDoorOptions) {
    this.#options = options;
    this.password = options.password;
  }

  /** How many logins have been asked for. */
  get requests(): number {
    return this.#requests;
  }

  /** No token that was issued so far is good any more. */
  revokeAll(): void {
    this.#issued.clear();
  }

  /** In how many milliseconds a token ends; 0 for one that is none. */
  leftMs(token: string): number {
    return Math.max(0, (this.#issued.get(token)?.endsAtMs ?? 0) - Date.now());
  }

  /** Whether a token is good for the handshake that shows it. */
  accepts(token: string, request: IncomingMessage): boolean {
    const issued = this.#issued.get(token);
    if (issued === undefined || issued.endsAtMs <= Date.now()) return false;
    if (!(request.headers.cookie ?? '').includes(issued.cookie)) return false;
    if (!this.#options.isBound) return true;
    const { remoteAddress } = request.socket;
    return issued.address === remoteAddress && issued.userAgent === request.headers['user-agent'];
  }

  /** Answers a login. @returns whether the request was one */
  serve(request: IncomingMessage, response: ServerResponse): boolean {
    if (request.method !== 'POST' || request.url?.split('?')[0] !== LOGIN_PATH) return false;
    this.#requests++;
    let body = '';
    request.on('data', (chunk: Buffer) => {
      body += chunk.toString('utf8');
      if (body.length > MOST_BODY_BYTES) request.destroy();
    });
    request.on('end', () => this.#answer(new URLSearchParams(body), request, response));
    return true;
  }

  #answer(form: URLSearchParams, request: IncomingMessage, response: ServerResponse): void {
    const { username, fields } = this.#options;
    const say = (status: number, detail: string) => {
      response.writeHead(status, { 'content-type': 'application/json' });
      response.end(JSON.stringify({ detail }));
    };
    if (this.answer !== undefined) {
      say(this.answer, 'The login is not to be had.');
      return;
    }
    const names = [
      ...(fields === 'sdk' ? [] : [['username', 'password']]),
      ...(fields === 'document' ? [] : [['UserName_or_Email', 'Password']]),
    ];
    const known = names.find(([user = '', pass = '']) => form.has(user) && form.has(pass));
    const [user = '', pass = ''] = known ?? [];
    if (known === undefined) say(422, 'field required');
    else if (form.get(user) !== username || form.get(pass) !== this.password) {
      say(401, 'Incorrect username or password');
    } else {
      const { token, cookie } = this.#issue(request);
      response.writeHead(201, {
        'content-type': 'application/json',
        'set-cookie': `${cookie}; Path=/; HttpOnly`,
      });
      response.end(JSON.stringify({ Authorization: token }));
    }
  }

  #issue(request: IncomingMessage): { token: string; cookie: string } {
    const { username, tokenLifeS } = this.#options;
    const nowMs = Date.now();
    for (const [token, { endsAtMs }] of this.#issued) {
      if (endsAtMs <= nowMs) this.#issued.delete(token);
    }
    const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
    const exp = (nowMs + tokenLifeS * 1_000) / 1_000;
    const jti = randomBytes(8).toString('hex');
    const signed = `${part({ alg: 'HS256', typ: 'JWT' })}.${part({ sub: username, exp, jti })}`;
    const signature = createHmac('sha256', this.#secret).update(signed).digest('base64url');
    const token = `${signed}.${signature}`;
    const cookie = `session=${randomBytes(8).toString('hex')}`;
    this.#issued.set(token, {
      endsAtMs: exp * 1_000,
      address: request.socket.remoteAddress,
      userAgent: request.headers['user-agent'],
      cookie,
    });
    return { token, cookie };
  }
}
