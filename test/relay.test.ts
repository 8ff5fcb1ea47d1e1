import { spawn } from 'node:child_process';
import { describe, expect, onTestFinished, test } from 'vitest';
import { WebSocket } from 'ws';
import type { Gateway } from '../src/app/gateway.ts';
import { ask, Inbox, wsClient } from './kit/clients.ts';
import { liveMarket, names, TestExchange, testGateway, until } from './kit/gateway.ts';
import { keysOf, withKey, writeKeys } from './kit/keys.ts';
import { hasProgram, PYTHON } from './kit/programs.ts';
import { bearer, JWT, token } from './kit/tokens.ts';

const BASE = '/data-engine/ime/live/data/websocket/contract';
const target = (space: 'name' | 'id', texts: readonly string[], ...flags: string[]) =>
  `${BASE}/${space}?${[...texts.map((text) => `contract_${space}=${encodeURIComponent(text)}`), ...flags].join('&')}`;

/** IME's message of a contract with what no client of ours knows, spaced and ordered as IME likes. */
const message = (field: string, contract: string, price: number) =>
  `{ "channel": "IME Stream", "${field}" : "${contract}",  "timestamp":"2099-05-23T15:10:00.0000${price}",` +
  `"data":{"News":[1.50,"ی"],"Aggregate":{"last_price": ${price}.0, "unknown":{} } , "BestLimit":{}} }`;

/** A program that was written for IME: it knows nothing but messages and closes. */
class ImeClient {
  readonly messages: string[] = [];
  closed: number | undefined;
  reason = '';
  /** The status of the answer where the handshake was refused. */
  status: number | undefined;
  readonly socket: WebSocket;

  constructor(gateway: Gateway, path: string, headers: Record<string, string> = {}) {
    this.socket = new WebSocket(gateway.url.replace('http', 'ws') + path, { headers });
    this.socket.on('message', (data) => this.messages.push(String(data)));
    this.socket.on('close', (code, reason) => {
      this.closed = code;
      this.reason = String(reason);
    });
    this.socket.on('unexpected-response', (_request, response) => {
      this.status = response.statusCode;
      this.socket.terminate();
    });
    this.socket.on('error', () => {});
    onTestFinished(() => this.socket.terminate());
  }

  async gets(count: number): Promise<readonly string[]> {
    await until(() => this.messages.length >= count, `${count} messages have come`);
    return this.messages;
  }

  async isClosed(): Promise<number | undefined> {
    await until(() => this.closed !== undefined, 'it is closed');
    return this.closed;
  }
}

const follows = (gateway: Gateway, count = 1) =>
  until(() => gateway.report().subscriptions === count, `${count} follow contracts`);

