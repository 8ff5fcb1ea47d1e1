/**
 * `npm run connections -- --clients 10000 --minutes 3`: that many connections held by one gateway with updates
 * flowing, then a flood of connections beyond its limit. Reports memory, CPU and latency.
 */
import { connect } from 'node:net';
import { parseArgs } from 'node:util';
import { Load } from './load.ts';
import { p99, sleep, subscriptionTo } from './measurement.ts';
import { ServerProcess, UpstreamProcess } from './servers.ts';

const EVERY_MS = 500;
const FLOOD_PER_SECOND = 500;
const FLOOD_MS = 30_000;

const { values } = parseArgs({
  options: {
    clients: { type: 'string', default: '10000' },
    minutes: { type: 'string', default: '3' },
  },
});
const clients = Number(values.clients);
const say = (text: string) => process.stdout.write(`${text}\n`);

const upstream = await UpstreamProcess.start();
const server = await ServerProcess.start('gateway', upstream.url, ['c0'], {
  MAX_CONNECTIONS: String(clients),
});
const load = new Load();
await sleep(1_500);
const { residentBytes: emptyBytes } = await server.memory();
await load.open(server.port, clients, () => subscriptionTo(['c0']), 'graphql-transport-ws');
say(`${clients} clients are subscribed`);
upstream.publish({ names: ['c0'], everyMs: EVERY_MS });
await sleep(5_000);

/** What a while with updates flowing costs. */
async function measure(ms: number): Promise<number> {
  load.reset();
  const cpu = server.cpuSeconds();
  await sleep(ms);
  const used = server.cpuSeconds() - cpu;
  const { frames, latenciesMs, wrong } = load.received;
  const expected = (ms / EVERY_MS) * clients;
  const latency = p99(latenciesMs);
  const { residentBytes: memory } = await server.memory();
  say(
    `${Math.round(ms / 1000)} s: ${frames} frames of ${expected} expected, ${wrong} wrong; CPU ${((used / ms) * 100_000).toFixed(0)} %, ` +
      `resident ${(memory / 2 ** 20).toFixed(0)} MB (${((memory - emptyBytes) / clients / 1024).toFixed(1)} KB a client), p99 ${latency.toFixed(1)} ms`,
  );
  return latency;
}

const calm = await measure(Number(values.minutes) * 60_000);
let refused = 0;
const flooding = setInterval(() => {
  for (let more = 0; more < FLOOD_PER_SECOND / 50; more++) {
    const socket = connect(server.port, '127.0.0.1', () => {
      socket.write(
        'GET /graphql HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: graphql-transport-ws\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n',
      );
    });
    socket.on('error', () => {});
    socket.on('data', () => socket.destroy());
    socket.on('close', () => refused++);
  }
}, 20);
const flooded = await measure(FLOOD_MS);
clearInterval(flooding);
say(
  `${refused} connections beyond the limit were refused; p99 ${(flooded / calm).toFixed(2)} × that before`,
);
load.close();
server.stop();
upstream.stop();
