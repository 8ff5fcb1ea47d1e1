import { Redis } from 'ioredis';
import type { RedisAddress, RedisNode } from '../../config/redis-url.ts';

/** How long a connection may take to open, and a command to be answered, in milliseconds. */
const CONNECT_MS = 1_500;
const COMMAND_MS = 2_500;

/** A connection that is opened once: whoever has it decides what follows its end. */
export function openRedis(address: RedisAddress, node: RedisNode): Redis {
  const { username, password, tls, db } = address;
  return new Redis({
    host: node.host,
    port: node.port,
    ...(username === undefined ? {} : { username }),
    ...(password === undefined ? {} : { password }),
    ...(tls ? { tls: { servername: node.host } } : {}),
    db,
    protocol: 2,
    lazyConnect: true,
    retryStrategy: () => null,
    autoResubscribe: false,
    enableOfflineQueue: false,
    disableClientInfo: true,
    connectTimeout: CONNECT_MS,
    commandTimeout: COMMAND_MS,
  });
}

/**
 * Which server has what is stored under a key: asked anew for each connection, since it may have become
 * another one.
 *
 * @throws Error where nobody says so
 */
export async function locate(address: RedisAddress, key: string): Promise<RedisNode> {
  const [only] = address.nodes;
  if (address.kind === 'single' && only !== undefined) return only;
  let failure: unknown = new Error('no node of Redis answers');
  for (const node of shuffled(address.nodes)) {
    try {
      return address.kind === 'sentinel'
        ? await askSentinel(address, node)
        : await askCluster(address, node, key);
    } catch (error) {
      failure = error;
    }
  }
  throw failure;
}

async function askSentinel(address: RedisAddress, node: RedisNode): Promise<RedisNode> {
  // Name and password are the server's; Sentinels that want some of their own are not known here.
  const sentinel = openRedis({ ...address, db: 0, username: undefined, password: undefined }, node);
  return asking(sentinel, async () => {
    const name = address.serviceName ?? '';
    const answer = await sentinel.call('SENTINEL', 'GET-MASTER-ADDR-BY-NAME', name);
    const [host, port] = Array.isArray(answer) ? answer.map(String) : [];
    if (host === undefined) throw new Error(`Sentinel knows no ${JSON.stringify(name)}`);
    return { host, port: Number(port) };
  });
}

async function askCluster(address: RedisAddress, node: RedisNode, key: string): Promise<RedisNode> {
  const redis = openRedis(address, node);
  return asking(redis, async () => {
    const slot = Number(await redis.call('CLUSTER', 'KEYSLOT', key));
    const ranges = (await redis.call('CLUSTER', 'SLOTS')) as [number, number, [string, number]][];
    const range = ranges.find(([first, last]) => first <= slot && slot <= last);
    if (range === undefined) throw new Error(`no node of the Redis Cluster has slot ${slot}`);
    const [, , [host, port]] = range;
    return { host: host || node.host, port };
  });
}

async function asking<T>(redis: Redis, ask: () => Promise<T>): Promise<T> {
  let failure: Error | undefined;
  redis.on('error', (error) => {
    failure = error;
  });
  try {
    await redis.connect();
    return await ask();
  } catch (error) {
    throw failure ?? error;
  } finally {
    redis.disconnect();
  }
}

function shuffled<T>(items: readonly T[]): T[] {
  return items
    .map((item) => ({ item, at: Math.random() }))
    .sort((one, other) => one.at - other.at)
    .map(({ item }) => item);
}