describe("at IME's endpoints", () => {
  test.each([
    ['name', 'contractName', 'IME_PINNED_NAMES'],
    ['id', 'ContractId', 'IME_PINNED_IDS'],
  ] as const)('a message by %s is byte for byte what IME sent', async (space, field, pinned) => {
    const exchange = await new TestExchange().listen();
    const gateway = await testGateway({ IME_URL: exchange.url, [pinned]: 'سکه ۱,B' });
    await exchange.carries([`${space}:سکه ۱`, `${space}:B`]);
    const first = message(field, 'سکه ۱', 1);
    exchange.exchange.broadcast(first);
    await until(() => gateway.report().contracts.LIVE === 1, 'one is live');
    const client = new ImeClient(gateway, target(space, ['سکه ۱', 'B', 'سکه ۱']));
    await follows(gateway);
    const begun = new ImeClient(gateway, target(space, ['سکه ۱', 'B'], 'snapshot=true'));
    expect(await begun.gets(1)).toEqual([first]);
    const sent = [2, 3, 4].map((price) => message(field, price === 3 ? 'B' : 'سکه ۱', price));
    for (const frame of sent) exchange.exchange.broadcast(frame);
    expect(await client.gets(3)).toEqual(sent);
    expect(await begun.gets(4)).toEqual([first, ...sent]);
  });

  test('many share the sockets of those who speak GraphQL, and are clients as they are', async () => {
    const exchange = await new TestExchange().listen();
    const gateway = await testGateway({ IME_URL: exchange.url });
    const update = 'subscription { contractUpdates(names: ["A"]) { snapshot { raw } } }';
    const inbox = new Inbox<{ contractUpdates: { snapshot: { raw: string } | null } }>(
      wsClient(gateway),
      update,
    );
    const many = Array.from({ length: 50 }, () => new ImeClient(gateway, target('name', ['A'])));
    await follows(gateway, 51);
    await exchange.carries(names('A'));
    expect(gateway.report().clients).toBe(51);
    exchange.publish('name:A', 7);
    const [text] = await (many[0] as ImeClient).gets(1);
    for (const client of many) expect(await client.gets(1)).toEqual([text]);
    const raws = () => inbox.values.map(({ contractUpdates }) => contractUpdates.snapshot?.raw);
    await until(() => raws().includes(text), 'so are those who speak GraphQL');
    expect(exchange.exchange.subscriptions.length).toBe(1);
    for (const { socket } of many) socket.close();
    await follows(gateway, 1);
  });

  test('a change of the status alone is no message', async () => {
    const [exchange, gateway] = await liveMarket(['A'], ['A']);
    const clients = ['snapshot=true', ''].map(
      (flag) => new ImeClient(gateway, target('name', ['A'], flag)),
    );
    await follows(gateway, 2);
    exchange.exchange.drop();
    await until(() => gateway.report().contracts.STALE === 1, 'it is stale');
    await until(() => gateway.report().upstream.sockets.length === 1, 'it is dialed again');
    await exchange.carries(names('A'));
    exchange.publish('name:A', 2);
    const [one, other] = clients as [ImeClient, ImeClient];
    await other.gets(1);
    expect((await one.gets(2)).length).toBe(2);
    expect(other.messages).toEqual(one.messages.slice(1));
  });

  test.each([
    ['one that IME does not know', ['A', 'gone']],
    ['one with a text that no contract has', ['A', 'a\u0007']],
    ['one that is too long', ['n'.repeat(257)]],
    ['none', []],
  ])('%s closes with 1008, as IME does', async (_what, asked) => {
    const exchange = await new TestExchange().listen();
    exchange.unlisted.add('name:gone');
    const gateway = await testGateway({ IME_URL: exchange.url });
    const client = new ImeClient(gateway, target('name', asked));
    expect(await client.isClosed()).toBe(1008);
    await until(() => gateway.report().subscriptions === 0, 'nothing is left');
    expect(client.messages).toEqual([]);
  });

  test('with strict=false a contract that is refused is left out', async () => {
    const exchange = await new TestExchange().listen();
    exchange.unlisted.add('name:gone');
    const gateway = await testGateway({ IME_URL: exchange.url });
    const client = new ImeClient(gateway, target('name', ['gone', 'A'], 'strict=false'));
    await until(() => gateway.report().contracts.INVALID === 1, 'it is refused');
    await exchange.carries(names('A'));
    exchange.publish('name:A', 1);
    expect((await client.gets(1))[0]).toContain('"contractName":"A"');
    expect(client.closed).toBeUndefined();
    const alone = new ImeClient(gateway, target('name', ['gone'], 'strict=false'));
    expect(await alone.isClosed()).toBe(1008);
  });

  test('tokens, in either form, and rights are those of GraphQL', async () => {
    const exchange = await new TestExchange().listen();
    const gateway = await testGateway({ ...JWT, IME_URL: exchange.url });
    const open = async (headers: Record<string, string>, flags = '') =>
      new ImeClient(gateway, target('name', ['A', 'B'], flags), headers);
    expect(await (await open({})).isClosed()).toBe(1008);
    expect(await (await open(bearer('no token'))).isClosed()).toBe(1008);
    const ofA = bearer(await token({ contracts: ['name:A'] }));
    expect(await (await open(ofA)).isClosed()).toBe(1008);
    const bare = await open({ authorization: await token() });
    const allowed = await open(ofA, 'strict=false');
    await follows(gateway, 2);
    await exchange.carries(names('A', 'B'));
    exchange.publish('name:B', 1);
    exchange.publish('name:A', 1);
    await bare.gets(2);
    expect(await allowed.gets(1)).toEqual([bare.messages[1]]);
    const short = await open(bearer(await token({}, 1)));
    expect(await short.isClosed()).toBe(1008);
  });

  test('a key that is revoked is closed', async () => {
    const settings = keysOf({ reader: {} });
    const [, gateway] = await liveMarket(['A'], ['A'], settings);
    const client = new ImeClient(gateway, target('name', ['A']), withKey('reader'));
    await follows(gateway);
    writeKeys(settings.AUTH_KEYS_FILE, { other: {} });
    gateway.reload();
    expect(await client.isClosed()).toBe(1008);
    await until(() => gateway.report().subscriptions === 0, 'nothing is left');
  });

  test('limits are those of GraphQL', async () => {
    const [, gateway] = await liveMarket(['A'], ['A'], {
      ...JWT,
      MAX_CONNECTIONS_PER_PRINCIPAL: '1',
      MAX_CONTRACTS_PER_SUBSCRIPTION: '2',
      MAX_OPERATIONS_PER_SECOND: '3',
    });
    const of = async (sub: string) => bearer(await token({ sub }));
    const one = new ImeClient(gateway, target('name', ['A']), await of('one'));
    await follows(gateway);
    const second = new ImeClient(gateway, target('name', ['A']), await of('one'));
    expect(await second.isClosed()).toBe(4429);
    const wide = new ImeClient(gateway, target('name', ['A', 'B', 'C']), await of('two'));
    expect(await wide.isClosed()).toBe(4429);
    for (let sent = 0; sent < 10; sent++) one.socket.send('x');
    expect(await one.isClosed()).toBe(4429);
    await until(() => gateway.report().clients === 0, 'all have gone');
  });

  test('a client whose contract IME has not answered for is told to come again', async () => {
    const gateway = await testGateway({ IME_URL: 'ws://127.0.0.1:1' });
    const client = new ImeClient(gateway, target('name', ['A']));
    const patient = new ImeClient(gateway, target('name', ['A'], 'strict=false'));
    expect(await client.isClosed()).toBe(1013);
    expect(client.reason).toContain('IME has not answered for A');
    expect(patient.closed).toBeUndefined();
  });

  test('a drain closes with 1012; others are told what there is', async () => {
    const [, gateway] = await liveMarket(['A'], ['A']);
    const answer = await fetch(gateway.url + target('name', ['A']));
    expect(answer.status).toBe(426);
    expect(new ImeClient(gateway, `${BASE}/names?contract_name=A`)).toMatchObject({});
    const client = new ImeClient(gateway, target('name', ['A']));
    await follows(gateway);
    await gateway.close(0);
    expect(await client.isClosed()).toBe(1012);
  });

  test('RELAY=off serves none of it', async () => {
    const gateway = await testGateway({ RELAY: 'off' });
    const client = new ImeClient(gateway, target('name', ['A']));
    await until(() => client.status !== undefined, 'it is answered');
    expect(client.status).toBe(404);
    expect((await fetch(gateway.url + target('name', ['A']))).status).toBe(404);
  });

  test('GraphQL is not disturbed by what is asked here', async () => {
    const [, gateway] = await liveMarket(['A'], ['A']);
    const clients = Array.from(
      { length: 20 },
      (_, at) => new ImeClient(gateway, target('name', [at % 2 === 0 ? 'A' : 'a\u0007'])),
    );
    const { data } = await ask(gateway, '{ contract(name: "A") { status } }');
    expect(data).toEqual({ contract: { status: 'LIVE' } });
    for (const client of clients.filter((_, at) => at % 2 === 1)) {
      expect(await client.isClosed()).toBe(1008);
    }
  });
});

