import { describe } from 'vitest';
import { clusterSource } from './kit/cluster.ts';
import { countingClock } from './kit/counting-clock.ts';
import { TestExchange } from './kit/gateway.ts';
import { hasProgram, REDIS_SERVER } from './kit/programs.ts';
import { RedisServer } from './kit/redis.ts';
import { sourceSuite } from './kit/source-suite.ts';

describe.skipIf(!hasProgram('redis-server', REDIS_SERVER))('with a redis-server', () => {
  sourceSuite('cluster', async (sink) => {
    const redis = await RedisServer.start();
    const market = await new TestExchange().listen();
    const clock = countingClock();
    const source = clusterSource(redis.url, market.url, sink, clock);
    await source.check();
    return {
      source,
      carries: (keys) => market.carries(keys),
      publish: (key, price) => market.publish(key, price),
      lose: () => market.exchange.drop(),
      leftOpen: () => clock.timers() + market.exchange.subscriptions.length,
    };
  });
});
