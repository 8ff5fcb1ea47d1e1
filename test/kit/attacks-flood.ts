import { WebSocket } from 'ws';
import type { Attack, Traffic } from './attack.ts';
import { type AttackGround, HELD } from './attack-ground.ts';
import { tcpOf } from './attacks-single.ts';

const authorization = (ground: AttackGround) => `Authorization: Bearer ${ground.token}\r\n`;
/** An answer of some 8 MB, by a document that nobody has sent before. */
const largeQuery = (at: number) =>
  `{x${at}:__typename contracts{snapshot{${Array.from({ length: 14 }, (_, raw) => `r${raw}:raw`).join(' ')}}}}`;

/** Counts what an attack sends and is answered. */
class Counted implements Traffic {
  messages = 0;
  bytesIn = 0;
  bytesOut = 0;
  core: number | undefined;

  send(socket: WebSocket, message: object): void {
    if (socket.readyState !== WebSocket.OPEN) return;
    const text = JSON.stringify(message);
    this.messages++;
    this.bytesIn += text.length;
    socket.send(text);
  }

  subscribe(socket: WebSocket, id: string, query: string, variables?: object): void {
    this.send(socket, {
      id,
      type: 'subscribe',
      payload: { query, ...(variables && { variables }) },
    });
  }

  /** A request on a connection of its own whose answer nobody reads; several as a pipeline. */
  unreadRequest(ground: AttackGround, query: string, times = 1, accept = 'application/json'): void {
    const socket = ground.socket();
    socket.pause();
    const request = `GET /graphql?query=${encodeURIComponent(query)} HTTP/1.1\r\nHost: x\r\nAccept: ${accept}\r\n${authorization(ground)}\r\n`;
    this.messages += times;
    this.bytesIn += times * request.length;
    socket.write(request.repeat(times));
  }

  read(socket: WebSocket): void {
    socket.on('message', (data: Buffer) => {
      this.bytesOut += data.length;
    });
  }
}

/** Runs `step` again and again, so many milliseconds apart, until the time is over. */
async function again(ms: number, everyMs: number, step: (at: number) => unknown): Promise<void> {
  const endsAtMs = performance.now() + ms;
  for (let at = 0; performance.now() < endsAtMs; at++) {
    await step(at);
    await new Promise((resolve) => setTimeout(resolve, everyMs));
  }
}

const leaves = (count: number, name: string) =>
  Array.from({ length: count }, (_, at) => `${name}${at}:timestamp`).join(' ');