/** The document's reconnect example, host, token and parameters changed. Debian's library has its first name for them. */
const CLIENT = `
import asyncio
import os
import websockets
async def connect():
    while True:
        try:
            async with websockets.connect(
                os.environ["URI"],
                extra_headers={"Authorization": "Bearer " + os.environ["TOKEN"]},
                ping_interval=20,
                ping_timeout=20,
            ) as websocket:
                print("Connected", flush=True)
                while True:
                    print(await websocket.recv(), flush=True)
        except Exception as e:
            print("Disconnected:", e, flush=True)
            await asyncio.sleep(0.2)
asyncio.run(connect())
`;

describe.skipIf(!hasProgram("Debian's python3", PYTHON))("the document's own client", () => {
  test.each(['name', 'id'] as const)('follows by %s, also through a restart', async (space) => {
    const exchange = await new TestExchange().listen();
    const settings = { ...JWT, IME_URL: exchange.url };
    const first = await testGateway(settings);
    let output = '';
    const python = spawn(PYTHON, ['-c', CLIENT], {
      env: {
        URI: first.url.replace('http', 'ws') + target(space, ['A', 'B']),
        TOKEN: await token(),
      },
    });
    for (const stream of [python.stdout, python.stderr]) {
      stream.on('data', (text) => {
        output += text;
      });
    }
    onTestFinished(() => void python.kill('SIGKILL'));
    const said = (text: string) => until(() => output.includes(text), `it says ${text}`);
    await exchange.carries([`${space}:A`, `${space}:B`]);
    exchange.publish(`${space}:A`, 1);
    await said('"last_price":1');
    await first.close(0);
    await said('Disconnected');
    const again = await testGateway({ ...settings, PORT: String(first.address.port) });
    await follows(again);
    await exchange.carries([`${space}:A`, `${space}:B`]);
    exchange.publish(`${space}:B`, 2);
    await said('"last_price":2');
    expect(output.match(/Connected/g)?.length).toBe(2);
  });
});
