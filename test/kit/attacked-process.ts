/**
 * A gateway in a process of its own, for attacks whose price is measured: `Attacked` starts it and asks it
 * by messages. Its settings come in the environment, as the gateway's own do.
 */
import { parse } from 'graphql';
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
  const mostRss = Math.max(mostRssBytes, process.memoryUsage().rss);
  const mostBuffers = mostBufferBytes;
  const stallMs = worstStallMs;
  if (collect) globalThis.gc?.();
  const { rss, heapUsed, external } = process.memoryUsage();
  // Behind the collection, which whoever is measured next has not caused.
  const { user, system } = process.cpuUsage();
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

/** CPU time of work that is always the same and like the gateway's own, in milliseconds: the least of a few. */
function yardstickMs(): number {
  const document = `{${'contracts(names:["a"]){id name} '.repeat(150)}}`;
  let leastMs = Number.POSITIVE_INFINITY;
  for (let time = 0; time < 3; time++) {
    const before = process.cpuUsage();
    for (let one = 0; one < 40; one++) JSON.stringify(parse(document, { noLocation: true }));
    const { user, system } = process.cpuUsage(before);
    leastMs = Math.min(leastMs, (user + system) / 1_000);
  }
  return leastMs;
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
    case 'yardstick':
      answer({ number, yardstickMs: yardstickMs() });
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
