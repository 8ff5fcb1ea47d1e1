import { type Config, configText, helpText, readConfig } from '../config/command-line.ts';
import { SETTINGS } from '../config/settings.ts';
import { processLog } from '../observability/log.ts';
import { PRIMARY_VARIABLE, WORKER_VARIABLE } from '../workers/crew/worker-crew.ts';
import { startGateway, VERSION } from './gateway.ts';
import { EXIT_BAD_SETTING, GatewayProcess, type ProcessRole } from './gateway-process.ts';
import { startPrimary } from './primary.ts';
import { startWorker } from './worker.ts';

/** Does what a command line asks for; a gateway that it starts runs on. */
export async function runCommand(
  args: readonly string[],
  environment: NodeJS.ProcessEnv,
): Promise<void> {
  const commandLine = readConfig([...args], environment);
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
      await start(commandLine.config, environment);
  }
}

/** Starts what this process is: a gateway, the first process of one, or a worker of it. */
async function start(config: Config, environment: NodeJS.ProcessEnv): Promise<void> {
  const path = environment[PRIMARY_VARIABLE];
  const worker = path === undefined ? undefined : Number(environment[WORKER_VARIABLE]);
  const isShared = config.WORKERS > 1;
  const output = processLog(config.LOG_LEVEL, isShared ? { worker } : undefined);
  await new GatewayProcess(roleOf(config, path), config, output).start();
}

function roleOf(config: Config, path: string | undefined): ProcessRole {
  if (path !== undefined) {
    return {
      start: (log, parts, stop) => startWorker(config, log, path, stop, parts),
      announces: false,
    };
  }
  if (config.WORKERS > 1) {
    return { start: (log, parts) => startPrimary(config, log, parts), announces: true };
  }
  return { start: (log, parts) => startGateway(config, log, parts), announces: true };
}
