import { isIP } from 'node:net';
import { parseArgs } from 'node:util';
import { LocalTimeZone } from '../contract/local-time.ts';
import type { Setting } from './setting-kinds.ts';
import { SETTINGS } from './settings.ts';

type Settings = Record<string, Setting<unknown>>;
type ValueOf<S> = S extends Setting<infer T> ? T : never;

/** The values of a table of settings, by the names of their variables. */
export type Values<Table extends Settings> = {
  readonly [Name in keyof Table]: ValueOf<Table[Name]>;
};

/** The gateway's configuration in force. */
export type Config = Values<typeof SETTINGS>;

/** What a command line asks for. */
export type CommandLine<Table extends Settings> =
  | { readonly run: 'help' }
  | { readonly run: 'faults'; readonly faults: readonly string[] }
  | { readonly run: 'start' | 'print-config'; readonly config: Values<Table> };

/**
 * Reads flags and environment; a flag wins over its variable, and an empty variable counts as unset.
 * Every fault is reported, not only the first.
 */
export function readSettings<const Table extends Settings>(
  table: Table,
  args: readonly string[],
  environment: NodeJS.ProcessEnv,
): CommandLine<Table> {
  const names = Object.keys(table);
  const flags = new Map(names.map((name) => [flagOf(name), name]));
  const { values: parsed, tokens } = parseArgs({
    args: [...args],
    strict: false,
    tokens: true,
    options: {
      help: { type: 'boolean' },
      'print-config': { type: 'boolean' },
      ...Object.fromEntries(names.map((name) => [flagOf(name), { type: 'string' as const }])),
    },
  });
  if (parsed['help'] === true) return { run: 'help' };
  const faults: string[] = [];
  const given = new Map<string, string>();
  for (const name of names) {
    const value = environment[name];
    if (value !== undefined && value !== '') given.set(name, value);
  }
  for (const token of tokens) {
    if (token.kind === 'positional') {
      faults.push(
        `${token.value}: expected a flag such as --port, got ${JSON.stringify(token.value)}`,
      );
    } else if (token.kind === 'option' && token.name !== 'print-config') {
      const name = flags.get(token.name);
      if (name === undefined)
        faults.push(`${token.rawName}: expected one of the flags of --help, got an unknown one`);
      else if (token.value === undefined)
        faults.push(`${name} (${token.rawName}): expected a value, got none`);
      else given.set(name, token.value);
    }
  }
  const values: Record<string, unknown> = {};
  for (const [name, { schema, expected, fallback, secret }] of Object.entries(table)) {
    const value = given.get(name) ?? fallback;
    if (value === undefined) {
      values[name] = undefined;
      continue;
    }
    const result = schema.safeParse(value);
    if (result.success) values[name] = result.data;
    else
      faults.push(
        `${name}: expected ${expected}, got ${secret ? 'something else' : JSON.stringify(value)}`,
      );
  }
  if (faults.length > 0) return { run: 'faults', faults };
  const run = parsed['print-config'] === true ? 'print-config' : 'start';
  return { run, config: values as Values<Table> };
}

