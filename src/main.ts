import { SettingFault } from './access/refused.ts';
import { type Gateway, startGateway, VERSION } from './app/gateway.ts';
import { configText, helpText, readConfig } from './config/command-line.ts';
import { SETTINGS } from './config/settings.ts';
import { createLog, type Logger } from './observability/log.ts';

const EXIT_BAD_SETTING = 2;
/** A stop that takes longer than the drain and this is given up. */
const STOP_TIMEOUT_MS = 10_000;

const commandLine = readConfig(process.argv.slice(2), process.env);
switch (commandLine.run) {
  case 'help':
    process.stdout.write(
      helpText(SETTINGS, `ime-gateway ${VERSION}\n\nUsage: npm start -- [--flag value]...`),
    );
    break;
  case 'faults':
    process.stderr.write(`${commandLine.faults.join('\n')}\n`);
    process.exitCode = EXIT_BAD_SETTING;
    break;
  case 'print-config':
    process.stdout.write(configText(SETTINGS, commandLine.config));
    break;
  case 'start': {
    const log = createLog(commandLine.config.LOG_LEVEL);
    try {
      const gateway = await startGateway(commandLine.config, log);
      announce(gateway, log);
      stopOnSignal(gateway, commandLine.config.DRAIN_MS, log);
    } catch (error) {
      if (error instanceof SettingFault) {
        process.stderr.write(`${error.message}\n`);
        process.exitCode = EXIT_BAD_SETTING;
        break;
      }
      const { code, message } = error as NodeJS.ErrnoException;
      log.fatal({ code }, `the gateway cannot start: ${message}`);
      process.exitCode = 1;
    }
  }
}

function announce(gateway: Gateway, log: Logger): void {
  const { mode, url } = gateway.report().upstream;
  log.info({ url: gateway.url, version: VERSION, upstream: mode }, `listening on ${gateway.url}`);
  if (mode === 'IME') {
    log.info({ imeUrl: url }, `IME is at ${url}`);
    return;
  }
  log.warn('SIMULATED DATA: IME_URL is not set, so every price comes from the embedded simulator');
  if (!process.stdout.isTTY) return;
  const lines = [
    'SIMULATED DATA',
    'IME_URL is not set: every price is invented by the embedded simulator.',
    `Open ${gateway.url} for the market board, ${gateway.url}/graphql for GraphiQL.`,
  ];
  const width = Math.max(...lines.map((line) => line.length));
  const framed = lines.map((line) => `│ ${line.padEnd(width)} │`).join('\n');
  const bar = '─'.repeat(width + 2);
  process.stdout.write(`\n┌${bar}┐\n${framed}\n└${bar}┘\n\n`);
}

function stopOnSignal(gateway: Gateway, drainMs: number, log: Logger): void {
  let stopping = false;
  const stop = async (signal: NodeJS.Signals) => {
    if (stopping) return;
    stopping = true;
    log.info({ signal, drainMs }, 'stopping');
    setTimeout(() => {
      log.error('the stop took too long');
      process.exit(1);
    }, drainMs + STOP_TIMEOUT_MS).unref();
    await gateway.close();
    log.info('stopped');
    process.exitCode = 0;
  };
  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);
}
