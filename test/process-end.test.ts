import { connect, type Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { describe, expect, onTestFinished, test } from 'vitest';
import { until } from './kit/gateway.ts';
import { type GatewayProcess, gatewayProcess, spawnGateway } from './kit/gateway-process.ts';
import { RawClient } from './kit/raw.ts';

/** Lets a signal cause a fault that nobody catches. */
const FAULTY = "process.on('SIGUSR2', () => setTimeout(() => { throw new Error('a fault') }));";

const UPDATES = 'subscription { contractUpdates(names: ["Gold Bar DE05"]) { id status } }';

/** The lines of a gateway's log, as they come. */
function logOf({
  child,
}: GatewayProcess): { level: string; msg: string; [field: string]: unknown }[] {
  const lines: ReturnType<typeof logOf> = [];
  if (child.stdout !== null) {
    createInterface({ input: child.stdout }).on('line', (line) => lines.push(JSON.parse(line)));
  }
  return lines;
}

describe('a fault that nobody has caught', () => {
  test('is logged, and closes the clients so that they come back before it ends the process', async () => {
    const started = await gatewayProcess({ preload: FAULTY, settings: { DRAIN_MS: '60000' } });
    const { child, gateway, ended } = started;
    const lines = logOf(started);
    const clients = await Promise.all(
      Array.from({ length: 100 }, () => new RawClient(gateway).init()),
    );
    const faultMs = performance.now();
    child.kill('SIGUSR2');
    expect(await ended).toBe(1);
    expect(performance.now() - faultMs).toBeLessThan(9_000);
    for (const { closed } of clients) expect(closed?.code).toBe(1012);
    expect(lines).toContainEqual(
      expect.objectContaining({
        level: 'fatal',
        error: expect.objectContaining({ message: 'a fault' }),
      }),
    );
  });

  test('a second time ends the process at once', async () => {
    const { child, gateway, ended } = await gatewayProcess({
      preload: FAULTY,
      settings: { DRAIN_MS: '60000' },
    });
    child.stdout?.resume();
    await Promise.all(Array.from({ length: 100 }, () => new RawClient(gateway).init()));
    child.kill('SIGUSR2');
    await fetch(`${gateway.url}/ready`).catch(() => {});
    const secondMs = performance.now();
    child.kill('SIGUSR2');
    expect(await ended).toBe(1);
    expect(performance.now() - secondMs).toBeLessThan(2_500);
  });
});

describe('a start', () => {
  test('that hangs is ended by one signal', async () => {
    const started = await spawnGateway({
      preload: `
        import { Server } from 'node:net';
        Server.prototype.listen = function () { console.log('{"msg":"hangs"}'); return this; };
        setInterval(() => {}, 1_000);`,
    });
    const lines = logOf(started);
    await until(() => lines.some(({ msg }) => msg === 'hangs'), 'it hangs');
    const stoppedMs = performance.now();
    started.child.kill('SIGTERM');
    expect(await started.ended).toBe(0);
    expect(performance.now() - stoppedMs).toBeLessThan(8_000);
  });

  // How many Node needs for the gateway's own files, all at once until Node 22, it does not say.
  test.each([24, 64, 256])(
    'with %s file descriptors serves, or says in one line why not and exits with 1',
    async (files) => {
      const started = await spawnGateway({ files, settings: { LOG_LEVEL: 'info' } });
      const lines = logOf(started);
      let code: number | null | undefined;
      void started.ended.then((ended) => {
        code = ended;
      });
      const serves = () => lines.some(({ msg }) => msg.startsWith('listening on'));
      await until(() => serves() || (code !== undefined && lines.length > 0), 'it serves or ends');
      if (serves()) return;
      expect(code).toBe(1);
      expect(lines).toEqual([
        expect.objectContaining({
          level: 'fatal',
          msg: expect.stringMatching(`ulimit -n: ${files}|too many open files`),
        }),
      ]);
    },
  );
});

describe('a gateway that may open few files', () => {
  test('refuses connections beyond them, says so once, and serves on when there is room', async () => {
    const started = await gatewayProcess({ files: 400, settings: { LOG_LEVEL: 'info' } });
    const { child, gateway, ended } = started;
    const lines = logOf(started);
    const client = await new RawClient(gateway).init();
    const idle: Socket[] = [];
    let cut = 0;
    for (let opened = 0; opened < 600; opened++) {
      const socket = connect(Number(new URL(gateway.url).port), '127.0.0.1');
      socket.on('error', () => {});
      socket.on('close', () => cut++);
      idle.push(socket.resume());
    }
    onTestFinished(() => idle.forEach((socket) => void socket.destroy()));
    await until(() => cut > 300, 'those beyond the limit are cut');
    client.subscribe('1', UPDATES);
    await client.until(() => client.of('1').length > 2, 'who is there is served');
    for (const socket of idle) socket.destroy();
    await until(() => cut === 600, 'they have gone');
    expect((await fetch(`${gateway.url}/health`)).status).toBe(200);
    child.kill('SIGTERM');
    expect(await ended).toBe(0);
    expect(lines.filter(({ msg }) => msg === 'connections are refused')).toHaveLength(1);
    expect(lines.filter(({ level }) => level === 'error' || level === 'fatal')).toEqual([]);
  });

  test('survives that there are suddenly none left', async () => {
    const started = await gatewayProcess({
      settings: { LOG_LEVEL: 'info' },
      preload: `
        import fs from 'node:fs';
        let taken = [];
        process.on('SIGUSR2', () => {
          if (taken.length > 0) { for (const fd of taken) fs.closeSync(fd); taken = []; return; }
          try { for (;;) taken.push(fs.openSync('/dev/null')); } catch { console.log('{"msg":"none left"}'); }
        });`,
      files: 400,
    });
    const { child, gateway, ended } = started;
    const lines = logOf(started);
    const client = await new RawClient(gateway).init();
    client.subscribe('1', UPDATES);
    await client.until(() => client.of('1').length > 3, 'updates come');
    child.kill('SIGUSR2');
    await until(() => lines.some(({ msg }) => msg === 'none left'), 'no descriptor is left');
    for (let tries = 0; tries < 50; tries++) {
      await fetch(`${gateway.url}/health`, { headers: { connection: 'close' } }).catch(() => {});
    }
    const { length } = client.of('1');
    await client.until(() => client.of('1').length > length + 2, 'who is there is served');
    child.kill('SIGUSR2');
    let status: number | undefined;
    await until(() => {
      void fetch(`${gateway.url}/health`).then(
        (response) => {
          status = response.status;
        },
        () => {},
      );
      return status === 200;
    }, 'it serves');
    child.kill('SIGTERM');
    expect(await ended).toBe(0);
    expect(lines.filter(({ level }) => level === 'fatal')).toEqual([]);
  });
});
