import { createClient } from 'graphql-ws';
import { WebSocket } from 'ws';
import { startGateway } from '../../src/app/gateway.ts';
import { readConfig } from '../../src/config/command-line.ts';
import { contractKey } from '../../src/contract/key.ts';
import { LocalTimeZone } from '../../src/contract/local-time.ts';
import { createLog } from '../../src/observability/log.ts';
import { Exchange } from '../../src/simulator/exchange.ts';
import { LoginDoor } from '../../src/simulator/login-door.ts';

const ZONE = new LocalTimeZone('Asia/Tehran');
const CONTRACTS = 100;
const UPDATES_PER_SECOND = 50;
const TOKEN_LIFE_S = 12;

/** What a subscriber got while tokens ended. */
export interface RenewalFigures {
  readonly published: number;
  readonly lost: number;
  readonly twice: number;
  readonly outOfOrder: number;
  /** Updates that said anything but LIVE. */
  readonly notLive: number;
  readonly logins: number;
  readonly dials: number;
}

const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/**
 * Has tokens of 12 s renewed for so many seconds, with the sockets of each cut at its end, while 100 contracts
 * change 50 times a second, and counts what a subscriber to all of them misses.
 */
export async function renewal(seconds: number): Promise<RenewalFigures> {
  const door = new LoginDoor({
    username: 'me',
    password: 'secret',
    tokenLifeS: TOKEN_LIFE_S,
    fields: 'any',
    isBound: true,
  });
  const exchange = new Exchange({
    basePath: '/ime',
    token: undefined,
    login: door,
    cutsAtEnd: true,
    refuse: 'after',
    lists: () => true,
  });
  const url = await exchange.listen(0);
  const line = readConfig([], {
    PORT: '0',
    AUTH: 'none',
    LOG_LEVEL: 'silent',
    IME_URL: url,
    IME_USERNAME: 'me',
    IME_PASSWORD: 'secret',
  });
  if (line.run !== 'start') throw new Error(JSON.stringify(line));
  const gateway = await startGateway(line.config, createLog('silent'));
  const client = createClient({
    url: `${gateway.url.replace('http', 'ws')}/graphql`,
    webSocketImpl: WebSocket,
  });
  try {
    const names = Array.from({ length: CONTRACTS }, (_, place) => `c${place}`);
    const got = new Map<string, number[]>(names.map((name) => [name, []]));
    let notLive = 0;
    let received = 0;
    client.subscribe<{ contractUpdates: Update }>(
      { query: QUERY, variables: { names } },
      {
        next: ({ data }) => {
          if (data?.contractUpdates === undefined) return;
          const { name, status, snapshot } = data.contractUpdates;
          if (status !== 'LIVE') notLive++;
          received++;
          got.get(name)?.push(Number(snapshot?.contractInfo.openInterest));
        },
        error: () => {},
        complete: () => {},
      },
    );
    while (exchange.subscriptions.reduce((sum, keys) => sum + keys.size, 0) < CONTRACTS) {
      await sleep(10);
    }
    const published = new Map<string, number[]>(names.map((name) => [name, []]));
    const startedMs = performance.now();
    let count = 0;
    while (performance.now() - startedMs < seconds * 1_000) {
      const due = ((performance.now() - startedMs) / 1_000) * UPDATES_PER_SECOND;
      for (; count < due; count++) {
        const name = `c${count % CONTRACTS}`;
        published.get(name)?.push(count);
        const contractInfo = { openInterest: String(count), openInterestChanges: '0' };
        const state = { bestLimits: [], aggregate: null, allowedPriceRange: null, contractInfo };
        exchange.publish([contractKey('name', name)], ZONE.toLocal(Date.now()), state);
      }
      await sleep(5);
    }
    for (let tries = 0; received < count && tries < 100; tries++) await sleep(50);
    let lost = 0;
    let twice = 0;
    let outOfOrder = 0;
    for (const [name, values] of got) {
      const distinct = new Set(values);
      twice += values.length - distinct.size;
      lost += (published.get(name) ?? []).filter((value) => !distinct.has(value)).length;
      outOfOrder += values.filter((value, place) => value < (values[place - 1] ?? 0)).length;
    }
    const { requests: logins } = door;
    return { published: count, lost, twice, outOfOrder, notLive, logins, dials: exchange.dials };
  } finally {
    await client.dispose();
    await gateway.close();
    await exchange.close();
  }
}

interface Update {
  readonly name: string;
  readonly status: string;
  readonly snapshot: { readonly contractInfo: { readonly openInterest: string } } | null;
}

const QUERY = `subscription ($names: [String!]) {
  contractUpdates(names: $names, initial: false) {
    name
    status
    snapshot { contractInfo { openInterest } }
  }
}`;
