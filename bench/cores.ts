import { execFileSync } from 'node:child_process';
import { availableParallelism } from 'node:os';

/** The core of the server under test, which then competes with nothing of the benchmark. */
const SERVER_CORE = 0;

/**
 * Whether processes can be told which core to run on. Where they cannot, the scheduler puts the clients on
 * the server's core now and then, and figures vary by a fifth. Source: taskset(1) of util-linux.
 */
export const canPin = availableParallelism() > 1 && keepsOffServerCore();

/** The command that starts a server under test. */
export function onServerCore(command: string, args: readonly string[]): [string, string[]] {
  return canPin ? ['taskset', ['-c', String(SERVER_CORE), command, ...args]] : [command, [...args]];
}

/** Keeps this process, and those that it starts, off the server's core. */
function keepsOffServerCore(): boolean {
  const others = `${SERVER_CORE + 1}-${availableParallelism() - 1}`;
  try {
    execFileSync('taskset', ['-a', '-c', '-p', others, String(process.pid)], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}
