import { describe, expect, onTestFinished, test } from 'vitest';
import type { ContractKey } from '../src/contract/key.ts';
import { type Member, startMember } from './kit/cluster.ts';
import { names, TestExchange, until } from './kit/gateway.ts';
import { hasProgram, REDIS_SERVER } from './kit/programs.ts';
import { type RedisServer, startRedisCluster, startSentinels } from './kit/redis.ts';

const KEYS = names('A', 'B', 'C') as [ContractKey, ContractKey, ContractKey];

/** Redis loses a server under updates, and another one takes its place: everything goes on. */
async function survives(url: string, server: RedisServer): Promise<void> {
  const market = await new TestExchange().listen();
  const members = await Promise.all([1, 2, 3].map(() => startMember(url, market.url)));
  for (const { source } of members) source.retain(KEYS);
  await market.carries(KEYS);
  let price = 0;
  const timer = setInterval(() => {
    price++;
    for (const key of KEYS) market.publish(key, price);
  }, 10);
  onTestFinished(() => clearInterval(timer));
  const lastPrice = ({ sink }: Member, key: ContractKey) =>
    Number(sink.states(key).at(-1)?.snapshot.aggregate?.lastPrice ?? 0);
  const hasAll = (member: Member, least: number) =>
    KEYS.every((key) => member.sink.lastOf(key) === 'LIVE' && lastPrice(member, key) >= least);
  for (const member of members) await until(() => hasAll(member, 1), 'updates flow');
  await server.kill();
  const killedAt = price;
  for (const member of members) await until(() => hasAll(member, killedAt + 50), 'they flow again');
  clearInterval(timer);
  for (const member of members) {
    await until(() => hasAll(member, price), 'the last has come');
    for (const key of KEYS) {
      const sequences = member.sink.states(key).map(({ sequence }) => sequence);
      expect(sequences).toEqual([...new Set(sequences)].sort((one, other) => one - other));
    }
    await until(() => member.source.health().length === 0, 'it is healthy');
  }
  await until(() => market.exchange.subscriptions.length === 1, 'one socket carries all');
}

describe.skipIf(!hasProgram('redis-server', REDIS_SERVER))('a cluster of gateways goes on', () => {
  test('when Sentinels choose another server', { timeout: 60_000 }, async () => {
    const { url, servers } = await startSentinels();
    await survives(url, servers[0]);
  });

  test('when a node of a Redis Cluster is lost', { timeout: 60_000 }, async () => {
    const { url, owner } = await startRedisCluster('{ime}:');
    await survives(url, owner);
  });
});
