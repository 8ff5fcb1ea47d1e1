import { readable } from './setting-kinds.ts';

/** Where Redis is, and how to show oneself to it. */
export interface RedisAddress {
  /** `single`: one server; `cluster`: some nodes of a Redis Cluster; `sentinel`: some Sentinels. */
  readonly kind: 'single' | 'cluster' | 'sentinel';
  readonly nodes: readonly RedisNode[];
  readonly tls: boolean;
  readonly username: string | undefined;
  readonly password: string | undefined;
  /** Number of the database; always 0 in a cluster. */
  readonly db: number;
  /** What the Sentinels call the server. */
  readonly serviceName: string | undefined;
}

/** One server. */
export interface RedisNode {
  readonly host: string;
  readonly port: number;
}

const REDIS_PORT = 6_379;
const SENTINEL_PORT = 26_379;
const MOST_DATABASES = 10_000;

/**
 * Reads `redis://`, `rediss://` (several with commas between them: a cluster) and
 * `redis+sentinel://host:port,host:port/name`.
 *
 * @throws TypeError for everything else
 */
export function readRedisUrl(given: string): RedisAddress {
  const parts = /^(redis|rediss|redis\+sentinel|rediss\+sentinel):\/\/([^/]+)(?:\/(.*))?$/.exec(
    given.replace(/,\s*rediss?:\/\//g, ','),
  );
  if (parts === null) throw new TypeError('not a Redis URL');
  const [, scheme = '', authority = '', path = ''] = parts;
  const isSentinel = scheme.endsWith('+sentinel');
  const at = authority.lastIndexOf('@');
  const [username, password] = readUser(authority.slice(0, Math.max(0, at)));
  const nodes = authority
    .slice(at + 1)
    .split(',')
    .map((text) => readNode(text.trim(), isSentinel ? SENTINEL_PORT : REDIS_PORT));
  const kind = isSentinel ? 'sentinel' : nodes.length > 1 ? 'cluster' : 'single';
  const [name = '', database = ''] = isSentinel ? path.split('/') : ['', path];
  if (isSentinel === (name === '') || path.split('/').length > 2) throw new TypeError('no name');
  if (!/^\d{0,5}$/.test(database)) throw new TypeError('not a database');
  const db = Number(database);
  if (db > MOST_DATABASES || (kind === 'cluster' && db > 0))
    throw new TypeError('no such database');
  return {
    kind,
    nodes,
    tls: scheme.startsWith('rediss'),
    username,
    password,
    db,
    serviceName: isSentinel ? decodeURIComponent(name) : undefined,
  };
}

function readUser(text: string): [string | undefined, string | undefined] {
  const colon = text.indexOf(':');
  const username = decodeURIComponent(colon === -1 ? text : text.slice(0, colon));
  const password = colon === -1 ? '' : decodeURIComponent(text.slice(colon + 1));
  return [username || undefined, password || undefined];
}

function readNode(text: string, defaultPort: number): RedisNode {
  const url = new URL(`redis://${text}`);
  const isBare = !url.username && !url.password && !url.search && !url.hash && !url.pathname;
  if (url.hostname === '' || !isBare) throw new TypeError('not a host');
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1');
  return { host, port: url.port === '' ? defaultPort : Number(url.port) };
}

/** The setting of {@link readRedisUrl}. */
export const redisUrl = readable(
  readRedisUrl,
  'redis://host:port or rediss://host:port, several between commas for a Redis Cluster, or redis+sentinel://host:port,host:port/name',
);
/** What a key and a channel may begin with: no braces, which name a slot. */
export const redisPrefix = readable((given) => {
  if (!/^[\w.:-]{1,64}$/.test(given)) throw new TypeError(given);
  return given;
}, '1 to 64 letters, digits, dots, colons, dashes and underscores');
