import { existsSync } from 'node:fs';

/**
 * Whether an outside program is there. Where it is not, the suite that needs it is skipped with one line
 * that names it; under `CI=true` that is a failure.
 */
export function hasProgram(name: string, path: string): boolean {
  if (existsSync(path)) return true;
  if (process.env['CI'] === 'true') throw new Error(`${name} is not installed (${path})`);
  process.stderr.write(`skipped: ${name} is not installed (${path})\n`);
  return false;
}

/** Debian's Chromium. */
export const CHROMIUM = '/usr/bin/chromium';

/** What keeps Chromium from asking other hosts for anything of its own accord. */
export const CHROMIUM_ARGUMENTS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

/** Debian's Redis. */
export const REDIS_SERVER = '/usr/bin/redis-server';

/** Debian's Python. */
export const PYTHON = '/usr/bin/python3';
