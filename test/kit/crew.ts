import { createInterface } from 'node:readline';
import type { Gateway } from '../../src/app/gateway.ts';
import { until } from './gateway.ts';
import { type GatewayProcess, spawnGateway, untilServed } from './gateway-process.ts';

interface LogLine {
  readonly msg: string;
  readonly worker?: number;
  readonly pid?: number;
  readonly [field: string]: unknown;
}

/** A gateway of several processes, and what it logs. */
export class Crew {
  readonly lines: LogLine[] = [];
  readonly process: GatewayProcess;
  readonly gateway: Gateway;

  private constructor(process: GatewayProcess) {
    this.process = process;
    this.gateway = process.gateway;
    const { stdout } = process.child;
    if (stdout === null) throw new Error('its log goes elsewhere');
    createInterface({ input: stdout }).on('line', (line) => {
      this.lines.push(JSON.parse(line) as LogLine);
    });
  }

  /** Starts one, and waits until all of it serves. */
  static async start(settings: Record<string, string>): Promise<Crew> {
    const crew = new Crew(await spawnGateway({ settings: { WORKERS: '2', ...settings } }));
    await untilServed(crew.gateway.url);
    await crew.line(({ msg }) => msg.startsWith('listening on'));
    return crew;
  }

  /** Waits for a line of the log. */
  async line(is: (line: LogLine) => boolean, withinMs?: number): Promise<LogLine> {
    await until(() => this.lines.some(is), `the log says ${is}`, withinMs);
    return this.lines.find(is) as LogLine;
  }

  /** The process IDs of each worker, the newest last. */
  pids(worker: number): number[] {
    return this.lines.flatMap((line) =>
      line.msg === 'a worker serves' && line.worker === worker ? (line.pid ?? []) : [],
    );
  }

  /** How many clients have connected to each worker, by its number. */
  get arrivals(): Record<number, number> {
    const counts: Record<number, number> = {};
    for (const { msg, worker = 0 } of this.lines) {
      if (msg === 'a client has connected') counts[worker] = (counts[worker] ?? 0) + 1;
    }
    return counts;
  }
}
