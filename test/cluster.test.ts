import { describe, expect, onTestFinished, test } from 'vitest';
import type { ClusterSource } from '../src/cluster/source.ts';
import type { ContractKey } from '../src/contract/key.ts';
import { cursorOf } from '../src/hub/position.ts';
import { type Member, startMember } from './kit/cluster.ts';
import { CuttingProxy } from './kit/cutting-proxy.ts';
import { names, TestExchange, until } from './kit/gateway.ts';
import { hasProgram, REDIS_SERVER } from './kit/programs.ts';
import { RedisServer } from './kit/redis.ts';

/** The figure is 5 s; where other tests take the cores it is all later. */
const WITHIN_MS = 12_000;

const [A, B] = names('A', 'B') as [ContractKey, ContractKey];

/** Publishes new prices of contracts, one after the other, until it is stopped. */
function busy(market: TestExchange, keys: readonly ContractKey[], everyMs: number) {
  let price = 0;
  const timer = setInterval(() => {
    price++;
    for (const key of keys) market.publish(key, price);
  }, everyMs);
  const stop = () => clearInterval(timer);
  onTestFinished(stop);
  return { stop, last: () => price };
}

/** What a member has told of a contract never goes back. */
function expectOrder({ sink }: Member, keys: readonly ContractKey[]): void {
  const byEpoch = new Map<string, string[]>();
  for (const position of sink.positions) {
    const cursors = byEpoch.get(position.epoch) ?? [];
    cursors.push(cursorOf(position));
    byEpoch.set(position.epoch, cursors);
  }
  for (const cursors of byEpoch.values()) expect(cursors).toEqual([...new Set(cursors)].sort());
  for (const key of keys) {
    const sequences = sink.states(key).map(({ sequence }) => sequence);
    expect(sequences).toEqual([...new Set(sequences)].sort((one, other) => one - other));
    const prices = sink.states(key).map(priceOf);
    expect(prices).toEqual([...prices].sort((one, other) => one - other));
  }
}

const priceOf = ({ snapshot }: { snapshot: { aggregate: { lastPrice: unknown } | null } }) =>
  Number(snapshot.aggregate?.lastPrice);

const lastPrice = ({ sink }: Member, key: ContractKey) => {
  const last = sink.states(key).at(-1);
  return last === undefined ? 0 : priceOf(last);
};

const codeOf = ({ sink }: Member, key: ContractKey) => {
  const last = sink.told.findLast((one) => one.key === key);
  return last !== undefined && 'status' in last ? last.status.cause?.code : undefined;
};

const clusterOf = (source: ClusterSource) => {
  const { cluster } = source.report();
  if (cluster === undefined) throw new Error('no cluster');
  return cluster;
};

