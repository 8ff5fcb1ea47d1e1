import { describe, expect, test } from 'vitest';
import { configText, helpText, readConfig } from '../src/config/command-line.ts';
import { SETTINGS } from '../src/config/settings.ts';

const faults = (args: string[], environment: Record<string, string> = {}) => {
  const commandLine = readConfig(args, environment);
  return commandLine.run === 'faults' ? commandLine.faults : [];
};
const config = (args: string[], environment: Record<string, string> = {}) => {
  const commandLine = readConfig(args, environment);
  if (commandLine.run !== 'start') throw new Error(JSON.stringify(commandLine));
  return commandLine.config;
};

describe('settings', () => {
  test('have the documented defaults', () => {
    expect(config([])).toMatchObject({
      HOST: '127.0.0.1',
      PORT: 4000,
      IME_URL: undefined,
      IME_MAX_CONTRACTS_PER_SOCKET: 100,
      IME_MAX_URL_BYTES: 3900,
      IME_PING_INTERVAL_MS: 5000,
      IME_PING_TIMEOUT_MS: 5000,
      IME_LINGER_MS: 30000,
      IME_PINNED_NAMES: [],
      MAX_CONTRACTS_PER_SUBSCRIPTION: 500,
      LOG_LEVEL: 'info',
    });
  });

  test('come from the environment and, before it, from flags of the same name', () => {
    const environment = { PORT: '1', IME_LINGER_MS: '5', IME_PINNED_NAMES: 'سکه, Gold Bar' };
    expect(config(['--port', '2'], environment)).toMatchObject({
      PORT: 2,
      IME_LINGER_MS: 5,
      IME_PINNED_NAMES: ['سکه', 'Gold Bar'],
    });
    expect(config(['--ime-max-contracts-per-socket=7'])).toMatchObject({
      IME_MAX_CONTRACTS_PER_SOCKET: 7,
    });
  });

  test('that are empty in the environment count as unset', () => {
    expect(config([], { IME_URL: '', PORT: '' })).toMatchObject({ PORT: 4000, IME_URL: undefined });
  });

  test('report every fault at once, each with what was expected and given', () => {
    const found = faults(['--nonsense', '--host'], {
      PORT: 'abc',
      LOG_LEVEL: 'loud',
      IME_URL: 'x',
    });
    expect(found).toHaveLength(5);
    expect(found.join('\n')).toContain('PORT: expected a whole number from 0 to 65535, got "abc"');
    expect(found.join('\n')).toContain('--nonsense: expected one of the flags');
    expect(found.join('\n')).toContain('HOST (--host): expected a value, got none');
  });

  test.each([
    [{ PORT: '-1' }],
    [{ PORT: '65536' }],
    [{ PORT: '1e3' }],
    [{ IME_TIME_ZONE: 'Mars/Olympus' }],
    [{ IME_URL: 'ftp://x/', AUTH: 'none' }],
    [{ IME_URL: 'wss://u:p@x/', AUTH: 'none' }],
    [{ IME_PINNED_NAMES: 'a,,b' }],
    [{ IME_TOKEN: 'a', IME_TOKEN_FILE: 'b' }],
    [{ AUTH: 'maybe' }],
  ])('refuse %j', (environment) => expect(faults([], environment)).toHaveLength(1));

  test('do not let a gateway start open to others by accident', () => {
    expect(faults([], { HOST: '0.0.0.0' })[0]).toContain('AUTH');
    expect(faults([], { IME_URL: 'wss://x/ime' })[0]).toContain('AUTH');
    expect(config([], { HOST: '0.0.0.0', AUTH: 'none' }).HOST).toBe('0.0.0.0');
    expect(config([], { HOST: '::1' }).HOST).toBe('::1');
  });

  test('are all in the help, and print without their secrets', () => {
    const help = helpText(SETTINGS, 'usage');
    for (const name of Object.keys(SETTINGS)) expect(help).toContain(`  ${name}, --`);
    const printed = configText(SETTINGS, config([], { IME_TOKEN: 'hush-hush', AUTH: 'none' }));
    expect(printed).toContain('IME_TOKEN=<redacted>');
    expect(printed).toContain('IME_TIME_ZONE=Asia/Tehran');
    expect(printed).not.toContain('hush');
  });

  test('never repeat a secret in a fault', () => {
    const found = faults(['--ime-token', ''], { IME_URL: 'wss://x', PORT: 'x' });
    expect(found.join()).not.toContain('hush');
    expect(found.join()).toContain(
      'IME_TOKEN: expected a token of characters that a header can carry, got something else',
    );
  });
});

describe('REDIS_URL', () => {
  const read = (url: string) => config([], { REDIS_URL: url }).REDIS_URL;

  test.each([
    ['redis://h', { kind: 'single', nodes: [{ host: 'h', port: 6379 }], tls: false, db: 0 }],
    ['rediss://u:p%40w@h:1/3', { tls: true, username: 'u', password: 'p@w', db: 3 }],
    [
      'redis://:pw@[::1]:7',
      { nodes: [{ host: '::1', port: 7 }], username: undefined, password: 'pw' },
    ],
    [
      'redis://a:1,redis://b:2, c',
      {
        kind: 'cluster',
        nodes: [
          { host: 'a', port: 1 },
          { host: 'b', port: 2 },
          { host: 'c', port: 6379 },
        ],
      },
    ],
    [
      'redis+sentinel://:pw@a,b:9/main/2',
      {
        kind: 'sentinel',
        nodes: [
          { host: 'a', port: 26379 },
          { host: 'b', port: 9 },
        ],
        serviceName: 'main',
        password: 'pw',
        db: 2,
      },
    ],
  ])('%s is read', (url, expected) => expect(read(url)).toMatchObject(expected));

  test.each([
    'h:6379',
    'http://h',
    'redis://',
    'redis://h/x',
    'redis://h?db=1',
    'redis://a,b/1',
    'redis://h:99999',
    'redis+sentinel://a:1',
    'redis+sentinel://a:1/main/2/3',
  ])('%s is none', (url) => {
    expect(faults([], { REDIS_URL: url })).toEqual([
      expect.stringMatching(/^REDIS_URL: expected redis:.*, got something else$/),
    ]);
  });

  test('is never shown, for a password may be in it', () => {
    const secret = config([], { REDIS_URL: 'redis://:secret@h' });
    expect(configText(SETTINGS, secret)).toContain('REDIS_URL=<redacted>');
    expect(faults([], { REDIS_URL: 'redis://:secret@h/x' }).join()).not.toContain('secret');
  });

  test('is beside a prefix and a role', () => {
    expect(config([])).toMatchObject({ REDIS_PREFIX: 'ime', CLUSTER_ROLE: 'any' });
    expect(faults([], { REDIS_PREFIX: 'a{b}' })).toHaveLength(1);
    expect(faults([], { CLUSTER_ROLE: 'boss' })).toHaveLength(1);
  });
});
