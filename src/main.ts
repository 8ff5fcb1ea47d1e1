import { readFileSync, writeSync } from 'node:fs';

/*
 * The way into the process. It imports nothing of the gateway before it can answer a signal, and say in one
 * line why it cannot start: where few files may be open, not even the gateway's own can be read.
 */

const STOPPING = ['SIGTERM', 'SIGINT'] as const;
const STDOUT = 1;
/** So many files are open at once while the gateway's own are read, and a few more. */
const FILES_TO_START = 400;

// Read while that can be done.
const most = mostFiles();
const stopNow = () => process.exit(0);
// Nothing to read anew yet; left alone it would end the process.
const ignore = () => {};
for (const signal of STOPPING) process.on(signal, stopNow);
process.on('SIGHUP', ignore);

try {
  const { runCommand } = await import('./app/command.ts');
  const running = runCommand(process.argv.slice(2), process.env);
  for (const signal of STOPPING) process.off(signal, stopNow);
  process.off('SIGHUP', ignore);
  await running;
} catch (error) {
  const { code, message } = error as NodeJS.ErrnoException;
  // Where one too many was to be opened, Node says of some files that there are none.
  const isShort = code === 'EMFILE' || (most !== undefined && most < FILES_TO_START);
  const reason = isShort ? `too few files may be open (ulimit -n: ${most ?? 'unknown'})` : message;
  const msg = `the gateway cannot start: ${reason}`;
  const line = { level: 'fatal', time: new Date().toISOString(), code, msg };
  try {
    writeSync(STDOUT, `${JSON.stringify(line)}\n`);
  } catch {
    // Nobody can be told.
  }
  process.exit(1);
}

/** How many files the process may have open; `undefined` where nobody says. */
function mostFiles(): number | undefined {
  try {
    const [, most] =
      /^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8')) ?? [];
    return most === undefined ? undefined : Number(most);
  } catch {
    return undefined;
  }
}