describe.skipIf(!hasProgram('redis-server', REDIS_SERVER))('gateways that share Redis', () => {
  test('share the sockets that one of them would need, and are told the same', async () => {
    const redis = await RedisServer.start();
    const market = await new TestExchange().listen();
    const members = await Promise.all([1, 2, 3].map(() => startMember(redis.url, market.url)));
    const keys = names(...Array.from({ length: 300 }, (_, at) => `contract ${at}`));
    for (const { source } of members) source.retain(keys);
    await market.carries(keys);
    await until(() => market.exchange.subscriptions.length === 3, 'three sockets carry 300');
    for (const key of keys) market.publish(key, 7);
    for (const member of members) {
      await until(() => keys.every((key) => member.sink.lastOf(key) === 'LIVE'), 'all are LIVE');
      expectOrder(member, keys);
    }
    const [one, ...others] = members as [Member, ...Member[]];
    const told = ({ sink }: Member) =>
      keys.map((key) =>
        sink.states(key).map(({ sequence, position }) => [sequence, cursorOf(position)]),
      );
    for (const other of others) expect(told(other)).toEqual(told(one));
    const { holder, gateways, redisHealthy, roundTripMs } = clusterOf(one.source);
    expect(members.map(({ source }) => clusterOf(source).holder)).toEqual([holder, holder, holder]);
    expect(gateways).toHaveLength(3);
    expect(redisHealthy).toBe(true);
    expect(roundTripMs).toBeGreaterThan(0);
    await until(
      () => clusterOf(one.source).gateways.every(({ wishes }) => wishes === 300),
      'all say what they want',
    );
    for (const { source } of members) expect(source.health()).toEqual([]);
  });

  test('end what only a gateway that is gone has wanted', async () => {
    const redis = await RedisServer.start();
    const market = await new TestExchange().listen();
    const one = await startMember(redis.url, market.url);
    const other = await startMember(redis.url, market.url);
    one.source.retain([A]);
    other.source.retain([B]);
    await market.carries([A, B]);
    other.source.close();
    const carried = () => market.exchange.subscriptions.flatMap((set) => [...set]);
    await until(() => !carried().includes(B), 'nobody carries it');
    expect(carried()).toEqual([A]);
  });

  test('tell whoever joins a state that is right, and each that follows', async () => {
    const redis = await RedisServer.start();
    const market = await new TestExchange().listen();
    const holder = await startMember(redis.url, market.url);
    const joining = await startMember(redis.url, market.url);
    const keys = names(...Array.from({ length: 5 }, (_, at) => `busy ${at}`));
    holder.source.retain(keys);
    await market.carries(keys);
    const { stop } = busy(market, keys, 2);
    for (let round = 0; round < 200; round++) {
      const key = keys[round % keys.length] as ContractKey;
      const from = joining.sink.told.length;
      joining.source.retain([key]);
      const states = () =>
        joining.sink.told
          .slice(from)
          .flatMap((one) => ('state' in one && one.key === key ? [one.state] : []));
      await until(() => states().length >= 3, 'three have come');
      const known = new Map(
        holder.sink.states(key).map((state) => [state.sequence, priceOf(state)] as const),
      );
      const sequences = states().map(({ sequence }) => sequence);
      const [first = 0] = sequences;
      expect(sequences).toEqual(sequences.map((_, at) => first + at));
      for (const state of states()) {
        const price = known.get(state.sequence);
        if (price !== undefined) expect(priceOf(state)).toBe(price);
      }
      joining.source.release([key]);
    }
    stop();
    expectOrder(holder, keys);
  });

  test('are told STALE where Redis cannot be reached, the others go on, and all is right again after', async () => {
    const redis = await RedisServer.start();
    const market = await new TestExchange().listen();
    const proxy = new CuttingProxy(redis.port, () => ({ cutAfterBytes: undefined, slowForMs: 0 }));
    onTestFinished(() => proxy.close());
    const holder = await startMember(redis.url, market.url);
    const cut = await startMember((await proxy.listen()).replace('http', 'redis'), market.url);
    const quiet = names('quiet')[0] as ContractKey;
    for (const { source } of [holder, cut]) source.retain([A, B, quiet]);
    await market.carries([A, B, quiet]);
    const { stop, last } = busy(market, [A, B], 10);
    market.publish(quiet, 1);
    await until(() => [A, quiet].every((key) => cut.sink.lastOf(key) === 'LIVE'), 'updates flow');
    proxy.swallows = true;
    const cutAtMs = performance.now();
    await until(
      () => [A, B, quiet].every((key) => codeOf(cut, key) === 'CLUSTER_LOST'),
      'it says so',
    );
    expect(performance.now() - cutAtMs).toBeLessThan(WITHIN_MS);
    expect(cut.source.health()).toHaveLength(1);
    const from = holder.sink.told.length;
    await until(() => holder.sink.told.length > from + 100, 'the other goes on');
    expect(holder.sink.told.slice(from).every((one) => 'state' in one)).toBe(true);
    proxy.swallows = false;
    const backAtMs = performance.now();
    await until(
      () => [A, B, quiet].every((key) => cut.sink.lastOf(key) === 'LIVE'),
      'all are LIVE again',
    );
    expect(performance.now() - backAtMs).toBeLessThan(WITHIN_MS);
    stop();
    for (const member of [holder, cut]) {
      await until(
        () => [A, B].every((key) => lastPrice(member, key) === last()),
        'the last has come',
      );
      expectOrder(member, [A, B, quiet]);
    }
    expect(cut.source.health()).toEqual([]);
  });

  test('go on where the one that holds the upstream cannot reach Redis, and it comes back as another', async () => {
    const redis = await RedisServer.start();
    const market = await new TestExchange().listen();
    const proxy = new CuttingProxy(redis.port, () => ({ cutAfterBytes: undefined, slowForMs: 0 }));
    onTestFinished(() => proxy.close());
    const holder = await startMember((await proxy.listen()).replace('http', 'redis'), market.url);
    const other = await startMember(redis.url, market.url);
    const { gateway } = clusterOf(holder.source);
    expect(clusterOf(other.source).holder).toBe(gateway);
    for (const { source } of [holder, other]) source.retain([A, B]);
    await market.carries([A, B]);
    const { stop, last } = busy(market, [A, B], 10);
    await until(() => lastPrice(other, A) > 10, 'updates flow');
    proxy.swallows = true;
    const cutAt = last();
    const cutAtMs = performance.now();
    await until(
      () => lastPrice(other, A) > cutAt + 50 && other.sink.lastOf(A) === 'LIVE',
      'another one has taken over',
    );
    await until(() => codeOf(holder, A) === 'CLUSTER_LOST', 'its own contracts are STALE too');
    expect(performance.now() - cutAtMs).toBeLessThan(WITHIN_MS);
    proxy.swallows = false;
    await until(() => holder.sink.lastOf(A) === 'LIVE', 'it is served again', 5_000);
    await until(() => market.exchange.subscriptions.length === 1, 'it has stepped down');
    stop();
    for (const member of [holder, other]) {
      await until(() => lastPrice(member, B) === last(), 'the last has come');
      expectOrder(member, [A, B]);
    }
    expect(clusterOf(holder.source).holder).not.toBe(gateway);
  });

  test('are live again when Redis comes back empty, with another epoch and numbers that go on', async () => {
    const redis = await RedisServer.start();
    const market = await new TestExchange().listen();
    const members = await Promise.all([1, 2, 3].map(() => startMember(redis.url, market.url)));
    const quiet = names('quiet')[0] as ContractKey;
    for (const { source } of members) source.retain([A, B, quiet]);
    await market.carries([A, B, quiet]);
    market.publish(quiet, 1);
    const { stop, last } = busy(market, [A, B], 10);
    for (const { sink } of members) {
      await until(() => [A, quiet].every((key) => sink.lastOf(key) === 'LIVE'), 'updates flow');
    }
    const epochs = new Set(members.map(({ source }) => clusterOf(source).epoch));
    expect(epochs.size).toBe(1);
    await redis.kill();
    const goneAtMs = performance.now();
    for (const member of members) {
      await until(() => codeOf(member, quiet) === 'CLUSTER_LOST', 'it says so');
    }
    expect(performance.now() - goneAtMs).toBeLessThan(WITHIN_MS);
    await redis.start();
    const backAtMs = performance.now();
    for (const { sink } of members) {
      await until(
        () => [A, B, quiet].every((key) => sink.lastOf(key) === 'LIVE'),
        'all are LIVE again',
      );
    }
    expect(performance.now() - backAtMs).toBeLessThan(WITHIN_MS);
    stop();
    for (const member of members) {
      await until(
        () => [A, B].every((key) => lastPrice(member, key) === last()),
        'the last has come',
      );
      expectOrder(member, [A, B, quiet]);
      epochs.add(clusterOf(member.source).epoch);
    }
    expect(epochs.size).toBe(2);
    expect(market.exchange.subscriptions).toHaveLength(1);
  });

  test('begin another epoch where somebody empties Redis under them', async () => {
    const redis = await RedisServer.start();
    const market = await new TestExchange().listen();
    const members = await Promise.all([1, 2].map(() => startMember(redis.url, market.url)));
    const quiet = names('quiet')[0] as ContractKey;
    for (const { source } of members) source.retain([A, quiet]);
    await market.carries([A, quiet]);
    market.publish(quiet, 1);
    const { stop } = busy(market, [A], 10);
    for (const { sink } of members) {
      await until(() => [A, quiet].every((key) => sink.lastOf(key) === 'LIVE'), 'updates flow');
    }
    const last = clusterOf((members[0] as Member).source).epoch;
    await redis.ask('FLUSHALL');
    for (const { sink, source } of members) {
      await until(
        () =>
          sink.positions.at(-1)?.epoch !== last &&
          [A, quiet].every((key) => sink.lastOf(key) === 'LIVE') &&
          source.health().length === 0,
        'all are LIVE in another epoch',
        5_000,
      );
    }
    stop();
    for (const member of members) expectOrder(member, [A, quiet]);
    expect(market.exchange.subscriptions).toHaveLength(1);
  });

  test('show Redis a password, and say so where it is wrong, but not what it is', async () => {
    const redis = await RedisServer.start(['--requirepass', 'right-secret']);
    const market = await new TestExchange().listen();
    const urlWith = (password: string) => redis.url.replace('//', `//:${password}@`);
    const { source } = await startMember(urlWith('right-secret'), market.url);
    expect(source.health()).toEqual([]);
    const wrong = await startMember(urlWith('wrong-secret'), market.url);
    const reasons = wrong.source.health().join();
    expect(reasons).toMatch(/WRONGPASS|NOAUTH/);
    expect(reasons).not.toContain('wrong-secret');
  });

  test('leave nothing behind in Redis but what is known', async () => {
    const redis = await RedisServer.start();
    const market = await new TestExchange().listen();
    const { source, sink } = await startMember(redis.url, market.url);
    source.retain([A]);
    await market.carries([A]);
    market.publish(A, 1);
    await until(() => sink.lastOf(A) === 'LIVE', 'it is LIVE');
    source.close();
    const clients = async () => (await redis.ask('CLIENT', 'LIST')).match(/^id=/gm)?.length;
    for (let tries = 0; (await clients()) !== 1 && tries < 100; tries++) {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    expect(await clients()).toBe(1);
    expect(await redis.ask('EXISTS', '{ime}:lease')).toBe(':0\r\n');
    expect(await redis.ask('ZCARD', '{ime}:members')).toBe(':0\r\n');
  });
});
