import { isIP } from 'node:net';
import { parseArgs } from 'node:util';
import { contractTextFault } from './contract/key.ts';
import { LocalTimeZone } from './contract/local-time.ts';
import { LOG_LEVELS } from './observability/log.ts';
import { list, oneOf, optional, readable, type Setting, setting, text, whole } from './setting.ts';

const DAY_MS = 86_400_000;
const contracts = list(
  (item) => contractTextFault(item) === undefined,
  'contracts between commas, each of 1 to 256 characters without control characters',
);
const serviceUrl = readable(readServiceUrl, 'a ws, wss, http or https URL without query and user');
const timeZone = readable(
  (given) => new LocalTimeZone(given),
  'a time zone that Node knows, such as Asia/Tehran',
);

/** Every setting: an environment variable and, in lower case with dashes, a flag. */
export const SETTINGS = {
  HOST: setting(text, '127.0.0.1', 'Address to listen on.'),
  PORT: setting(whole(0, 65_535), '4000', 'Port to listen on; 0 takes a free one.'),
  IME_URL: optional(
    serviceUrl,
    'Base of the IME service, such as wss://core.hedgetech.ir/data-engine/ime. Unset: the embedded simulator.',
  ),
  IME_TOKEN: optional(text, 'Access token for IME.', true),
  IME_TOKEN_FILE: optional(
    text,
    'File that holds the access token; read anew when it changes and at each refusal.',
  ),
  IME_MAX_CONTRACTS_PER_SOCKET: setting(
    whole(1, 10_000),
    '100',
    'Contracts on one upstream socket.',
  ),
  IME_MAX_URL_BYTES: setting(
    whole(256, 1_000_000),
    '3900',
    'Bytes of an upstream request target (path and query). Older uvicorn refuses 4,096 and more.',
  ),
  IME_PING_INTERVAL_MS: setting(
    whole(100, DAY_MS),
    '5000',
    'Milliseconds between pings on an upstream socket.',
  ),
  IME_PING_TIMEOUT_MS: setting(
    whole(100, DAY_MS),
    '5000',
    'Milliseconds after a ping without any frame until the socket counts as dead.',
  ),
  IME_LINGER_MS: setting(
    whole(0, DAY_MS),
    '30000',
    'Milliseconds that a contract stays subscribed upstream after its last subscriber.',
  ),
  IME_PINNED_NAMES: setting(contracts, '', 'Contract names that are always subscribed.'),
  IME_PINNED_IDS: setting(contracts, '', 'Contract IDs that are always subscribed.'),
  IME_TIME_ZONE: setting(timeZone, 'Asia/Tehran', "Zone of IME's zoneless timestamps."),
  AUTH: optional(
    oneOf(['none']),
    'Who may use the gateway: none lets everybody in. Must be set, except for the simulator on a loopback address.',
  ),
  MAX_CONTRACTS_PER_SUBSCRIPTION: setting(
    whole(1, 100_000),
    '500',
    'Contracts of one subscription, or of one field of a query.',
  ),
  MAX_MESSAGE_BYTES: setting(
    whole(1_024, 2 ** 30),
    '131072',
    'Bytes of one WebSocket message of a client.',
  ),
  MAX_BODY_BYTES: setting(
    whole(1_024, 2 ** 30),
    '262144',
    'Bytes of the body of one HTTP request.',
  ),
  CLIENT_BUFFER_BYTES: setting(
    whole(1_024, 2 ** 30),
    '262144',
    'Unsent bytes above which a client gets only the newest state of each contract.',
  ),
  CLIENT_STALL_MS: setting(
    whole(1_000, DAY_MS),
    '30000',
    'Milliseconds after which a slow client that takes nothing is closed.',
  ),
  WS_COMPRESSION: setting(
    oneOf(['off', 'on']),
    'off',
    'permessage-deflate towards clients: less traffic for more CPU.',
  ),
  LOG_LEVEL: setting(oneOf(LOG_LEVELS), 'info', 'Least level that is logged.'),
  SIMULATOR_RATE: setting(
    whole(1, 100_000),
    '40',
    'Updates a second of the embedded simulator, over all its contracts.',
  ),
  SIMULATOR_SEED: setting(whole(0, 2 ** 31), '1', "Seed of the embedded simulator's market."),
};

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
  const { HOST, IME_URL, IME_TOKEN, IME_TOKEN_FILE, AUTH } = commandLine.config;
  const faults: string[] = [];
  if (IME_TOKEN !== undefined && IME_TOKEN_FILE !== undefined) {
    faults.push('IME_TOKEN: expected either IME_TOKEN or IME_TOKEN_FILE, got both');
  }
  if (AUTH === undefined && (IME_URL !== undefined || !isLoopback(HOST))) {
    const why =
      IME_URL === undefined ? `HOST is ${HOST}, which others can reach` : 'IME_URL is set';
    faults.push(`AUTH: expected one of none, got nothing; it must be set because ${why}`);
  }
  return faults.length > 0 ? { run: 'faults', faults } : commandLine;
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
    return `${name}=${value instanceof LocalTimeZone ? value.name : String(value)}`;
  });
  return `${lines.join('\n')}\n`;
}

/** Whether only this machine can reach an address to listen on. */
function isLoopback(host: string): boolean {
  if (host === 'localhost' || host === '::1') return true;
  return isIP(host) === 4 && host.startsWith('127.');
}

function flagOf(name: string): string {
  return name.toLowerCase().replaceAll('_', '-');
}

function readServiceUrl(given: string): URL {
  const url = new URL(given);
  const known = ['ws:', 'wss:', 'http:', 'https:'].includes(url.protocol);
  if (!known || url.search || url.hash || url.username || url.password) throw new TypeError(given);
  return url;
}
