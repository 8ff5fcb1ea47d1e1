import { helpText, readSettings } from '../config/command-line.ts';
import { oneOf, optional, setting, text, whole } from '../config/setting-kinds.ts';
import { LocalTimeZone } from '../contract/local-time.ts';
import { Simulator } from './simulator.ts';

const EXIT_BAD_SETTING = 2;
const SETTINGS = {
  HOST: setting(text, '127.0.0.1', 'Address to listen on.'),
  PORT: setting(whole(0, 65_535), '4001', 'Port to listen on; 0 takes a free one.'),
  SIMULATOR_TOKEN: optional(text, 'Access token that is asked for; unset: any, and none.', true),
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
  const simulator = new Simulator({
    seed: config.SIMULATOR_SEED,
    updatesPerSecond: config.SIMULATOR_RATE,
    token: config.SIMULATOR_TOKEN,
    refuse: config.SIMULATOR_REFUSE,
    zone: new LocalTimeZone('Asia/Tehran'),
  });
  const url = await simulator.listen(config.PORT, config.HOST);
  process.stdout.write(`SIMULATED DATA at ${url}\n`);
  process.stdout.write(`For the gateway: IME_URL=${url} AUTH=none npm start\n`);
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.once(signal, () => void simulator.close());
  }
}
