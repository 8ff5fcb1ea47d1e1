import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import type { SeededRandom } from '../../src/simulator/random.ts';

/** The letters that contracts begin with: a pattern of a token or a key allows one of them, or all. */
export const LETTERS = ['a', 'b', 'c'] as const;
const SCOPES = ['*', ...LETTERS];
/** So many people walk. */
const WALKERS = 6;
/** One key at a time is revoked, narrowed or widened. */
const REKEY_MS = 350;
const JWKS_DELAY_MS = 40;
/** How long what was sent by the rights of before may be on its way: the file is looked at each 500 ms. */
const GRACE_MS = 2_000;

/** What somebody shows, and whether they may see what they got. */
export interface Shown {
  /** Who it is, as tokens name them. */
  readonly sub: string;
  readonly token: string;
  /** Whether contracts of a letter may be seen now, or might have been a moment ago. */
  readonly allows: (letter: string) => boolean;
}

/** Who may come in on a walk, and how that is found out. */
export interface WalkCredentials {
  /** What the gateway is set to. */
  readonly settings: Record<string, string>;
  /** Somebody, and at times nobody that the gateway knows. */
  somebody(random: SeededRandom): Promise<Shown>;
  /** What narrows somebody's rights on a connection that they have; `undefined` where nothing does. */
  narrowed(random: SeededRandom, sub: string): Promise<Shown | undefined>;
  /** Ends all changes; what each of those who walked shows then, who may see everything. */
  settle(): Promise<string[]>;
  close(): Promise<void>;
}

const pattern = (scope: string) => (scope === '*' ? '*' : `name:${scope}*`);
const scopeOf = (random: SeededRandom) => SCOPES[random.integer(0, SCOPES.length - 1)] as string;
const allowing = (scope: string) => (letter: string) => scope === '*' || scope === letter;

/** Keys in a file that is written anew again and again. */
export class WalkKeys implements WalkCredentials {
  readonly #random: SeededRandom;
  readonly #mostConnections: number;
  readonly #file = join(mkdtempSync(join(tmpdir(), 'walk-')), 'keys.json');
  /** What each key may see, `undefined` for one that is revoked, and until when it might be believed. */
  readonly #scopes = Array.from({ length: WALKERS }, () => [
    { scope: '*' as string | undefined, untilMs: Number.POSITIVE_INFINITY },
  ]);
  readonly #timer: NodeJS.Timeout;

  constructor(random: SeededRandom, mostConnections: number) {
    this.#random = random;
    this.#mostConnections = mostConnections;
    this.#write();
    this.#timer = setInterval(() => this.#change(), REKEY_MS);
  }

  get settings(): Record<string, string> {
    return { AUTH: 'keys', AUTH_KEYS_FILE: this.#file };
  }

  async somebody(random: SeededRandom): Promise<Shown> {
    const place = random.integer(0, WALKERS - 1);
    if (random.chance(1 / 12)) return { sub: '', token: 'wrong', allows: () => false };
    const allows = (letter: string) => {
      const sinceMs = performance.now() - GRACE_MS;
      return (this.#scopes[place] ?? []).some(
        ({ scope, untilMs }) => scope !== undefined && untilMs > sinceMs && allowing(scope)(letter),
      );
    };
    return { sub: String(place), token: `key-${place}`, allows };
  }

  async narrowed(): Promise<undefined> {}

  async settle(): Promise<string[]> {
    clearInterval(this.#timer);
    for (const place of this.#scopes.keys()) this.#rescope(place, '*');
    this.#write();
    return this.#scopes.map((_scopes, place) => `key-${place}`);
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    rmSync(dirname(this.#file), { recursive: true });
  }

  #change(): void {
    const place = this.#random.integer(0, WALKERS - 1);
    this.#rescope(place, this.#random.chance(1 / 4) ? undefined : scopeOf(this.#random));
    this.#write();
  }

  #rescope(place: number, scope: string | undefined): void {
    const nowMs = performance.now();
    const past = (this.#scopes[place] ?? []).map((one) => ({
      ...one,
      untilMs: Math.min(one.untilMs, nowMs),
    }));
    const recent = past.filter(({ untilMs }) => untilMs + 10 * GRACE_MS > nowMs);
    this.#scopes[place] = [...recent, { scope, untilMs: Number.POSITIVE_INFINITY }];
  }

  #write(): void {
    const keys = this.#scopes.flatMap((scopes, place) => {
      const scope = scopes.at(-1)?.scope;
      if (scope === undefined) return [];
      const sha256 = createHash('sha256').update(`key-${place}`).digest('hex');
      const limits = { connections: this.#mostConnections };
      return { label: String(place), sha256, contracts: [pattern(scope)], limits };
    });
    writeFileSync(this.#file, JSON.stringify({ keys }));
  }
}

/** Tokens, whose keys come from a server that is slow and fails at times. */
export class WalkTokens implements WalkCredentials {
  readonly #jwks: Server;
  readonly #privateKey: CryptoKey;
  #settled = false;

  private constructor(random: SeededRandom, jwks: object, privateKey: CryptoKey) {
    this.#privateKey = privateKey;
    this.#jwks = createServer((_request, response) => {
      const fails = random.chance(1 / 4) && !this.#settled;
      setTimeout(
        () => {
          if (fails) response.writeHead(503).end();
          else response.end(JSON.stringify(jwks));
        },
        random.integer(0, JWKS_DELAY_MS),
      );
    });
  }

  static async start(random: SeededRandom): Promise<WalkTokens> {
    const { publicKey, privateKey } = await generateKeyPair('ES256');
    const keys = { keys: [{ ...(await exportJWK(publicKey)), kid: 'one', alg: 'ES256' }] };
    const made = new WalkTokens(random, keys, privateKey);
    await new Promise<void>((resolve) => made.#jwks.listen(0, '127.0.0.1', resolve));
    return made;
  }

  get settings(): Record<string, string> {
    const { port } = this.#jwks.address() as AddressInfo;
    return { AUTH: 'jwt', JWT_JWKS_URL: `http://127.0.0.1:${port}/` };
  }

  async somebody(random: SeededRandom): Promise<Shown> {
    const sub = `somebody ${random.integer(0, WALKERS - 1)}`;
    if (random.chance(1 / 12)) return { sub, token: 'wrong', allows: () => false };
    return this.#shown(sub, scopeOf(random), random);
  }

  narrowed(random: SeededRandom, sub: string): Promise<Shown> {
    return this.#shown(sub, LETTERS[random.integer(0, LETTERS.length - 1)] as string, random);
  }

  settle(): Promise<string[]> {
    this.#settled = true;
    const all = Array.from({ length: WALKERS }, (_, place) =>
      this.#sign({ sub: `somebody ${place}` }),
    );
    return Promise.all(all);
  }

  async close(): Promise<void> {
    this.#jwks.closeAllConnections();
    await new Promise((resolve) => this.#jwks.close(resolve));
  }

  async #shown(sub: string, scope: string, random: SeededRandom): Promise<Shown> {
    const jti = String(random.integer(0, 1e9));
    const token = await this.#sign({ sub, jti, contracts: [pattern(scope)] });
    return { sub, token, allows: allowing(scope) };
  }

  #sign(claims: Record<string, unknown>): Promise<string> {
    return new SignJWT(claims)
      .setProtectedHeader({ alg: 'ES256', kid: 'one' })
      .setExpirationTime('1h')
      .sign(this.#privateKey);
  }
}
