import { availableParallelism } from 'node:os';
import { compile } from 'proxy-addr';
import { LOG_LEVELS } from '../observability/log.ts';
import { redisPrefix, redisUrl } from './redis-url.ts';
import {
  list,
  oneOf,
  optional,
  readable,
  setting,
  text,
  whole,
  wholeOrAuto,
} from './setting-kinds.ts';
import { UPSTREAM_SETTINGS } from './upstream-settings.ts';
import { webUrl } from './web-url.ts';

const DAY_MS = 86_400_000;
const origins = list(isOrigin, 'origins between commas, such as https://app.example.com, or *');
const proxies = readable(
  readProxies,
  'off, a number of hops, or addresses, subnets, loopback, linklocal and uniquelocal between commas',
);

/** Every setting: an environment variable and, in lower case with dashes, a flag. */
export const SETTINGS = {
  HOST: setting(text, '127.0.0.1', 'Address to listen on.'),
  PORT: setting(whole(0, 65_535), '4000', 'Port to listen on; 0 takes a free one.'),
  ...UPSTREAM_SETTINGS,
  AUTH: optional(
    oneOf(['none', 'keys', 'jwt']),
    'Who may use the gateway: none lets everybody in, keys asks for an API key, jwt for a JSON Web Token. Must be set, except for the simulator on a loopback address.',
  ),
  AUTH_KEYS_FILE: optional(
    text,
    'File of API keys for AUTH=keys; npm run key adds one. Read anew when it changes.',
  ),
  JWT_JWKS_URL: optional(webUrl, 'Where the public keys of AUTH=jwt are published (JWKS).'),
  JWT_PUBLIC_KEY_FILE: optional(text, 'Public key of AUTH=jwt, in PEM: RSA, EC or Ed25519.'),
  JWT_SECRET: optional(text, 'Shared secret of AUTH=jwt (HS256).', true),
  JWT_ISSUER: optional(text, 'Required iss of a token.'),
  JWT_AUDIENCE: optional(text, 'Required aud of a token.'),
  JWT_CONTRACTS_CLAIM: setting(
    text,
    'contracts',
    'Claim with the patterns of contracts that may be seen: name:Gold*, id:12345, *. A token without it may see all.',
  ),
  CORS_ORIGINS: setting(
    origins,
    '',
    "Origins of web pages, other than the gateway's own, that may use it over HTTP and WebSocket.",
  ),
  TRUST_PROXY: setting(
    proxies,
    'off',
    'Which proxies in front of the gateway to believe about addresses, protocol and host.',
  ),
  MAX_CONNECTIONS: setting(
    whole(1, 10_000_000),
    '20000',
    'Connections of clients, WebSocket and streaming HTTP together.',
  ),
  MAX_CONNECTIONS_PER_PRINCIPAL: setting(
    whole(1, 10_000_000),
    '1000',
    'Of these, of one principal. Not for AUTH=none on a loopback address.',
  ),
  MAX_CONNECTIONS_PER_ADDRESS: setting(
    whole(1, 10_000_000),
    '1000',
    'Of these, from one address. Not for AUTH=none on a loopback address.',
  ),
  MAX_SUBSCRIPTIONS_PER_CONNECTION: setting(
    whole(1, 100_000),
    '100',
    'Subscriptions of one connection at once.',
  ),
  MAX_CONTRACTS_PER_SUBSCRIPTION: setting(
    whole(1, 100_000),
    '500',
    'Contracts of one subscription, or of one field of a query.',
  ),
  MAX_CONTRACTS_PER_CONNECTION: setting(
    whole(1, 1_000_000),
    '2000',
    'Contracts in all subscriptions of one connection.',
  ),
  MAX_CONTRACTS_PER_PRINCIPAL: setting(
    whole(1, 100_000_000),
    '5000',
    "One principal's share of the contracts upstream: distinct ones in its subscriptions, and those that linger for it alone. Not for AUTH=none on a loopback address.",
  ),
  MAX_UNPROVEN_CONTRACTS_PER_PRINCIPAL: setting(
    whole(1, 1_000_000),
    '200',
    'Contracts that one principal was the first to ask for and that IME has neither accepted nor refused yet. Not for AUTH=none on a loopback address.',
  ),
  MAX_SELECTIONS_PER_PRINCIPAL: setting(
    whole(1, 1_000_000),
    '200',
    'Different selections in the subscriptions of one principal. Not for AUTH=none on a loopback address.',
  ),
  MAX_UNKNOWN_CONTRACTS_PER_MINUTE: setting(
    whole(1, 1_000_000),
    '60',
    'Contracts a minute that one principal may ask for without IME knowing them. Not for AUTH=none on a loopback address.',
  ),
  MAX_UPSTREAM_CONTRACTS: setting(
    whole(1, 1_000_000),
    '20000',
    'Distinct contracts asked of IME at once.',
  ),
  MAX_OPERATIONS_PER_SECOND: setting(
    whole(1, 1_000_000),
    '50',
    'Operations a second of one connection; bursts of twice that.',
  ),
  MAX_OPERATIONS_PER_SECOND_PER_PRINCIPAL: setting(
    whole(1, 10_000_000),
    '1000',
    'Operations a second of one principal at one address, over all its connections and requests; bursts of twice that.',
  ),
  MAX_OPERATIONS_IN_FLIGHT: setting(
    whole(1, 100_000),
    '20',
    'Queries of one connection that run or wait at once.',
  ),
  MAX_OPERATIONS_IN_FLIGHT_PER_PRINCIPAL: setting(
    whole(1, 1_000_000),
    '100',
    'Queries of one principal that run or wait at once.',
  ),
  MAX_MESSAGE_BYTES: setting(
    whole(1_024, 2 ** 30),
    '131072',
    'Bytes of one WebSocket message of a client.',
  ),
  MAX_BODY_BYTES: setting(
    whole(1_024, 2 ** 30),
    '262144',
    'Bytes of the body of one HTTP request.',
  ),
  MAX_DEPTH: setting(whole(1, 1_000), '8', 'Depth of a document.'),
  MAX_TOKENS: setting(whole(10, 1_000_000), '2000', 'Tokens of a document.'),
  MAX_ALIASES: setting(whole(0, 100_000), '30', 'Aliases in a document.'),
  MAX_COST: setting(
    whole(1, 1_000_000_000),
    '250000',
    'Cost of an operation: the fields selected of a contract times the contracts asked for.',
  ),
  INTROSPECTION: setting(oneOf(['on', 'off']), 'on', 'Whether the schema can be asked for.'),
  GRAPHIQL: setting(oneOf(['on', 'off']), 'on', 'Whether /graphql shows GraphiQL in a browser.'),
  TRUSTED_DOCUMENTS: optional(
    text,
    'File with a JSON map of hash to document; only these documents are executed then.',
  ),
  CLIENT_BUFFER_BYTES: setting(
    whole(1_024, 2 ** 30),
    '262144',
    'Unsent bytes above which a client gets only the newest state of each contract.',
  ),
  CLIENT_STALL_MS: setting(
    whole(1_000, DAY_MS),
    '30000',
    'Milliseconds after which a slow client that takes nothing is closed.',
  ),
  WS_COMPRESSION: setting(
    oneOf(['off', 'on']),
    'off',
    'permessage-deflate towards clients: less traffic for more CPU.',
  ),
  RELAY: setting(
    oneOf(['off', 'on']),
    'on',
    "Whether IME's own two endpoints are served, for programs that were written for them.",
  ),
  DRAIN_MS: setting(
    whole(0, DAY_MS),
    '5000',
    'Milliseconds over which connections are closed at a stop.',
  ),
  REDIS_URL: optional(
    redisUrl,
    'Redis through which gateways share one set of upstream sockets. Unset: this gateway stands alone.',
    true,
  ),
  REDIS_PREFIX: setting(
    redisPrefix,
    'ime',
    'Prefix of every key and channel in Redis: gateways with the same one are one cluster.',
  ),
  CLUSTER_ROLE: setting(
    oneOf(['any', 'edge']),
    'any',
    'Whether this gateway may hold the upstream sockets of its cluster: edge never does.',
  ),
  WORKERS: setting(
    wholeOrAuto(1, 64, availableParallelism),
    '1',
    'Processes that share the port; auto is one a core. Limits and status mean all of them together.',
  ),
  LOG_LEVEL: setting(oneOf(LOG_LEVELS), 'info', 'Least level that is logged.'),
  SIMULATOR_RATE: setting(
    whole(1, 100_000),
    '40',
    'Updates a second of the embedded simulator, over all its contracts.',
  ),
  SIMULATOR_SEED: setting(whole(0, 2 ** 31), '1', "Seed of the embedded simulator's market."),
};

function isOrigin(given: string): boolean {
  return given === '*' || (URL.canParse(given) && new URL(given).origin === given);
}

/** Which proxies to believe, and as what they were given. */
export interface TrustedProxies {
  readonly given: string;
  /** Whether to believe the hop at an address, the nearest being hop 0. */
  trusts(address: string, hop: number): boolean;
}

function readProxies(given: string): TrustedProxies {
  if (given === 'off') return { given, trusts: () => false };
  const hops = /^\d{1,2}$/.test(given) ? Number(given) : undefined;
  const trusts =
    hops === undefined
      ? compile(given.split(',').map((item) => item.trim()))
      : (_address: string, hop: number) => hop < hops;
  return { given, trusts };
}
