import { readFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import type { Config } from '../config/command-line.ts';
import { contractKey } from '../contract/key.ts';
import { Documents } from '../documents/documents.ts';
import { TrustedDocuments } from '../documents/trusted-documents.ts';
import { FanOut } from '../fanout/fanout.ts';
import { GraphqlEndpoint } from '../http/graphql-endpoint.ts';
import { GatewayServer } from '../http/server.ts';
import { ContractHub } from '../hub/hub.ts';
import { imeBaseUrl } from '../ime/protocol/endpoints.ts';
import { guardedClock, systemClock } from '../lib/clock.ts';
import { ClientAddresses } from '../listener/client-address.ts';
import type { Logger } from '../observability/log.ts';
import { RepeatLimit } from '../observability/repeat-limit.ts';
import { openTelemetry } from '../observability/tracing.ts';
import { Admission } from '../operation/admission.ts';
import { clientError } from '../operation/client-error.ts';
import { sharedContext } from '../operation/operation-context.ts';
import { RelayEndpoint } from '../relay/relay-endpoint.ts';
import { Projections } from '../render/projections.ts';
import type { GatewayReport } from '../schema/report.ts';
import { schema } from '../schema/schema.ts';
import { Simulator } from '../simulator/simulator.ts';
import { WebSocketEndpoint } from '../websocket/websocket-endpoint.ts';
import { createAccess } from './create-access.ts';
import { createSource } from './create-source.ts';
import { Metrics, type ServerReport } from './metrics.ts';

/** How often equal faults are logged, in milliseconds. */
const REPEAT_INTERVAL_MS = 10_000;
/** How many contracts the first documents in GraphiQL name. */
const EXAMPLES = 2;

/** The gateway's version, as package.json says. */
export const VERSION = (
  JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
    version: string;
  }
).version;

/** A gateway that runs. */
export interface Gateway {
  /** Where it listens. */
  readonly address: AddressInfo;
  /** `http://host:port` of where it listens. */
  readonly url: string;
  /** The base of the service that it connects to. */
  readonly upstreamUrl: string;
  report(): GatewayReport;
  /** Reads every file that a setting names anew; no client is touched. */
  reload(): void;
  /**
   * Stops: clients are closed so that they come back, then the upstream. Nothing is left afterwards.
   *
   * @param drainMs over how long clients are closed, in milliseconds; by default DRAIN_MS
   */
  close(drainMs?: number): Promise<void>;
}

/**
 * Puts a gateway together from its configuration and starts it.
 *
 * @throws SettingFault where a file that a setting names cannot be used
 * @throws where the address to listen on cannot be had
 */
