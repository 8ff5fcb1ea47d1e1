import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import type { Attack, Traffic } from './attack.ts';
import type { AttackGround } from './attack-ground.ts';
import { tcpOf } from './attacks-single.ts';

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
const NOTHING: Traffic = { messages: 1, bytesIn: 0, bytesOut: 0 };

/** A text message of a WebSocket's client. Source of the layout: RFC 6455, 5.2. */
function frame(message: object): Buffer {
  const payload = Buffer.from(JSON.stringify(message));
  const head = Buffer.from([0x81, 0xfe, payload.length >>> 8, payload.length & 0xff, 0, 0, 0, 0]);
  return Buffer.concat([head, payload]);
}

const subscribe = (id: string, query: string) => ({ id, type: 'subscribe', payload: { query } });
const updates = (...names: string[]) =>
  `subscription{contractUpdates(names:${JSON.stringify(names)}){id}}`;

/** Everything that a WebSocket is told. */
function heard(socket: {
  on(event: 'message', listener: (data: unknown) => void): unknown;
}): string[] {
  const texts: string[] = [];
  socket.on('message', (data) => texts.push(String(data)));
  return texts;
}

/** Sends a request whose headers and body are apart, and does something in between. */
async function apart(
  ground: AttackGround,
  query: string,
  between: () => Promise<void>,
): Promise<() => string> {
  const body = JSON.stringify({ query });
  const socket = ground.socket();
  let text = '';
  socket.on('data', (data) => {
    text += data;
  });
  socket.write(
    `POST /graphql HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${ground.token}\r\nAccept: text/event-stream\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body.slice(0, 5)}`,
  );
  await pause(50);
  await between();
  socket.write(body.slice(5));
  return () => text;
}

/** Attacks that need a moment between two things, with keys from a file. */
export const RACES: readonly Attack[] = [
  {
    name: 'ids that are used again within one segment',
    async run(ground, random) {
      for (let round = 0; round < 10; round++) {
        const socket = await ground.webSocket();
        const texts = heard(socket);
        const names = Array.from(
          { length: random.integer(2, 6) },
          (_, at) => `c${10 * round + at}`,
        );
        const messages = names.flatMap((name, at) => [
          ...(at > 0 ? [{ id: '1', type: 'complete' }] : []),
          subscribe('1', updates(name)),
        ]);
        tcpOf(socket).write(Buffer.concat(messages.map(frame)));
        const last = names.at(-1);
        await ground.until('the last one is told', async () =>
          texts.some((text) => text.includes(`"name:${last}"`)),
        );
        const before = texts.length;
        for (const name of names) ground.publish(name, 2 + round);
        await ground.until('it is told again', async () => texts.length > before);
        await pause(20);
        const others = texts.slice(before).filter((text) => !text.includes(`"name:${last}"`));
        if (others.length > 0) throw new Error(`completed, and told: ${others[0]}`);
      }
      return NOTHING;
    },
  },
  {
    name: 'a key that is taken away while a body is on its way',
    async run(ground) {
      const answer = await apart(ground, updates('c1'), async () => {
        ground.writeKeys(undefined);
        await ground.gateway.reload();
      });
      await ground.until('it is answered', async () => answer().length > 0);
      ground.publish('c1', 7);
      await pause(200);
      ground.writeKeys({});
      await ground.gateway.reload();
      if (!answer().startsWith('HTTP/1.1 401')) throw new Error(`no key, and told: ${answer()}`);
      return NOTHING;
    },
  },
  {
    name: 'rights that become less while a body is on its way',
    async run(ground) {
      const answer = await apart(ground, updates('c1', 'c2'), async () => {
        ground.writeKeys({ contracts: ['name:c2'] });
        await ground.gateway.reload();
      });
      await ground.until('it is answered', async () => answer().includes('name:c2'));
      ground.publish('c1', 8);
      await pause(100);
      ground.writeKeys({});
      await ground.gateway.reload();
      if (/"id":"name:c1"/.test(answer())) throw new Error(`no right, and told: ${answer()}`);
      return NOTHING;
    },
  },
  {
    name: 'limits and rights that become less under a connection',
    async run(ground) {
      const socket = await ground.webSocket();
      const texts = heard(socket);
      let closed: number | undefined;
      socket.on('close', (code) => {
        closed = code;
      });
      socket.send(JSON.stringify(subscribe('wide', updates('c1', 'c2'))));
      await ground.until('it is open', async () => texts.length >= 2);
      ground.writeKeys({ limits: { contracts: 3 } });
      await ground.gateway.reload();
      socket.send(JSON.stringify(subscribe('two', updates('c3', 'c4'))));
      await ground.until('it is answered', async () =>
        texts.some((text) => /"id":"two"/.test(text)),
      );
      ground.writeKeys({ contracts: ['name:c2'] });
      await ground.gateway.reload();
      await ground.until('it is closed', async () => closed !== undefined);
      ground.writeKeys({});
      await ground.gateway.reload();
      const two = texts.find((text) => text.includes('"id":"two"'));
      if (!two?.includes('TOO_MANY_CONTRACTS')) throw new Error(`no place, and told: ${two}`);
      if (closed !== 4403) throw new Error(`no right any more, and closed with ${closed}`);
      return NOTHING;
    },
  },
];

