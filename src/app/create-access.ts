import { Access } from '../access/access.ts';
import { type Authenticator, OpenDoor } from '../access/authenticator.ts';
import { KeyFileAuthenticator } from '../access/key-file.ts';
import type { AccessLimits } from '../access/limit.ts';
import type { SharedPlaces } from '../access/shared-places.ts';
import { JwtAuthenticator } from '../access/tokens/jwt.ts';
import { type Config, isLoopback } from '../config/command-line.ts';
import type { ContractHub } from '../hub/hub.ts';
import type { Logger } from '../observability/log.ts';
import type { SourceServer } from '../workers/source-server.ts';

/** A shared secret shorter than this can be guessed; source: RFC 7518, section 3.2. */
const LEAST_SECRET_BYTES = 32;

/**
 * Who is let in, and how much of the gateway each may use, as the configuration says.
 *
 * @param shared where several processes have the same limits
 * @throws SettingFault where a file that it names cannot be used
 */
export function createAccess(
  config: Config,
  hub: ContractHub,
  log: Logger,
  shared?: SharedPlaces,
): Access {
  const failed = (error: unknown) => {
    log.error({ error }, 'a client could not be told that its session is over');
  };
  const authenticator = createAuthenticator(config, log);
  const access = new Access(
    authenticator,
    limitsOf(config, shared ? config.WORKERS : 1),
    hub,
    failed,
    shared,
  );
  hub.observed.by(access.usages);
  return access;
}

/** What all workers may take together is counted by this. */
export function createSharedAccess(config: Config, server: SourceServer, log: Logger): Access {
  const failed = (error: unknown) => log.error({ error }, 'what is taken cannot be counted');
  // Each worker says itself who comes.
  const access = new Access(new OpenDoor(), limitsOf(config), server, failed);
  server.observe(access.usages);
  return access;
}

function createAuthenticator(config: Config, log: Logger): Authenticator {
  switch (config.AUTH) {
    case 'keys':
      return new KeyFileAuthenticator(config.AUTH_KEYS_FILE ?? '', log);
    case 'jwt': {
      const secret = config.JWT_SECRET;
      if (secret !== undefined && Buffer.byteLength(secret) < LEAST_SECRET_BYTES) {
        log.warn(`JWT_SECRET is shorter than ${LEAST_SECRET_BYTES} bytes and can be guessed`);
      }
      return new JwtAuthenticator(
        {
          jwksUrl: config.JWT_JWKS_URL,
          publicKeyFile: config.JWT_PUBLIC_KEY_FILE,
          secret,
          issuer: config.JWT_ISSUER,
          audience: config.JWT_AUDIENCE,
          contractsClaim: config.JWT_CONTRACTS_CLAIM,
        },
        log,
      );
    }
    default:
      return new OpenDoor();
  }
}

/** @param workers among how many what is not counted for all of them is divided */
function limitsOf(config: Config, workers = 1): AccessLimits {
  // On a loopback address without tokens everybody is the same somebody.
  const alone = (config.AUTH ?? 'none') === 'none' && isLoopback(config.HOST);
  // What comes and goes by the millisecond no other process can be asked for.
  const divided = (limit: number) => Math.ceil(limit / workers);
  const shared = (limit: number) => (alone ? Number.POSITIVE_INFINITY : limit);
  return {
    connections: config.MAX_CONNECTIONS,
    connectionsPerAddress: shared(config.MAX_CONNECTIONS_PER_ADDRESS),
    subscriptionsPerConnection: config.MAX_SUBSCRIPTIONS_PER_CONNECTION,
    contractsPerSubscription: config.MAX_CONTRACTS_PER_SUBSCRIPTION,
    contractsPerConnection: config.MAX_CONTRACTS_PER_CONNECTION,
    operationsPerSecond: config.MAX_OPERATIONS_PER_SECOND,
    operationsInFlight: config.MAX_OPERATIONS_IN_FLIGHT,
    upstreamContracts: config.MAX_UPSTREAM_CONTRACTS,
    perPrincipal: {
      connections: shared(config.MAX_CONNECTIONS_PER_PRINCIPAL),
      contracts: shared(config.MAX_CONTRACTS_PER_PRINCIPAL),
      unprovenContracts: shared(config.MAX_UNPROVEN_CONTRACTS_PER_PRINCIPAL),
      selections: shared(config.MAX_SELECTIONS_PER_PRINCIPAL),
      operationsInFlight: divided(config.MAX_OPERATIONS_IN_FLIGHT_PER_PRINCIPAL),
      operationsPerSecond: divided(config.MAX_OPERATIONS_PER_SECOND_PER_PRINCIPAL),
      unknownContracts: shared(config.MAX_UNKNOWN_CONTRACTS_PER_MINUTE),
    },
  };
}