/** Reads the gateway's configuration: {@link readSettings}, and what settings demand of each other. */
export function readConfig(
  args: readonly string[],
  environment: NodeJS.ProcessEnv,
): CommandLine<typeof SETTINGS> {
  const commandLine = readSettings(SETTINGS, args, environment);
  if (!('config' in commandLine)) return commandLine;
  const { config } = commandLine;
  const { HOST, IME_URL, AUTH } = config;
  const faults: string[] = [];
  if (config.IME_TOKEN !== undefined && config.IME_TOKEN_FILE !== undefined) {
    faults.push('IME_TOKEN: expected either IME_TOKEN or IME_TOKEN_FILE, got both');
  }
  faults.push(...loginFaults(config));
  if (AUTH === undefined && (IME_URL !== undefined || !isLoopback(HOST))) {
    const why =
      IME_URL === undefined ? `HOST is ${HOST}, which others can reach` : 'IME_URL is set';
    faults.push(
      `AUTH: expected one of none, keys, jwt, got nothing; it must be set because ${why}`,
    );
  }
  if (AUTH === 'keys' && config.AUTH_KEYS_FILE === undefined) {
    faults.push('AUTH_KEYS_FILE: expected a file, got nothing; AUTH=keys needs it');
  }
  const jwtKeys = (['JWT_JWKS_URL', 'JWT_PUBLIC_KEY_FILE', 'JWT_SECRET'] as const).filter(
    (name) => config[name] !== undefined,
  );
  if (AUTH === 'jwt' && jwtKeys.length !== 1) {
    faults.push(
      `AUTH: expected one of JWT_JWKS_URL, JWT_PUBLIC_KEY_FILE and JWT_SECRET for jwt, got ${jwtKeys.join(' and ') || 'none of them'}`,
    );
  }
  return faults.length > 0 ? { run: 'faults', faults } : commandLine;
}

/** What is wrong with how the gateway is to show IME who it is. */
function loginFaults(config: Values<typeof SETTINGS>): string[] {
  const { IME_USERNAME, IME_PASSWORD, IME_PASSWORD_FILE } = config;
  const faults: string[] = [];
  if (IME_USERNAME === undefined) {
    for (const name of ['IME_PASSWORD', 'IME_PASSWORD_FILE', 'IME_LOGIN_URL'] as const) {
      if (config[name] === undefined) continue;
      faults.push(`IME_USERNAME: expected a user name, got nothing; ${name} is set`);
    }
    return faults;
  }
  for (const name of ['IME_TOKEN', 'IME_TOKEN_FILE'] as const) {
    if (config[name] !== undefined)
      faults.push(`${name}: expected nothing beside IME_USERNAME, got a value`);
  }
  if ((IME_PASSWORD === undefined) === (IME_PASSWORD_FILE === undefined)) {
    const got = IME_PASSWORD === undefined ? 'neither' : 'both';
    faults.push(`IME_PASSWORD: expected either IME_PASSWORD or IME_PASSWORD_FILE, got ${got}`);
  }
  return faults;
}

/** The text of `--help`: every setting with its flag, default and meaning. */
export function helpText(table: Settings, usage: string): string {
  const entries = Object.entries(table).map(([name, { fallback, expected, meaning }]) => {
    const inForce = fallback === undefined ? 'unset' : fallback === '' ? 'none' : fallback;
    return `  ${name}, --${flagOf(name)}\n      ${meaning}\n      Takes ${expected}. Default: ${inForce}.`;
  });
  const commands =
    '  --help          this text\n  --print-config  the configuration in force, secrets redacted';
  return `${usage}\n\n${commands}\n\nSettings, each an environment variable and a flag:\n\n${entries.join('\n\n')}\n`;
}

/** The configuration in force, a line a setting as in an environment file, secrets redacted. */
export function configText<const Table extends Settings>(
  table: Table,
  config: Values<Table>,
): string {
  const lines = Object.entries(table).map(([name, { secret }]) => {
    const value: unknown = config[name];
    if (value === undefined) return `# ${name} is unset`;
    if (secret) return `${name}=<redacted>`;
    return `${name}=${givenText(value)}`;
  });
  return `${lines.join('\n')}\n`;
}

/** A value as it would be given. */
function givenText(value: unknown): string {
  if (value instanceof LocalTimeZone) return value.name;
  if (typeof value === 'object' && value !== null && 'given' in value) return String(value.given);
  return String(value);
}

/** Whether only this machine can reach an address to listen on. */
export function isLoopback(host: string): boolean {
  if (host === 'localhost' || host === '::1') return true;
  return isIP(host) === 4 && host.startsWith('127.');
}

function flagOf(name: string): string {
  return name.toLowerCase().replaceAll('_', '-');
}
