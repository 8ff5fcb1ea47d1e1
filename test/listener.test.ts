import { get, type IncomingMessage } from 'node:http';
import { connect, type Socket } from 'node:net';
import { describe, expect, onTestFinished, test } from 'vitest';
import type { Gateway } from '../src/app/gateway.ts';
import { addressKey } from '../src/listener/address-key.ts';
import { ClientAddresses } from '../src/listener/client-address.ts';
import { HttpListener, type ListenerOptions } from '../src/listener/http-listener.ts';
import { createLog } from '../src/observability/log.ts';
import { testGateway, until } from './kit/gateway.ts';
import { oneOfAddress, RawClient } from './kit/raw.ts';
import { bearer, JWT, token } from './kit/tokens.ts';

const AT_ONCE = 300;

/** TCP connections from one address on which nothing is asked. */
class IdleConnections {
  readonly sockets: Socket[] = [];
  closed = 0;

  /** Opens so many, and waits until each is open or was cut. */
  async open(port: number, count: number, localAddress: string): Promise<this> {
    onTestFinished(() => this.end());
    // More at once than the system lets wait for a listener are tried again by it after seconds.
    for (let opened = 0; opened < count; opened += AT_ONCE) {
      await this.#openAtOnce(port, Math.min(AT_ONCE, count - opened), localAddress);
    }
    return this;
  }

  async #openAtOnce(port: number, count: number, localAddress: string): Promise<void> {
    let settled = 0;
    for (let opened = 0; opened < count; opened++) {
      const socket = connect({ port, host: '127.0.0.1', localAddress });
      let isSettled = false;
      const settle = () => {
        if (!isSettled) settled++;
        isSettled = true;
      };
      socket.on('error', () => {});
      socket.resume();
      socket.once('connect', settle);
      socket.once('close', () => {
        this.closed++;
        settle();
      });
      this.sockets.push(socket);
    }
    await until(() => settled === count, `${count} connections are open or cut`);
  }

  end(): void {
    for (const socket of this.sockets) socket.destroy();
  }
}

/** Asks on a connection of its own, from an address of its own. */
function statusFrom(port: number, localAddress: string): Promise<number | string | undefined> {
  return new Promise((resolve) => {
    get(
      { port, host: '127.0.0.1', localAddress, path: '/health', agent: false },
      (response: IncomingMessage) => {
        response.resume();
        resolve(response.statusCode);
      },
    ).on('error', ({ code }: NodeJS.ErrnoException) => resolve(code));
  });
}

const hits = async (gateway: Gateway, limit: string) => {
  const text = await (await fetch(`${gateway.url}/metrics`)).text();
  return Number(new RegExp(`limit_hits_total\\{limit="${limit}"\\} (\\d+)`).exec(text)?.[1]);
};

/** A listener of this test's own, and the lines of its log. */
async function listener(options: Partial<ListenerOptions> = {}, trusted: string[] = []) {
  const lines: Record<string, unknown>[] = [];
  const refused: string[] = [];
  const made = new HttpListener(
    {
      limits: { connections: 1_000, connectionsPerAddress: 1_000 },
      addresses: new ClientAddresses({
        given: trusted.join() || 'off',
        trusts: (address) => trusted.includes(address),
      }),
      log: createLog('info', { write: (line) => void lines.push(JSON.parse(line)) }),
      stallMs: 30_000,
      refused: (limit) => void refused.push(limit),
      ...options,
    },
    {
      answer: (request, response) => {
        if (request.url === '/fault') throw new Error('a fault');
        response.end('ok');
        made.watch(response, request);
      },
      upgrade: () => {
        throw new Error('a fault');
      },
    },
  );
  const { port } = await made.listen(0, '127.0.0.1');
  onTestFinished(() => made.close());
  return { port, lines, refused };
}

describe('connections on which nothing is asked', () => {
  test('1,500 of one address leave place for another, whatever it asks for', async () => {
    const gateway = await testGateway({ ...JWT, MAX_CONNECTIONS: '499' });
    const { port } = gateway.address;
    const idle = await new IdleConnections().open(port, 1_500, '127.0.0.2');
    await until(() => idle.closed === 376, 'those beyond what one leaves to others are cut');
    expect(await statusFrom(port, '127.0.0.1')).toBe(200);
    const client = new RawClient(gateway, bearer(await token()));
    expect((await client.init()).closed).toBeUndefined();
    expect(await hits(gateway, 'connections_per_address')).toBe(376);
    idle.end();
    let status: number | string | undefined;
    while (status !== 200) status = await statusFrom(port, '127.0.0.2');
  });

  test('are as many as MAX_CONNECTIONS_PER_ADDRESS and 200 for short requests', async () => {
    const gateway = await testGateway({ ...JWT, MAX_CONNECTIONS_PER_ADDRESS: '10' });
    const idle = await new IdleConnections().open(gateway.address.port, 300, '127.0.0.2');
    await until(() => idle.closed === 90, 'those beyond the limit are cut');
    expect(await hits(gateway, 'connections_per_address')).toBe(90);
  });

  test('of a proxy that is believed are not one address', async () => {
    const gateway = await testGateway({
      ...JWT,
      MAX_CONNECTIONS_PER_ADDRESS: '10',
      TRUST_PROXY: '127.0.0.2',
    });
    const { port } = gateway.address;
    const idle = await new IdleConnections().open(port, 300, '127.0.0.2');
    expect(await statusFrom(port, '127.0.0.2')).toBe(200);
    expect(idle.closed).toBe(0);
  });

  test('are cut when they have sent no request in time', async () => {
    const { port } = await listener({ headersTimeoutMs: 200 });
    const idle = await new IdleConnections().open(port, 5, '127.0.0.1');
    idle.sockets[0]?.write('GET / HTTP/1.1\r\nHost: x\r\nX-Slow: ');
    await until(() => idle.closed === 5, 'all are cut');
  });

  test('beyond the limit are told by one line of the log, and counted', async () => {
    const { port, lines, refused } = await listener({
      limits: { connections: 1_000, connectionsPerAddress: 10 },
    });
    const idle = await new IdleConnections().open(port, 250, '127.0.0.2');
    await until(() => idle.closed === 40, 'those beyond the limit are cut');
    expect(refused).toEqual(Array(40).fill('connections_per_address'));
    expect(lines).toEqual([
      expect.objectContaining({
        level: 'warn',
        address: '127.0.0.2',
        msg: 'connections are refused',
      }),
    ]);
  });
});

