import { createHash } from 'node:crypto';
import { z } from 'zod';
import { WatchedFile } from '../lib/watched-file.ts';
import type { Logger } from '../observability/log.ts';
import type { Authenticator } from './authenticator.ts';
import { ContractPatterns } from './patterns.ts';
import { OPERATOR_SCOPE, type Principal } from './principal.ts';
import { AccessRefused, errorText, SettingFault } from './refused.ts';

const patterns = z.array(z.string()).transform((texts, context) => {
  try {
    return new ContractPatterns(texts);
  } catch (error) {
    context.addIssue({ code: 'custom', message: errorText(error) });
    return z.NEVER;
  }
});

/** One API key as the file has it. The key itself is nowhere: only its SHA-256. */
const keyEntry = z.strictObject({
  label: z.string().min(1).max(100),
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
  contracts: patterns.default(ContractPatterns.ALL),
  scopes: z.array(z.string()).default([]),
  expiresAt: z.iso.datetime({ offset: true }).optional(),
  limits: z
    .strictObject({
      connections: z.int().positive().optional(),
      contracts: z.int().positive().optional(),
    })
    .default({}),
});

const keyFile = z.strictObject({ keys: z.array(keyEntry) });

/** An entry of the key file before it is read: what `npm run key` writes. */
export type KeyEntry = z.input<typeof keyEntry>;

/** The hash that a key is kept as. Keys are long and random, so one round is enough. */
export function hashOfKey(key: string): string {
  return createHash('sha256').update(key).digest('hex');
}

/**
 * The principals of a key file, by the hash of their keys.
 *
 * @throws TypeError saying where in the file something is not as expected
 */
export function readKeyFile(text: string): Map<string, Principal> {
  const result = keyFile.safeParse(parseJson(text));
  if (!result.success) {
    const [issue] = result.error.issues;
    throw new TypeError(`${issue?.path.join('.') || 'the file'}: ${issue?.message}`);
  }
  const principals = new Map<string, Principal>();
  const labels = new Set<string>();
  for (const { label, sha256, contracts, scopes, expiresAt, limits } of result.data.keys) {
    if (labels.has(label)) throw new TypeError(`two keys have the label ${JSON.stringify(label)}`);
    labels.add(label);
    principals.set(sha256, {
      id: `key ${label}`,
      contracts,
      operator: scopes.includes(OPERATOR_SCOPE),
      expiresAtMs: expiresAt === undefined ? undefined : Date.parse(expiresAt),
      limits,
      credential: sha256,
    });
  }
  return principals;
}

/** `AUTH=keys`: API keys from a file that is read anew when it changes. */
export class KeyFileAuthenticator implements Authenticator {
  readonly open = false;
  readonly #file: WatchedFile;
  readonly #log: Logger;
  #principals: ReadonlyMap<string, Principal>;
  #changed: () => void = () => {};

  /** @throws SettingFault where the file cannot be used */
  constructor(path: string, log: Logger) {
    this.#log = log;
    this.#file = new WatchedFile(path, () => this.#reread());
    try {
      this.#principals = readKeyFile(this.#file.read());
    } catch (error) {
      this.#file.close();
      throw new SettingFault('AUTH_KEYS_FILE', `expected a key file, got ${errorText(error)}`);
    }
  }

  async authenticate(token: string | undefined): Promise<Principal> {
    if (token === undefined) throw new AccessRefused('An API key is needed.');
    const principal = this.#principals.get(hashOfKey(token));
    if (principal === undefined) throw new AccessRefused('The API key is not accepted.');
    if (isExpired(principal)) throw new AccessRefused('The API key has expired.', principal.id);
    return principal;
  }

  recheck(principal: Principal): Principal | undefined {
    const known = this.#principals.get(principal.credential ?? '');
    return known === undefined || isExpired(known) ? undefined : known;
  }

  watch(changed: () => void): void {
    this.#changed = changed;
  }

  reload(): void {
    this.#reread();
  }

  close(): void {
    this.#file.close();
  }

  #reread(): void {
    try {
      this.#principals = readKeyFile(this.#file.read());
      this.#log.info({ keys: this.#principals.size }, 'the key file was read anew');
    } catch (error) {
      // Half a file must not lock everybody out: the keys that were good before stay.
      this.#log.error(
        { reason: errorText(error) },
        'the key file cannot be used; the last one stays',
      );
      return;
    }
    this.#changed();
  }
}

function isExpired({ expiresAtMs }: Principal): boolean {
  return expiresAtMs !== undefined && expiresAtMs <= Date.now();
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new TypeError('the file is not JSON');
  }
}
