import { createHash, createPublicKey, type KeyObject } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createRemoteJWKSet, customFetch, errors, type JWTPayload, jwtVerify } from 'jose';
import { RecentMap } from '../../lib/recent-map.ts';
import type { Logger } from '../../observability/log.ts';
import type { Authenticator } from '../authenticator.ts';
import { ContractPatterns } from '../patterns.ts';
import { OPERATOR_SCOPE, type Principal } from '../principal.ts';
import { AccessRefused, AccessUnavailable, errorText, SettingFault } from '../refused.ts';

/** How far clocks may differ, in seconds. */
const CLOCK_TOLERANCE_S = 2;
/** How long a verified token is believed without another look at its signature. */
const REMEMBERED_MS = 60_000;
const MOST_REMEMBERED = 10_000;
const JWKS_TIMEOUT_MS = 5_000;
/** How long it is believed that the keys cannot be fetched, in milliseconds. */
const OUTAGE_MS = 3_000;
/** Signatures with a public key; a shared secret is never taken for one, nor the other way round. */
const PUBLIC_KEY_ALGORITHMS = [
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
  'Ed25519',
];
const SECRET_ALGORITHMS = ['HS256'];

/** What `AUTH=jwt` checks tokens against: one of the three keys, and what claims must say. */
export interface JwtSettings {
  readonly jwksUrl: URL | undefined;
  readonly publicKeyFile: string | undefined;
  readonly secret: string | undefined;
  readonly issuer: string | undefined;
  readonly audience: string | undefined;
  /** The claim that holds the patterns of contracts; a token without it may see all. */
  readonly contractsClaim: string;
}

