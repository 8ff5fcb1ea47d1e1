import { helpText, readSettings } from '../config/command-line.ts';
import { oneOf, optional, readable, setting, text, whole } from '../config/setting-kinds.ts';
import { LocalTimeZone } from '../contract/local-time.ts';
import { LoginDoor } from './login-door.ts';
import { Simulator } from './simulator.ts';

const EXIT_BAD_SETTING = 2;
const SETTINGS = {
  HOST: setting(text, '127.0.0.1', 'Address to listen on.'),
  PORT: setting(whole(0, 65_535), '4001', 'Port to listen on; 0 takes a free one.'),
  SIMULATOR_TOKEN: optional(text, 'Access token that is asked for; unset: any, and none.', true),
  LOGIN: optional(
    readable(readLogin, 'a name and a password, such as me:secret'),
    'Who may log in, and gets the token that is asked for then.',
    true,
  ),
  TOKEN_LIFE: setting(
    whole(1, 10_000_000),
    '3600',
    'Seconds that a token of a login is good for; its sockets are cut then.',
  ),
  TOKEN_BOUND: setting(
    oneOf(['off', 'on']),
    'off',
    'Whether a token is good only from the address and with the User-Agent that logged in.',
  ),
  LOGIN_FIELDS: setting(
    oneOf(['any', 'document', 'sdk']),
    'any',
    "Names of the login's fields: username and password, or UserName_or_Email and Password.",
  ),
  AUTHORIZATION: setting(
    oneOf(['any', 'bearer', 'raw']),
    'any',
    'How the token must stand in its header.',
  ),
  NUMBERS: setting(
    oneOf(['plain', 'python']),
    'plain',
    'How prices are written: python writes 12000.0.',
  ),
  SIMULATOR_REFUSE: setting(
    oneOf(['after', 'before']),
    'after',
    'Refuse unknown contracts and bad tokens after the handshake with close 1008, or before it with HTTP 403.',
  ),
  SIMULATOR_RATE: setting(whole(1, 100_000), '40', 'Updates a second, over all contracts.'),
  SIMULATOR_SEED: setting(whole(0, 2 ** 31), '1', 'Seed of the market.'),
};

const commandLine = readSettings(SETTINGS, process.argv.slice(2), process.env);
if (commandLine.run === 'help') {
  process.stdout.write(helpText(SETTINGS, 'Usage: npm run simulator -- [--flag value]...'));
} else if (commandLine.run === 'faults') {
  process.stderr.write(`${commandLine.faults.join('\n')}\n`);
  process.exitCode = EXIT_BAD_SETTING;
} else {
  const { config } = commandLine;
  const login =
    config.LOGIN === undefined
      ? undefined
      : new LoginDoor({
          ...config.LOGIN,
          tokenLifeS: config.TOKEN_LIFE,
          fields: config.LOGIN_FIELDS,
          isBound: config.TOKEN_BOUND === 'on',
        });
  const simulator = new Simulator({
    seed: config.SIMULATOR_SEED,
    updatesPerSecond: config.SIMULATOR_RATE,
    token: config.SIMULATOR_TOKEN,
    login,
    authorization: config.AUTHORIZATION,
    numbers: config.NUMBERS,
    refuse: config.SIMULATOR_REFUSE,
    zone: new LocalTimeZone('Asia/Tehran'),
  });
  const url = await simulator.listen(config.PORT, config.HOST);
  process.stdout.write(`SIMULATED DATA at ${url}\n`);
  const who =
    config.LOGIN === undefined ? '' : ` IME_USERNAME=${config.LOGIN.username} IME_PASSWORD=…`;
  process.stdout.write(`For the gateway: IME_URL=${url}${who} AUTH=none npm start\n`);
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.once(signal, () => void simulator.close());
  }
}

function readLogin(given: string): { username: string; password: string } {
  const [, username, password] = /^([^:]+):(.+)$/.exec(given) ?? [];
  if (username === undefined || password === undefined) throw new TypeError(given);
  return { username, password };
}