/** What is sent again and again for as long as one likes, by one client with one key. */
export const FLOODS: readonly Attack[] = [
  {
    name: 'distinct documents that are long, valid and faulty',
    mostGrownMb: 25,
    async run(ground, _random, ms) {
      const counted = new Counted();
      const sockets = await Promise.all(Array.from({ length: 3 }, () => ground.webSocket()));
      for (const socket of sockets) counted.read(socket);
      await again(Math.max(ms, 1_500), 20, (at) => {
        for (const [place, socket] of sockets.entries()) {
          const faults = Array.from({ length: 900 }, (_, one) => `f${at}x${place}x${one}`);
          const valid = `contract(name:"c1"){${'id name status statusReason statusCode contractId '.repeat(75)}}`;
          const isFaulty = at % 2 === 0;
          counted.subscribe(
            socket,
            String(at),
            `{${isFaulty ? faults.join(' ') : valid}}#${at}x${place}`,
          );
        }
      });
      return counted;
    },
  },
  {
    name: 'distinct documents of every contract',
    async run(ground, _random, ms) {
      const counted = new Counted();
      const socket = await ground.webSocket();
      counted.read(socket);
      await again(ms, 25, async (at) => {
        const selection = `x${at}:id name status snapshot{${leaves(10, `y${at}x`)} aggregate{lastPrice date time} bestLimits(depth:${at}){level}}`;
        counted.subscribe(socket, String(at), `{contracts{z${selection}}}`);
        const response = await fetch(`${ground.gateway.url}/graphql`, {
          method: 'POST',
          headers: { 'content-type': 'application/json', authorization: `Bearer ${ground.token}` },
          body: JSON.stringify({ query: `{contracts{${selection}}}` }),
        });
        counted.messages++;
        counted.bytesIn += selection.length;
        counted.bytesOut += (await response.arrayBuffer()).byteLength;
      });
      return counted;
    },
  },
  {
    name: 'distinct subscriptions to every contract',
    async run(ground, _random, ms) {
      const counted = new Counted();
      const socket = await ground.webSocket();
      counted.read(socket);
      await again(ms, 30, async (at) => {
        const query = `subscription($n:[String!]){contractUpdates(names:$n){x${at}:id snapshot{${leaves(10, `y${at}x`)}}}}`;
        counted.subscribe(socket, String(at), query, { n: HELD });
        await new Promise((resolve) => setTimeout(resolve, 10));
        counted.send(socket, { id: String(at), type: 'complete' });
      });
      return counted;
    },
  },
  {
    name: 'unread results over WebSocket',
    mostGrownMb: 100,
    async run(ground, _random, ms) {
      const counted = new Counted();
      const sockets = await Promise.all(Array.from({ length: 10 }, () => ground.webSocket()));
      for (const socket of sockets) socket.pause();
      await again(ms, 100, (at) => {
        for (const socket of sockets) {
          for (let one = 0; one < 5; one++)
            counted.subscribe(socket, `${at}x${one}`, largeQuery(at));
        }
      });
      return counted;
    },
  },
  {
    name: 'unread errors over WebSocket',
    async run(ground, _random, ms) {
      const counted = new Counted();
      const sockets = await Promise.all(Array.from({ length: 20 }, () => ground.webSocket()));
      for (const socket of sockets) socket.pause();
      const faults = Array.from({ length: 10 }, (_, at) => `${'f'.repeat(250)}${at}`).join(' ');
      await again(ms, 20, (at) => {
        for (const socket of sockets) counted.subscribe(socket, `${at}`, `{${faults}}`);
      });
      return counted;
    },
  },
  {
    name: 'unread pongs',
    mostGrownMb: 12,
    async run(ground, random, ms) {
      const counted = new Counted();
      await again(ms, 200, async (at) => {
        // Each may leave CLIENT_BUFFER_BYTES unread.
        if (at >= 6) return;
        const socket = await ground.webSocket();
        socket.pause();
        for (let one = 0; one < 100; one++) {
          const payload = { x: 'x'.repeat(random.integer(90_000, 110_000)) };
          counted.send(socket, { type: 'ping', payload });
        }
        // And those of the WebSocket protocol, which come behind no rate.
        const other = await ground.webSocket();
        other.pause();
        const ping = Buffer.concat([Buffer.from([0x89, 0x80 | 125]), Buffer.alloc(4 + 125, 0x20)]);
        tcpOf(other).write(Buffer.concat(Array.from({ length: 100_000 }, () => ping)));
      });
      return counted;
    },
  },
  {
    name: 'unread updates over WebSocket',
    async run(ground, _random, ms) {
      const counted = new Counted();
      const sockets = await Promise.all(Array.from({ length: 20 }, () => ground.webSocket()));
      for (const socket of sockets) {
        socket.pause();
        for (let one = 0; one < 10; one++) {
          const id = `${'i'.repeat(250)}${one}`;
          counted.subscribe(
            socket,
            id,
            `subscription{contractUpdates(names:["A"]){snapshot{${Array.from({ length: 10 }, (_, at) => `r${at}:raw`).join(' ')}}}}`,
          );
        }
      }
      await again(ms, 5, () => ground.publishWitnessed());
      return counted;
    },
  },
  {
    name: 'unread answers over HTTP, a connection each',
    async run(ground, _random, ms) {
      const counted = new Counted();
      for (let one = 0; one < 100; one++) counted.unreadRequest(ground, largeQuery(one % 3));
      await again(ms, 100, (at) => counted.unreadRequest(ground, largeQuery(at)));
      return counted;
    },
  },
  {
    name: 'unread answers over HTTP, in a pipeline',
    async run(ground, _random, ms) {
      const counted = new Counted();
      await again(ms, 200, (at) => {
        counted.unreadRequest(ground, largeQuery(at), 50);
        counted.unreadRequest(ground, '{contracts{id snapshot{raw}}}', 50);
        counted.unreadRequest(ground, `{contract(name:"q${at}",waitMs:30000){id}}`, 20);
      });
      return counted;
    },
  },
  {
    name: 'unread event streams, also in a pipeline',
    mostGrownMb: 12,
    async run(ground, _random, ms) {
      const counted = new Counted();
      const raws = Array.from({ length: 10 }, (_, at) => `r${at}:raw`).join(' ');
      const query = `subscription{contractUpdates(names:["A"]){snapshot{${raws}}}}`;
      const multipart = 'multipart/mixed;subscriptionSpec=1.0';
      for (const accept of ['text/event-stream', multipart]) {
        for (const times of [1, 40]) counted.unreadRequest(ground, query, times, accept);
      }
      await again(Math.max(ms, 1_500), 5, () => ground.publishWitnessed());
      return counted;
    },
  },
  {
    name: 'queries that wait',
    async run(ground, _random, ms) {
      const counted = new Counted();
      const sockets = await Promise.all(Array.from({ length: 20 }, () => ground.webSocket()));
      let waiting = 0;
      for (const socket of sockets) {
        socket.on('message', (data) => {
          if (/"type":"(complete|error)"/.test(String(data))) waiting--;
        });
      }
      await again(ms, 40, (at) => {
        waiting += sockets.length;
        for (const [place, socket] of sockets.entries()) {
          const names = JSON.stringify(
            Array.from({ length: 20 }, (_, one) => `quiet${(at * 20 + one) % 100}`),
          );
          counted.subscribe(
            socket,
            String(at),
            `{contracts(names:${names},waitMs:30000){x${at}x${place}:id}}`,
          );
        }
        counted.unreadRequest(ground, `{contract(name:"quiet1",waitMs:30000){y${at}:id}}`);
      });
      // MAX_OPERATIONS_IN_FLIGHT_PER_PRINCIPAL; none of them ends for 30 s by itself.
      await ground.until('at most 100 queries wait', async () => waiting <= 100);
      return counted;
    },
  },
  {
    name: 'long ids',
    async run(ground, _random, ms) {
      const counted = new Counted();
      await again(ms, 50, async () => {
        const socket = await ground.webSocket();
        const closed = new Promise<number>((resolve) => socket.on('close', resolve));
        for (let one = 0; one < 50; one++) {
          const id = `${'i'.repeat(100_000)}${one}`;
          counted.subscribe(
            socket,
            id,
            'subscription{contractUpdates(names:["A"]){status snapshot{aggregate{lastPrice}}}}',
          );
        }
        ground.publishWitnessed();
        // CloseCode.BadRequest.
        const code = await Promise.race([
          closed,
          new Promise((resolve) => setTimeout(resolve, 3_000, 'not at all')),
        ]);
        if (code !== 4400) throw new Error(`an id of 100,000 characters: closed with ${code}`);
      });
      return counted;
    },
  },
  {
    name: 'pings',
    mostCore: 0.8,
    async run(ground, _random, ms) {
      const counted = new Counted();
      await again(ms, 100, async () => {
        const socket = await ground.webSocket();
        counted.read(socket);
        for (let one = 0; one < 200; one++) counted.send(socket, { type: 'ping' });
      });
      return counted;
    },
  },
  {
    name: 'a connection for each request',
    mostCore: 0.8,
    async run(ground, _random, ms) {
      const counted = new Counted();
      let served = 0;
      const request = `GET /graphql?query={__typename} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n${authorization(ground)}\r\n`;
      await again(ms, 20, () => {
        for (let one = 0; one < 10; one++) {
          const socket = ground.socket();
          socket.on('data', (data) => {
            if (String(data).startsWith('HTTP/1.1 200')) served++;
            counted.bytesOut += data.length;
          });
          counted.messages++;
          counted.bytesIn += request.length;
          socket.write(request);
        }
      });
      // The rate of one connection, with its burst, and the time that the last answers take.
      const most = 50 * (ms / 1_000 + 3);
      if (served > most) throw new Error(`${served} requests were served, at most ${most}`);
      return counted;
    },
  },
];