/** `AUTH=jwt`: JSON Web Tokens, verified by jose. */
export class JwtAuthenticator implements Authenticator {
  readonly open = false;
  readonly #settings: JwtSettings;
  #key: KeyObject | Uint8Array | ReturnType<typeof createRemoteJWKSet>;
  readonly #log: Logger;
  /** When the keys could not be fetched last, by the monotonic clock, and why. */
  #outage: { readonly atMs: number; readonly reason: string } | undefined;
  readonly #algorithms: string[];
  /** Those that were verified, and until when they are believed, by the monotonic clock. */
  readonly #verified = new RecentMap<string, { principal: Principal; untilMs: number }>(
    MOST_REMEMBERED,
  );

  /** @throws SettingFault where the public key cannot be used */
  constructor(settings: JwtSettings, log: Logger) {
    const { secret } = settings;
    this.#settings = settings;
    this.#log = log;
    this.#algorithms = secret === undefined ? PUBLIC_KEY_ALGORITHMS : SECRET_ALGORITHMS;
    this.#key = this.#readKey();
  }

  async authenticate(token: string | undefined): Promise<Principal> {
    if (token === undefined) throw new AccessRefused('An access token is needed.');
    const credential = createHash('sha256').update(token).digest('base64');
    const known = this.#verified.get(credential);
    if (
      known !== undefined &&
      known.untilMs > performance.now() &&
      (known.principal.expiresAtMs ?? Number.POSITIVE_INFINITY) > Date.now()
    ) {
      return known.principal;
    }
    const principal = this.#principal(await this.#verify(token), credential);
    this.#verified.set(credential, { principal, untilMs: performance.now() + REMEMBERED_MS });
    return principal;
  }

  recheck(principal: Principal): Principal {
    return principal;
  }

  watch(): void {}

  reload(): void {
    if (typeof this.#key === 'function') {
      // The keys there are stay in force until others have been fetched.
      this.#outage = undefined;
      this.#key.reload().then(
        () => this.#verified.clear(),
        (error: unknown) => {
          const reason = errorText(error);
          this.#log.error({ reason }, 'JWT_JWKS_URL cannot be read; the last keys stay');
        },
      );
      return;
    }
    try {
      this.#key = this.#readKey();
    } catch (error) {
      this.#log.error(
        { reason: errorText(error) },
        'the public key cannot be used; the last one stays',
      );
      return;
    }
    this.#verified.clear();
  }

  close(): void {}

  /** @throws SettingFault where the public key cannot be used */
  #readKey(): KeyObject | Uint8Array | ReturnType<typeof createRemoteJWKSet> {
    const { jwksUrl, publicKeyFile, secret } = this.#settings;
    if (jwksUrl !== undefined) {
      return createRemoteJWKSet(jwksUrl, {
        timeoutDuration: JWKS_TIMEOUT_MS,
        [customFetch]: (url, options) => this.#fetchKeys(url, options),
      });
    }
    if (publicKeyFile !== undefined) return readPublicKey(publicKeyFile);
    return new TextEncoder().encode(secret);
  }

  async #verify(token: string): Promise<JWTPayload> {
    const { issuer, audience } = this.#settings;
    const options = {
      algorithms: this.#algorithms,
      clockTolerance: CLOCK_TOLERANCE_S,
      ...(issuer === undefined ? {} : { issuer }),
      ...(audience === undefined ? {} : { audience }),
    };
    try {
      const { payload } =
        typeof this.#key === 'function'
          ? await jwtVerify(token, this.#key, options)
          : await jwtVerify(token, this.#key, options);
      return payload;
    } catch (error) {
      if (error instanceof errors.JWTExpired) throw new AccessRefused('The token has expired.');
      if (error instanceof AccessUnavailable) throw error;
      if (isOutage(error)) {
        const reason = `JWT_JWKS_URL cannot be read: ${errorText(error)}`;
        this.#outage = { atMs: performance.now(), reason };
        throw new AccessUnavailable(reason);
      }
      throw new AccessRefused('The token is not accepted.', errorText(error));
    }
  }

  /** Whoever keeps the keys is not asked once for each token while they do not answer. */
  async #fetchKeys(url: string, options: RequestInit): Promise<Response> {
    if (this.#outage !== undefined && performance.now() - this.#outage.atMs < OUTAGE_MS) {
      throw new AccessUnavailable(this.#outage.reason);
    }
    return fetch(url, options);
  }

  #principal(claims: JWTPayload, credential: string): Principal {
    const id = claims.sub ?? claims['client_id'] ?? claims['azp'];
    return {
      id: typeof id === 'string' ? `token ${id}` : 'token without a subject',
      contracts: contractsOf(claims[this.#settings.contractsClaim]),
      operator: scopesOf(claims).includes(OPERATOR_SCOPE),
      expiresAtMs: claims.exp === undefined ? undefined : claims.exp * 1000,
      limits: {},
      credential,
    };
  }
}

/** The patterns of a claim. What cannot be read lets nobody in: a slip must not open what it guards. */
function contractsOf(claim: unknown): ContractPatterns {
  if (claim === undefined) return ContractPatterns.ALL;
  const texts = typeof claim === 'string' ? [claim] : claim;
  if (!Array.isArray(texts) || !texts.every((text) => typeof text === 'string')) {
    throw new AccessRefused('The token is not accepted.', 'the claim with contracts is no list');
  }
  try {
    return new ContractPatterns(texts);
  } catch (error) {
    throw new AccessRefused('The token is not accepted.', errorText(error));
  }
}

/** Scopes as `scope` (RFC 8693: words in one text) or as a list under one of the usual names. */
function scopesOf(claims: JWTPayload): readonly unknown[] {
  return ['scope', 'scopes', 'scp', 'roles'].flatMap((name) => {
    const claim = claims[name];
    return typeof claim === 'string' ? claim.split(' ') : Array.isArray(claim) ? claim : [];
  });
}

/** Whether the keys could not be fetched, as against a token that does not fit them. */
function isOutage(error: unknown): boolean {
  if (error instanceof errors.JWKSTimeout || error instanceof errors.JWKSInvalid) return true;
  // jose says of a bad answer of the JWKS server only that it expected 200 or JSON.
  if (error instanceof errors.JOSEError) return error.code === 'ERR_JOSE_GENERIC';
  return error instanceof TypeError && error.message === 'fetch failed';
}

/** The kind of key says which of the algorithms fit it; jose checks that. */
function readPublicKey(path: string): KeyObject {
  try {
    return createPublicKey(readFileSync(path, 'utf8'));
  } catch (error) {
    throw new SettingFault(
      'JWT_PUBLIC_KEY_FILE',
      `expected a public key in PEM, got ${errorText(error)}`,
    );
  }
}
