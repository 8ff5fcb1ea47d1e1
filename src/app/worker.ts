import type { Config } from '../config/command-line.ts';
import type { Logger } from '../observability/log.ts';
import type { WorkerAddress } from '../workers/crew/worker-crew.ts';
import { connectToPrimary } from '../workers/link/door.ts';
import { Colleagues, type PrimaryFacts } from './colleagues.ts';
import { type GatewayParts, type RunningGateway, startGateway } from './gateway.ts';

/** How a worker is told to stop. */
export interface StopOrder {
  readonly drainMs: number;
  /** Another process has taken its place already. */
  readonly handsOver: boolean;
}

/**
 * Starts a worker: a gateway whose contracts are those of the first process.
 *
 * @param path of the socket at which the first process is found
 * @param stop called when the first process has it stop
 * @throws as {@link startGateway} does
 */
export async function startWorker(
  config: Config,
  log: Logger,
  path: string,
  stop: (order: StopOrder) => void,
  parts: GatewayParts,
): Promise<RunningGateway> {
  const channel = await connectToPrimary(path, (error) => {
    log.error({ error }, 'the first process cannot be understood');
  });
  channel.answers('stop', stop);
  channel.tell('hello', { pid: process.pid });
  const facts = await channel.ask<PrimaryFacts>('facts', {});
  const colleagues = new Colleagues(channel, facts);
  try {
    const gateway = await startGateway(config, log, { ...parts, colleagues });
    channel.answers('reload', () => gateway.reload());
    channel.tell('ready', gateway.address satisfies WorkerAddress);
    return gateway;
  } catch (error) {
    channel.close();
    throw error;
  }
}
