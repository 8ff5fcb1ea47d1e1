import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createClient } from 'graphql-ws';
import { describe, expect, onTestFinished, test } from 'vitest';
import { WebSocket } from 'ws';
import { type Gateway, startGateway } from '../src/app/gateway.ts';
import { readConfig } from '../src/config/command-line.ts';
import { createLog } from '../src/observability/log.ts';
import { ask, Inbox, UPDATES, wsClient } from './kit/clients.ts';
import { names, TestExchange, testGateway, until } from './kit/gateway.ts';
import { startNginx } from './kit/nginx.ts';
import { hasProgram } from './kit/programs.ts';
import { RawClient } from './kit/raw.ts';

const metricsOf = async (gateway: Gateway) => (await fetch(`${gateway.url}/metrics`)).text();
const metric = (text: string, name: string) =>
  Number(
    new RegExp(`^ime_gateway_${name.replaceAll(/[{}"|]/g, '\\$&')} (\\S+)$`, 'm').exec(text)?.[1],
  );

describe('the metrics', () => {
  test('count what happens', async () => {
    const market = await new TestExchange().listen();
    const gateway = await testGateway({ IME_URL: market.url });
    const inbox = new Inbox(wsClient(gateway), UPDATES, { names: ['A'] });
    const other = new Inbox(wsClient(gateway), UPDATES, { names: ['A'] });
    await market.carries(names('A'));
    for (let price = 1; price <= 20; price++) market.publish('name:A', price);
    for (const box of [inbox, other])
      await box.until(({ values }) => values.length === 21, 'all have come');
    const text = await metricsOf(gateway);
    expect(metric(text, 'upstream_messages_total')).toBe(20);
    expect(metric(text, 'frames_sent_total')).toBe(42);
    expect(metric(text, 'renderings_total')).toBe(21);
    expect(metric(text, 'selections')).toBe(1);
    expect(metric(text, 'subscriptions')).toBe(2);
    expect(metric(text, 'clients{transport="websocket"}')).toBe(2);
    expect(metric(text, 'contracts{status="LIVE"}')).toBe(1);
    expect(metric(text, 'ready')).toBe(1);
    expect(metric(text, 'bytes_sent_total')).toBeGreaterThan(42 * 100);
    expect(metric(text, 'flush_seconds_count')).toBeGreaterThan(0);
    expect(metric(text, 'upstream_last_message_age_seconds')).toBeLessThan(60);
    market.exchange.drop(1008);
    await until(() => gateway.report().contracts.STALE === 1, 'it is lost');
    expect(
      metric(await metricsOf(gateway), 'upstream_failures_total{class="ambiguous"}'),
    ).toBeGreaterThan(0);
  });

  const promtool = '/usr/bin/promtool';
  test.skipIf(!hasProgram('promtool', promtool))(
    'are as Prometheus wants them, and so are the alerts',
    async () => {
      const gateway = await testGateway();
      const input = (await metricsOf(gateway)).replaceAll(/^(# (HELP|TYPE) )?nodejs_.*\n/gm, '');
      execFileSync(promtool, ['check', 'metrics'], { input, stdio: ['pipe', 'pipe', 'pipe'] });
      const said = execFileSync(promtool, ['check', 'config', 'deploy/prometheus.yml'], {
        encoding: 'utf8',
      });
      expect(said).toContain('rules found');
    },
  );

  test('have every name that the dashboard and the alerts use', async () => {
    const gateway = await testGateway();
    const exported = new Set(
      [...(await metricsOf(gateway)).matchAll(/^# TYPE (\S+) (\S+)/gm)].flatMap(([, name, type]) =>
        type === 'histogram' ? [`${name}_bucket`, `${name}_count`, `${name}_sum`] : [name],
      ),
    );
    for (const file of ['deploy/grafana-dashboard.json', 'deploy/alerts.yml']) {
      const used =
        readFileSync(file, 'utf8').match(/\b(ime_gateway|nodejs|process)_[a-z0-9_]+/g) ?? [];
      expect(used.length).toBeGreaterThan(5);
      for (const name of used) expect(exported, `${name} in ${file}`).toContain(name);
    }
  });
});

describe('a stop', () => {
  test('closes connections one after the other, with a code they come back on, and refuses new ones', async () => {
    const gateway = await testGateway({ DRAIN_MS: '1500' });
    const clients = await Promise.all(
      Array.from({ length: 40 }, () => new RawClient(gateway).init()),
    );
    const closedAtMs: number[] = [];
    for (const { socket } of clients) socket.on('close', () => closedAtMs.push(performance.now()));
    const stoppedAtMs = performance.now();
    const closing = gateway.close();
    const ready = await fetch(`${gateway.url}/ready`);
    expect([ready.status, ((await ready.json()) as { reasons: string[] }).reasons]).toEqual([
      503,
      ['The gateway is stopping.'],
    ]);
    expect((await fetch(`${gateway.url}/health`)).status).toBe(200);
    const refused = await fetch(`${gateway.url}/graphql?query={__typename}`);
    expect([refused.status, refused.headers.get('retry-after')]).toEqual([503, '1']);
    const late = new RawClient(gateway);
    await late.until(() => late.refusedWith !== undefined, 'it is refused');
    expect(late.refusedWith).toBe(503);
    await closing;
    expect(closedAtMs).toHaveLength(40);
    expect(clients.every(({ closed }) => closed?.code === 1012)).toBe(true);
    // Spread over the drain: a machine that does other things makes it longer, and nothing makes it short.
    expect(Math.max(...closedAtMs) - Math.min(...closedAtMs)).toBeGreaterThan(1_000);
    const first = closedAtMs.filter((atMs) => atMs < stoppedAtMs + 500).length;
    expect(first).toBeLessThan(30);
  });

  const nginx = '/usr/sbin/nginx';
  test.skipIf(!hasProgram('nginx', nginx))(
    'of one gateway after the other behind nginx: 1,000 clients are served again in time, and none gives up',
    async () => {
      const market = await new TestExchange().listen();
      const drainMs = 2_000;
      const start = async (port: string) => {
        const line = readConfig([], {
          PORT: port,
          AUTH: 'none',
          LOG_LEVEL: 'silent',
          TRUST_PROXY: 'loopback',
          IME_URL: market.url,
          IME_PINNED_NAMES: 'A',
          DRAIN_MS: String(drainMs),
        });
        if (line.run !== 'start') throw new Error(JSON.stringify(line));
        return startGateway(line.config, createLog('silent'));
      };
      const gateways = [await start('0'), await start('0')];
      onTestFinished(() => Promise.all(gateways.map((gateway) => gateway.close())).then(() => {}));
      const url = await startNginx(
        nginx,
        gateways.map(({ address }) => address.port),
      );
      let price = 0;
      const publishing = setInterval(() => market.publish('name:A', ++price), 100);
      onTestFinished(() => clearInterval(publishing));

      const servedAtMs: number[] = [];
      const downSinceMs = new Map<number, number>();
      let longestMs = 0;
      let givenUp = 0;
      const clients = Array.from({ length: 1_000 }, (_, place) => {
        const client = createClient({
          url: `${url.replace('http', 'ws')}/graphql`,
          webSocketImpl: WebSocket,
          on: { closed: () => downSinceMs.set(place, performance.now()) },
        });
        client.subscribe(
          { query: UPDATES, variables: { names: ['A'] } },
          {
            next: () => {
              const nowMs = performance.now();
              const downMs = downSinceMs.get(place);
              if (downMs !== undefined) longestMs = Math.max(longestMs, nowMs - downMs);
              downSinceMs.delete(place);
              servedAtMs[place] = nowMs;
            },
            error: () => givenUp++,
            complete: () => givenUp++,
          },
        );
        return client;
      });
      onTestFinished(() => clients.forEach((client) => void client.dispose()));
      const servedSince = (sinceMs: number) =>
        until(
          () => clients.every((_, place) => (servedAtMs[place] ?? 0) > sinceMs),
          'every client is served',
          60_000,
        );
      await servedSince(0);
      for (const place of [0, 1]) {
        const port = String(gateways[place]?.address.port);
        await gateways[place]?.close();
        gateways[place] = await start(port);
        await servedSince(performance.now());
      }
      process.stdout.write(`rolling restart: down for ${Math.round(longestMs)} ms at most\n`);
      expect(givenUp).toBe(0);
      expect(longestMs).toBeGreaterThan(0);
      // The figure is 5 s beyond the drain: half of that is what clients of graphql-ws wait by themselves.
      expect(longestMs).toBeLessThan(drainMs + 10_000);
    },
    120_000,
  );
});

describe('what the gateway says', () => {
  test('never holds a token, a key or a secret', async () => {
    const market = await new TestExchange('upstream-token-7261').listen();
    const secret = 'a-shared-secret-that-nobody-may-see-8472';
    const settings = {
      IME_URL: market.url,
      IME_TOKEN: 'upstream-token-7261',
      AUTH: 'jwt',
      JWT_SECRET: secret,
      LOG_LEVEL: 'trace',
    };
    const lines: string[] = [];
    const line = readConfig([], { PORT: '0', ...settings });
    if (line.run !== 'start') throw new Error(JSON.stringify(line));
    const log = createLog('trace', { write: (text) => lines.push(text) });
    const gateway = await startGateway(line.config, log);
    onTestFinished(() => gateway.close());
    const shown = 'Bearer eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ4In0.not-a-signature-9134';
    const answers = [
      JSON.stringify(await ask(gateway, '{ status { ready } }', {}, { authorization: shown })),
      await metricsOf(gateway),
      await (await fetch(`${gateway.url}/ready`)).text(),
      execFileSync(process.execPath, ['dist/main.js', '--print-config'], {
        encoding: 'utf8',
        env: { ...process.env, ...settings },
      }),
    ];
    const client = await new RawClient(gateway).init({ authorization: shown });
    answers.push(JSON.stringify([client.messages, client.closed]));
    await until(() => lines.some((text) => text.includes('refused')), 'the refusal is logged');
    const said = [...answers, ...lines].join('\n');
    expect(lines.length).toBeGreaterThan(2);
    for (const hidden of [
      'upstream-token-7261',
      secret,
      'not-a-signature-9134',
      'eyJzdWIiOiJ4In0',
    ]) {
      expect(said).not.toContain(hidden);
    }
  });
});
