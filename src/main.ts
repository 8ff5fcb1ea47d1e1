import { SettingFault } from './access/refused.ts';
import { type Gateway, startGateway, VERSION } from './app/gateway.ts';
import { type Config, configText, helpText, readConfig } from './config/command-line.ts';
import { SETTINGS } from './config/settings.ts';
import { type Logger, processLog } from './observability/log.ts';

const EXIT_BAD_SETTING = 2;
/** A stop that takes longer than the drain and this is given up. */
const STOP_TIMEOUT_MS = 10_000;
/** How long the last lines of the log are waited for. */
const FLUSH_MS = 500;

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
  case 'start':
    await run(commandLine.config);
}

/** Runs the gateway until a signal stops it. */
async function run(config: Config): Promise<void> {
  const { log, lost, flush } = processLog(config.LOG_LEVEL);
  const end = async (code: number) => {
    await flush(FLUSH_MS);
    process.exit(code);
  };
  let gateway: Gateway | undefined;
  let state: 'starting' | 'running' | 'stopping' = 'starting';
  const stop = async () => {
    setTimeout(() => {
      log.error('the stop took too long');
      void end(1);
    }, config.DRAIN_MS + STOP_TIMEOUT_MS).unref();
    await gateway?.close();
    log.info('stopped');
    await end(0);
  };
  const onSignal = (signal: NodeJS.Signals) => {
    // Whoever asks twice does not want to wait.
    if (state === 'stopping') process.exit(0);
    const wasRunning = state === 'running';
    state = 'stopping';
    log.info({ signal, drainMs: config.DRAIN_MS }, 'stopping');
    // A start that is under way is let come to its end, and stopped then.
    if (wasRunning) void stop();
  };
  process.on('SIGTERM', onSignal);
  process.on('SIGINT', onSignal);
  process.on('SIGHUP', () => gateway?.reload());
  for (const event of ['uncaughtException', 'unhandledRejection'] as const) {
    process.on(event, (error: unknown) => {
      log.fatal({ error }, 'a fault of the gateway: it ends');
      void end(1);
    });
  }
  try {
    gateway = await startGateway(config, log, { lostLines: lost });
  } catch (error) {
    if (error instanceof SettingFault) {
      process.stderr.write(`${error.message}\n`);
      await end(EXIT_BAD_SETTING);
    }
    const { code, message } = error as NodeJS.ErrnoException;
    log.fatal({ code }, `the gateway cannot start: ${message}`);
    await end(1);
    return;
  }
  if ((state as string) === 'stopping') {
    await stop();
    return;
  }
  state = 'running';
  announce(gateway, log);
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
