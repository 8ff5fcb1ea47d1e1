import type { WebSocket } from 'ws';
import type { SeededRandom } from '../../src/simulator/random.ts';
import type { Attack, Traffic } from './attack.ts';
import { HeavyOperations } from './attack-documents.ts';
import type { AttackGround } from './attack-ground.ts';

/** A measurement on a machine that does other things is repeated where it is over the bound. */
const TRIES = 5;
const MOST_MESSAGE_BYTES = 131_072;
const MOST_REFUSAL_BYTES = 2_000;

/** Sends one operation and waits for all of its answer. @returns its length */
type Way = (ground: AttackGround, body: string) => Promise<number>;

const overHttp: Way = async (ground, body) => {
  const response = await fetch(`${ground.gateway.url}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${ground.token}` },
    body,
  });
  return (await response.arrayBuffer()).byteLength;
};

const overWebSocket: Way = async (ground, body) => {
  const socket = await ground.webSocket();
  const bytes = await new Promise<number>((resolve) => {
    socket.on('message', (data) => resolve(String(data).length));
    socket.on('close', () => resolve(0));
    socket.send(`{"id":"1","type":"subscribe","payload":${body}}`);
  });
  socket.terminate();
  return bytes;
};

/** Bytes that are no operation at all, as a whole message or body. */
function oddBody(random: SeededRandom): string {
  const open = '{"x":1234567890123456789,"y":"';
  return [
    open + '\\"'.repeat(50_000),
    `${open}${'x'.repeat(100_000)}`,
    '['.repeat(100_000),
    `{"query":"query($n:[String!]){contracts(names:$n){id}}","variables":{"n":${'['.repeat(20_000)}${']'.repeat(20_000)}}}`,
    `{"query":"{__typename}","variables":${'{"a":'.repeat(20_000)}1${'}'.repeat(20_000)}}`,
    '"'.repeat(100_000),
    `[${'1234567890123456789,'.repeat(5_000)}1]`,
    `{"query":${'\\'.repeat(50_000)}`,
  ][random.integer(0, 7)] as string;
}

/**
 * Every kind of heavy operation, one after the other, each measured by itself.
 *
 * @param mostCpuMs what a single message or request may take, in milliseconds of CPU on an idle machine
 */
export const singleMessages = (mostCpuMs: number): Attack => ({
  name: 'single messages, each as heavy as can be',
  async run(ground, random, ms): Promise<Traffic> {
    const heavy = new HeavyOperations(random);
    const endsAtMs = performance.now() + ms;
    const traffic = { messages: 0, bytesIn: 0, bytesOut: 0 };
    await ground.quietly(async () => {
      while (performance.now() < endsAtMs) {
        const { name, payload, isRefused } = heavy.next();
        const isOdd = random.chance(0.15);
        const body = isOdd ? oddBody(random) : JSON.stringify(payload);
        const isShort = body.length < MOST_MESSAGE_BYTES - 100;
        const way = isShort && random.chance(0.5) ? overWebSocket : overHttp;
        let leastMs = Number.POSITIVE_INFINITY;
        for (let time = 0; time < TRIES && leastMs > mostCpuMs; time++) {
          // A comment more makes it another document.
          const another = isOdd ? body : body.replace('#', `#${time}`);
          const slowness = time === 0 ? 1 : await ground.gateway.slowness();
          const { cpuMs: before } = await ground.gateway.usage(time > 0);
          const bytes = await way(ground, another);
          if (!isOdd && isRefused && bytes > MOST_REFUSAL_BYTES) {
            throw new Error(`${name} is answered with ${bytes} bytes: ${body.slice(0, 300)}`);
          }
          traffic.bytesOut += bytes;
          traffic.bytesIn += another.length;
          traffic.messages++;
          const { cpuMs } = await ground.gateway.usage();
          leastMs = Math.min(leastMs, (cpuMs - before) / slowness);
        }
        if (leastMs > mostCpuMs) {
          const what = isOdd ? 'an odd body' : name;
          throw new Error(
            `${what} of ${body.length} bytes takes ${leastMs.toFixed(0)} ms of CPU: ${body.slice(0, 300)}`,
          );
        }
      }
    });
    return traffic;
  },
});

/** A body in as many pieces as it has bytes. */
export const PIECES: Attack = {
  name: 'bodies and messages in pieces of one byte',
  mostCpuMsEach: 70,
  mostGrownMb: 40,
  async run(ground, _random, ms) {
    const traffic = { messages: 0, bytesIn: 0, bytesOut: 0 };
    const endsAtMs = performance.now() + ms;
    const chunked = Buffer.from(
      `POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nAuthorization: Bearer ${ground.token}\r\nTransfer-Encoding: chunked\r\n\r\n${'1\r\n \r\n'.repeat(250_000)}`,
    );
    const fragment = (head: number) => Buffer.from([head, 0x81, 0, 0, 0, 0, 0x20]);
    const fragments = Buffer.concat([
      fragment(0x01),
      ...Array.from({ length: 16_000 }, () => fragment(0)),
    ]);
    while (performance.now() < endsAtMs) {
      // A body is never complete: what was collected for it is kept.
      ground.socket().write(chunked);
      const webSocket = await ground.webSocket();
      tcpOf(webSocket).write(fragments);
      traffic.messages += 2;
      traffic.bytesIn += chunked.length + fragments.length;
      await new Promise((resolve) => setTimeout(resolve, 250));
    }
    return traffic;
  },
};

/** The connection below a WebSocket, to write what no client would. */
export function tcpOf(socket: WebSocket): { write(bytes: Buffer): void } {
  return (socket as unknown as { _socket: { write(bytes: Buffer): void } })._socket;
}
