import { createHash } from 'node:crypto';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { KeyEntry } from '../../src/access/key-file.ts';

/** What may be said of a key besides its label. */
type KeyRights = Pick<KeyEntry, 'contracts' | 'limits'>;

/** The settings of a gateway that takes a key for each of these labels. */
export function keysOf(limits: Readonly<Record<string, KeyEntry['limits']>>) {
  const file = join(mkdtempSync(join(tmpdir(), 'ime-gateway-')), 'keys.json');
  const rights = Object.entries(limits).map(([label, each]) => [label, { limits: each }] as const);
  writeKeys(file, Object.fromEntries(rights));
  return { AUTH: 'keys', AUTH_KEYS_FILE: file } as const;
}

/** Writes a file with a key for each of these labels. */
export function writeKeys(file: string, rights: Readonly<Record<string, KeyRights>>): void {
  const keys = Object.entries(rights).map(([label, each]) => ({
    label,
    sha256: createHash('sha256').update(keyOf(label)).digest('hex'),
    ...each,
  }));
  writeFileSync(file, JSON.stringify({ keys }));
}

/** The header that shows the key of a label. */
export const withKey = (label: string) => ({ authorization: `Bearer ${keyOf(label)}` });

const keyOf = (label: string) => `key of ${label}`.replaceAll(' ', '-');