/** A client that rests for a while and then reads on; the ground's CLIENT_BUFFER_BYTES is small. */
export const PAUSES: Attack = {
  name: 'a client that rests and reads on',
  async run(ground) {
    const counted = new Counted();
    const socket = await ground.webSocket();
    let last = '';
    socket.on('message', (data) => {
      last = String(data);
    });
    const query = 'subscription{contractUpdates(names:["c1"]){snapshot{a:raw b:raw}}}';
    counted.subscribe(socket, '1', query);
    await ground.until('it begins', async () => last !== '');
    for (let price = 10_000; price < 10_002; price++) {
      socket.pause();
      for (let one = 0; one < 3_000; one++) {
        ground.publish('c1', one);
        // A tick for each: what is unsent is then less than a socket's own bound.
        await new Promise((resolve) => setImmediate(resolve));
      }
      // All of it has been read from IME.
      await new Promise((resolve) => setTimeout(resolve, 600));
      socket.resume();
      await new Promise((resolve) => setTimeout(resolve, 200));
      ground.publish('c1', price);
      const isTold = async () => last.includes(String(price));
      await ground.until('it is told the latest', isTold, 5_000);
    }
    if (socket.readyState !== WebSocket.OPEN) throw new Error('a client that reads was closed');
    return counted;
  },
};