describe('where the process may open few files', () => {
  test('there are fewer connections, and it says so', async () => {
    const { port, lines } = await listener({ descriptors: 40 });
    expect(lines).toEqual([
      expect.objectContaining({ level: 'warn', descriptors: 40, connections: 20 }),
    ]);
    const idle = await new IdleConnections().open(port, 30, '127.0.0.2');
    await until(() => idle.closed === 15, 'one address has three quarters of them');
    expect(await statusFrom(port, '127.0.0.1')).toBe(200);
  });

  test('connections that wait for another request give way to those that ask', async () => {
    const { port, refused } = await listener({ descriptors: 40 });
    const kept: Socket[] = [];
    for (const address of ['127.0.0.2', '127.0.0.3']) {
      const { sockets } = await new IdleConnections().open(port, 10, address);
      kept.push(...sockets);
    }
    let answered = 0;
    for (const socket of kept) {
      socket.once('data', () => answered++);
      socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
    }
    await until(() => answered === 20, 'all are answered and kept');
    expect(await statusFrom(port, '127.0.0.4')).toBe('ECONNRESET');
    expect(refused).toEqual(['connections']);
    await until(() => kept.every(({ destroyed }) => destroyed), 'they have made room');
    expect(await statusFrom(port, '127.0.0.4')).toBe(200);
  });
});

test('a fault met with on one connection ends it, and no other', async () => {
  const { port, lines } = await listener();
  const [other] = (await new IdleConnections().open(port, 1, '127.0.0.1')).sockets;
  const upgrade = 'Connection: Upgrade\r\nUpgrade: websocket\r\n';
  for (const request of ['GET /fault HTTP/1.1\r\n', `GET / HTTP/1.1\r\n${upgrade}`]) {
    const faulty = await new IdleConnections().open(port, 1, '127.0.0.1');
    faulty.sockets[0]?.write(`${request}Host: x\r\n\r\n`);
    await until(() => faulty.closed === 1, 'it is ended');
  }
  expect(lines.map(({ level, error }) => [level, (error as Error).message])).toEqual([
    ['error', 'a fault'],
    ['error', 'a fault'],
  ]);
  const answered = new Promise((resolve) => other?.once('data', resolve));
  other?.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
  expect(String(await answered)).toContain('200 OK');
});

describe('an address counts', () => {
  test.each([
    ['203.0.113.1', '203.0.113.1'],
    ['::ffff:203.0.113.1', '203.0.113.1'],
    ['::FFFF:cb00:7101', '203.0.113.1'],
    ['203.0.113.1:4711', '203.0.113.1'],
    ['[2001:db8:1:2::7]:4711', '2001:db8:1:2::/64'],
    ['2001:DB8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
    ['2001:db8:1:2::', '2001:db8:1:2::/64'],
    ['2001:db8::1', '2001:db8:0:0::/64'],
    ['fe80::1%eth0', 'fe80:0:0:0::/64'],
    ['::1', '0:0:0:0::/64'],
    ['unknown', 'unknown'],
    ['', 'unknown'],
    [undefined, 'unknown'],
  ])('%s as %s', (address, key) => {
    expect(addressKey(address)).toBe(key);
  });

  test('the same for connections however a proxy writes it', async () => {
    const from = await oneOfAddress();
    expect((await from('203.0.113.1')).closed).toBeUndefined();
    for (const same of ['::ffff:203.0.113.1', '203.0.113.1:4711']) {
      expect((await from(same)).closed?.code).toBe(4429);
    }
    expect((await from('2001:db8:1:2::1')).closed).toBeUndefined();
    expect((await from('[2001:db8:1:2:ffff::7]:99')).closed?.code).toBe(4429);
    expect((await from('2001:db8:1:3::1')).closed).toBeUndefined();
  });

  test('the same by IPv4 and by IPv6 that carries it', async () => {
    const gateway = await testGateway({ ...JWT, HOST: '::', MAX_CONNECTIONS_PER_ADDRESS: '1' });
    const shown = bearer(await token());
    const by = (host: string) =>
      new RawClient({ url: `http://${host}:${gateway.address.port}` } as Gateway, shown).init();
    expect((await by('127.0.0.1')).closed).toBeUndefined();
    expect((await by('127.0.0.1')).closed?.code).toBe(4429);
    expect((await by('[::1]')).closed).toBeUndefined();
  });
});
