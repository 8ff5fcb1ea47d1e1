import { createHash } from 'node:crypto';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { KeyEntry } from '../../src/access/key-file.ts';

/** The settings of a gateway that takes a key for each of these labels. */
export function keysOf(labels: Readonly<Record<string, KeyEntry['limits']>>) {
  const file = join(mkdtempSync(join(tmpdir(), 'ime-gateway-')), 'keys.json');
  const keys = Object.entries(labels).map(([label, limits]) => ({
    label,
    sha256: createHash('sha256').update(keyOf(label)).digest('hex'),
    limits,
  }));
  writeFileSync(file, JSON.stringify({ keys }));
  return { AUTH: 'keys', AUTH_KEYS_FILE: file } as const;
}

/** The header that shows the key of a label. */
export const withKey = (label: string) => ({ authorization: `Bearer ${keyOf(label)}` });

const keyOf = (label: string) => `key of ${label}`.replaceAll(' ', '-');
