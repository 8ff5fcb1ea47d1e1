/**
 * A gateway in a process of its own, for attacks whose price is measured: `Attacked` starts it and asks it
 * by messages. Its settings come in the environment, as the gateway's own do.
 */
import { startGateway } from '../../src/app/gateway.ts';
import { readConfig } from '../../src/config/command-line.ts';
import { createLog } from '../../src/observability/log.ts';
import type { AttackedAnswer, AttackedQuestion, AttackedUsage } from './attacked.ts';

const SAMPLE_MS = 50;

const faults: string[] = [];
const timeOfDay = Date.now.bind(Date);
let clockIsAheadByMs = 0;
Date.now = () => timeOfDay() + clockIsAheadByMs;

const line = readConfig([], { ...process.env, PORT: '0' });
if (line.run !== 'start') throw new Error(JSON.stringify(line));
const log = createLog('error', { write: (text) => void faults.push(text) });
const gateway = await startGateway(line.config, log);

let mostRssBytes = 0;
let mostBufferBytes = 0;
let worstStallMs = 0;
let sampledAtMs = performance.now();
setInterval(() => {
  const nowMs = performance.now();
  worstStallMs = Math.max(worstStallMs, nowMs - sampledAtMs - SAMPLE_MS);
  sampledAtMs = nowMs;
  const { rss, external } = process.memoryUsage();
  mostRssBytes = Math.max(mostRssBytes, rss);
  mostBufferBytes = Math.max(mostBufferBytes, external);
}, SAMPLE_MS);

/** What has been used so far; the highest values are those since this was asked last. */
function usage(collect: boolean): AttackedUsage {
  const { user, system } = process.cpuUsage();
  const mostRss = Math.max(mostRssBytes, process.memoryUsage().rss);
  const mostBuffers = mostBufferBytes;
  const stallMs = worstStallMs;
  if (collect) globalThis.gc?.();
  const { rss, heapUsed, external } = process.memoryUsage();
  mostRssBytes = rss;
  mostBufferBytes = external;
  worstStallMs = 0;
  sampledAtMs = performance.now();
  return {
    cpuMs: (user + system) / 1_000,
    liveBytes: heapUsed + external,
    mostRssBytes: mostRss,
    mostBufferBytes: mostBuffers,
    worstStallMs: stallMs,
    report: gateway.report(),
    faults: [...faults],
  };
}

function answer(value: AttackedAnswer): void {
  process.send?.(value);
}

process.on('message', ({ number, ask, byMs }: AttackedQuestion) => {
  switch (ask) {
    case 'usage':
    case 'live usage':
      answer({ number, usage: usage(ask === 'live usage') });
      break;
    case 'set clock':
      clockIsAheadByMs = byMs ?? 0;
      answer({ number });
      break;
    case 'reload':
      gateway.reload();
      answer({ number });
  }
});
process.on('disconnect', () => process.exit());
answer({ url: gateway.url });