export async function startGateway(
  config: Config,
  log: Logger,
  { lostLines = () => 0 }: { readonly lostLines?: () => number } = {},
): Promise<Gateway> {
  const startedAtMs = Date.now();
  const runsSinceMs = performance.now();
  const zone = config.IME_TIME_ZONE;
  const repeats = new RepeatLimit(REPEAT_INTERVAL_MS);
  const clock = guardedClock(systemClock, (error) => {
    const held = repeats.pass('timer');
    if (held !== undefined) log.error({ error, held }, 'what a timer was to do has failed');
  });
  const hub = new ContractHub(config.IME_LINGER_MS, clock, log);
  const trustedDocuments =
    config.TRUSTED_DOCUMENTS === undefined
      ? undefined
      : TrustedDocuments.read(config.TRUSTED_DOCUMENTS, schema);
  const access = createAccess(config, hub, log);
  const tracing = await openTelemetry(VERSION);
  const simulator = config.IME_URL === undefined ? embeddedSimulator(config) : undefined;
  const base = imeBaseUrl(config.IME_URL ?? (await simulator?.listen(0)) ?? '');
  const { source, retryCredentials } = createSource(config, base, hub, {
    clock,
    log,
    repeats,
    clients: () => {
      const { webSockets, streams } = serverReport();
      return webSockets + streams;
    },
  });
  hub.connect(source);
  const report = (): GatewayReport => {
    const { sockets, problems, dials, counts, credentials, cluster = null } = source.report();
    const reasons = source.health();
    const { webSockets, streams } = serverReport();
    return {
      version: VERSION,
      startedAtMs,
      uptimeSeconds: (performance.now() - runsSinceMs) / 1000,
      simulated: simulator !== undefined,
      ready: reasons.length === 0,
      reasons,
      upstream: {
        mode: simulator === undefined ? 'IME' : 'SIMULATOR',
        url: simulator === undefined ? base.href : null,
        problems,
        credentials,
        sockets,
        dials,
        messages: counts.messages,
        partialMessages: counts.partialMessages,
        duplicates: counts.duplicates,
        droppedFrames: Object.values(counts.droppedFrames).reduce((sum, count) => sum + count, 0),
      },
      cluster,
      clients: webSockets + streams,
      subscriptions: hub.open.size,
      contracts: hub.countByStatus(),
    };
  };
  const slowReaders = {
    bufferBytes: config.CLIENT_BUFFER_BYTES,
    stallMs: config.CLIENT_STALL_MS,
  };
  const fanOut = new FanOut(slowReaders, (seconds) => metrics.flushed(seconds), log);
  const serverGateway = {
    hub,
    access,
    zone,
    log,
    tracing,
    maxMessageBytes: config.MAX_MESSAGE_BYTES,
    maxBodyBytes: config.MAX_BODY_BYTES,
    documentLimits: {
      depth: config.MAX_DEPTH,
      tokens: config.MAX_TOKENS,
      aliases: config.MAX_ALIASES,
      introspection: config.INTROSPECTION === 'on',
    },
    maxCost: config.MAX_COST,
    origins: config.CORS_ORIGINS,
    compression: config.WS_COMPRESSION === 'on',
    slowReaders,
    fanOut,
    graphiql: config.GRAPHIQL === 'on',
    simulated: simulator !== undefined,
    exampleNames: (simulator?.busiestNames ?? config.IME_PINNED_NAMES).slice(0, EXAMPLES),
    report,
    readiness: async () => {
      const reasons = await source.check();
      // What keeps some contracts from being served is said here too, though the gateway does its job.
      return { ready: reasons.length === 0, reasons, problems: source.report().problems };
    },
    metrics: () => metrics.read(),
  };
  const projections = new Projections(
    schema,
    (error) => clientError(error, log),
    sharedContext(serverGateway),
  );
  const documents = new Documents(schema, serverGateway.documentLimits, trustedDocuments);
  const admission = new Admission(serverGateway, schema, documents, projections);
  const addresses = new ClientAddresses(config.TRUST_PROXY);
  const endpoint = new GraphqlEndpoint(
    serverGateway,
    schema,
    admission,
    projections.texts,
    addresses,
  );
  const webSockets = new WebSocketEndpoint(serverGateway, admission);
  const relay = config.RELAY === 'on' ? new RelayEndpoint(serverGateway, admission) : undefined;
  const server = new GatewayServer(serverGateway, schema, endpoint, webSockets, relay, addresses);
  const serverReport = (): ServerReport => {
    const { counts } = fanOut;
    return {
      webSockets: webSockets.size + (relay?.size ?? 0),
      streams: endpoint.streams.open.size,
      fanOut: { ...counts, stalled: counts.stalled + endpoint.streams.stalled + server.cut },
      renderings: projections.renderings,
      projections: projections.size,
    };
  };
  const metrics = new Metrics({
    access,
    version: VERSION,
    upstream: () => source.report(),
    server: serverReport,
    contracts: () => hub.countByStatus(),
    subscriptions: () => hub.open.size,
    isReady: () => source.health().length === 0,
    lostLines,
  });
  const reload = () => {
    log.info('reading files anew');
    retryCredentials();
    access.reload();
    if (config.TRUSTED_DOCUMENTS === undefined) return;
    try {
      documents.trust(TrustedDocuments.read(config.TRUSTED_DOCUMENTS, schema));
    } catch (error) {
      log.error({ error }, 'TRUSTED_DOCUMENTS cannot be used; the last ones stay');
    }
  };
  const close = async (drainMs: number = config.DRAIN_MS) => {
    await server.close(drainMs);
    fanOut.close();
    access.close();
    hub.close();
    source.close();
    await simulator?.close();
  };
  try {
    const address = await server.listen(config.PORT, config.HOST);
    hub.pin([
      ...config.IME_PINNED_NAMES.map((name) => contractKey('name', name)),
      ...config.IME_PINNED_IDS.map((id) => contractKey('id', id)),
      ...(simulator?.keys ?? []),
    ]);
    return {
      address,
      url: `http://${address.family === 'IPv6' ? `[${address.address}]` : address.address}:${address.port}`,
      upstreamUrl: base.href,
      report,
      reload,
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

function embeddedSimulator(config: Config): Simulator {
  return new Simulator({
    seed: config.SIMULATOR_SEED,
    updatesPerSecond: config.SIMULATOR_RATE,
    token: config.IME_TOKEN,
    refuse: 'after',
    zone: config.IME_TIME_ZONE,
  });
}