/** Whoever gives out tokens, slowly where a test says so. */
export class TokenGiver {
  /** How long the keys take to come, in milliseconds; `undefined`: they do not come. */
  delayMs: number | undefined = 0;
  asked = 0;
  url = '';
  readonly #server: Server = createServer((_request, response) => {
    this.asked++;
    const { delayMs } = this;
    if (delayMs === undefined) response.writeHead(503).end();
    else setTimeout(() => response.end(this.#keys), delayMs);
  });
  #keys = '';
  #sign: (claims: Record<string, unknown>, keyId: string) => Promise<string> = async () => '';

  async start(): Promise<this> {
    const { privateKey, publicKey } = await generateKeyPair('ES256');
    const jwk = { ...(await exportJWK(publicKey)), alg: 'ES256', kid: 'first' };
    this.#keys = JSON.stringify({ keys: [jwk] });
    this.#sign = (claims, kid) =>
      new SignJWT(claims)
        .setProtectedHeader({ alg: 'ES256', kid })
        .setExpirationTime('1h')
        .sign(privateKey);
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    this.url = `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/`;
    return this;
  }

  /** A token of somebody for contracts; signed by a key of another name it has to be asked for anew. */
  token(sub: string, contracts: readonly string[], keyId = 'first'): Promise<string> {
    return this.#sign({ sub, contracts }, keyId);
  }

  close(): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }
}

async function streamAndLeave(ground: AttackGround, token: string, afterMs: number): Promise<void> {
  const socket = ground.socket();
  const query = encodeURIComponent(updates('c1'));
  socket.write(
    `GET /graphql?query=${query} HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\nAuthorization: Bearer ${token}\r\n\r\n`,
  );
  await pause(afterMs);
  socket.destroy();
}

/** Clients that leave before the very first keys have come. */
export async function leaveWhileChecked(ground: AttackGround, giver: TokenGiver): Promise<void> {
  giver.delayMs = 700;
  await Promise.all(
    Array.from({ length: 20 }, (_, at) => streamAndLeave(ground, ground.token, 20 * at)),
  );
  await pause(700);
  giver.delayMs = 0;
}

/** Attacks on what waits for the keys of tokens. */
export function tokenRaces(giver: TokenGiver): readonly Attack[] {
  return [
    {
      name: 'clients that have left while their token was checked',
      // They came before this: what is left of them is looked for afterwards.
      run: async () => NOTHING,
    },
    {
      name: 'a wide subscription and a narrower token in one segment',
      async run(ground, random) {
        for (let round = 0; round < 10; round++) {
          const socket = await ground.webSocket();
          const texts = heard(socket);
          const narrow = await giver.token('attacker', ['name:c2']);
          const renew = {
            ...subscribe('2', ''),
            payload: { query: `mutation{renewAuthorization(token:"${narrow}"){principal}}` },
          };
          const byOperation = {
            ...subscribe('3', ''),
            payload: {
              query: '{__typename}',
              extensions: { headers: { authorization: `Bearer ${narrow}` } },
            },
          };
          const messages = [
            subscribe('1', updates('c1', 'c2')),
            random.chance(0.5) ? renew : byOperation,
          ];
          if (random.chance(0.5)) messages.reverse();
          tcpOf(socket).write(Buffer.concat(messages.map(frame)));
          await ground.until('it is renewed', async () =>
            texts.some((text) => /"id":"[23]","type":"complete"/.test(text)),
          );
          await pause(30);
          const before = texts.length;
          ground.publish('c1', 20 + round);
          await pause(60);
          const wide = texts.slice(before).find((text) => text.includes('"name:c1"'));
          if (wide !== undefined) throw new Error(`no right any more, and told: ${wide}`);
        }
        return NOTHING;
      },
    },
    {
      name: 'tokens of keys that nobody has while the keys cannot be had',
      async run(ground, random) {
        giver.delayMs = undefined;
        const before = giver.asked;
        for (let round = 0; round < 10; round++) {
          await Promise.all(
            Array.from({ length: 5 }, async () => {
              const token = await giver.token('somebody', ['*'], `k${random.integer(1, 1e9)}`);
              await streamAndLeave(ground, token, random.integer(1, 60));
            }),
          );
        }
        giver.delayMs = 0;
        const asked = giver.asked - before;
        if (asked > 10) throw new Error(`the keys were asked for ${asked} times, at most 10`);
        return NOTHING;
      },
    },
  ];
}
