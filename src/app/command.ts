import { configText, helpText, readConfig } from '../config/command-line.ts';
import { SETTINGS } from '../config/settings.ts';
import { processLog } from '../observability/log.ts';
import { VERSION } from './gateway.ts';
import { EXIT_BAD_SETTING, GatewayProcess } from './gateway-process.ts';

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
      await new GatewayProcess(
        commandLine.config,
        processLog(commandLine.config.LOG_LEVEL),
      ).start();
  }
}