/** CLIENT_STALL_MS where clients rest, and longer than they do on a busy machine, or take nothing at all. */
export const STALL_MS = 4_000;

/** Clients that take nothing of anything; the ground's CLIENT_STALL_MS is {@link STALL_MS}. */
export const TAKES_NOTHING: Attack = {
  name: 'clients that take nothing are cut',
  async run(ground) {
    const counted = new Counted();
    const raws = Array.from({ length: 28 }, (_, at) => `r${at}:raw`).join(' ');
    const stream = `subscription{contractUpdates(names:["A"]){snapshot{${raws}}}}`;
    const cut = async () => {
      const text = await (await fetch(`${ground.gateway.url}/metrics`)).text();
      return Number(/stalled_clients_total (\d+)/.exec(text)?.[1]);
    };
    const before = await cut();
    const [results, pongs] = await Promise.all([ground.webSocket(), ground.webSocket()]);
    results.pause();
    pongs.pause();
    for (let at = 0; at < 2; at++) counted.subscribe(results, String(at), rawsOf(60, at));
    for (let at = 0; at < 90; at++) {
      counted.send(pongs, { type: 'ping', payload: { x: 'x'.repeat(100_000) } });
    }
    counted.unreadRequest(ground, rawsOf(60, 0));
    counted.unreadRequest(ground, stream, 1, 'text/event-stream');
    await ground.until('all are cut', async () => {
      ground.publishWitnessed();
      return (await cut()) - before >= 4;
    });
    // Who is cut is gone, and not cut again.
    await new Promise((resolve) => setTimeout(resolve, 1.5 * STALL_MS));
    const all = (await cut()) - before;
    if (all !== 4) throw new Error(`4 clients were cut ${all} times`);
    return counted;
  },
};

/** A query for so many KB of each contract, about. */
function rawsOf(kilobytes: number, at: number): string {
  const [roots, raws] = [Math.ceil(kilobytes / 20), 20];
  const fragment = Array.from({ length: raws }, (_, raw) => `r${raw}:raw`).join(' ');
  const fields = Array.from({ length: roots }, (_, root) => `s${root}:snapshot{...F}`).join(' ');
  return `{x${at}:__typename contracts{${fields}}} fragment F on Snapshot{${fragment}}`;
}

/** Subscriptions that hold updates of ten contracts each back, as many as are asked for. */
export const paced = (count: number, mostCore: number): Attack => ({
  name: `${count} subscriptions with a pace that hold everything back`,
  async run(ground, _random, ms) {
    const counted = new Counted();
    const held = HELD.slice(0, 10);
    const query = `subscription{contractUpdates(names:${JSON.stringify(held)},initial:false,maxUpdatesPerSecond:0.01){snapshot{timestamp}}}`;
    for (let opened = 0; opened < count; opened += 100) {
      const socket = await ground.webSocket();
      for (let id = 0; id < 100; id++) counted.subscribe(socket, String(id), query);
    }
    await ground.until(
      'all are open',
      async () => (await ground.gateway.usage()).report.subscriptions > count,
    );
    // The first update goes out, the second is held back.
    for (let price = 2; price <= 4; price++) {
      for (const name of held) ground.publish(name, price);
    }
    await new Promise((resolve) => setTimeout(resolve, 1_000 + count / 2));
    await ground.quietly(async () => {
      const before = await ground.gateway.usage();
      const atMs = performance.now();
      await new Promise((resolve) => setTimeout(resolve, ms));
      const cpuMs = (await ground.gateway.usage()).cpuMs - before.cpuMs;
      const core = cpuMs / (performance.now() - atMs);
      if (core > mostCore) throw new Error(`what is held back costs ${core.toFixed(3)} of a core`);
      counted.core = core;
    });
    return counted;
  },
});
