import { readFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import type { Config } from '../config/command-line.ts';
import { Documents } from '../documents/documents.ts';
import { TrustedDocuments } from '../documents/trusted-documents.ts';
import { FanOut } from '../fanout/fanout.ts';
import { GraphqlEndpoint } from '../http/graphql-endpoint.ts';
import { GatewayServer } from '../http/server.ts';
import { ContractHub } from '../hub/hub.ts';
import { ClientAddresses } from '../listener/client-address.ts';
import type { Logger } from '../observability/log.ts';
import { openTelemetry } from '../observability/tracing.ts';
import { Admission } from '../operation/admission.ts';
import { clientError } from '../operation/client-error.ts';
import { sharedContext } from '../operation/operation-context.ts';
import { RelayEndpoint } from '../relay/relay-endpoint.ts';
import { Projections } from '../render/projections.ts';
import type { GatewayReport, UpstreamMode } from '../schema/report.ts';
import { schema } from '../schema/schema.ts';
import { WebSocketEndpoint } from '../websocket/websocket-endpoint.ts';
import type { Colleagues } from './colleagues.ts';
import { createAccess } from './create-access.ts';
import { Metrics, type ServerReport } from './metrics.ts';
import { type SourceOpener, sourceOpener } from './open-source.ts';
import { sourceGround } from './source-ground.ts';

/** How many contracts the first documents in GraphiQL name. */
const EXAMPLES = 2;

/** The gateway's version, as package.json says. */
export const VERSION = (
  JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
    version: string;
  }
).version;

/** A gateway that runs, in one process or in several. */
export interface RunningGateway {
  /** `http://host:port` of where it listens. */
  readonly url: string;
  /** The base of the service that it connects to. */
  readonly upstreamUrl: string;
  /** Where its data comes from. */
  readonly mode: UpstreamMode;
  /** Reads every file that a setting names anew; no client is touched. */
  reload(): void;
  /** Replaces its workers one after the other; one that has none leaves it out. */
  roll?(): Promise<void>;
  /** Ends its workers at once; one that has none leaves it out. */
  kill?(): void;
  /**
   * Stops: clients are closed so that they come back, then the upstream. Nothing is left afterwards.
   *
   * @param drainMs over how long clients are closed, in milliseconds; by default DRAIN_MS
   * @param handsOver whether another process listens in its place already: no request is refused then
   */
  close(drainMs?: number, handsOver?: boolean): Promise<void>;
}

/** A gateway in this process. */
export interface Gateway extends RunningGateway {
  /** Where it listens. */
  readonly address: AddressInfo;
  report(): GatewayReport;
}

/** What a gateway is put together from that is not as usual. */
export interface GatewayParts {
  /** How many lines of the log could not be written. */
  readonly lostLines?: () => number;
  /** Opens the source of its contracts; by default the one of the configuration. */
  readonly openSource?: SourceOpener;
  /** The processes that it is one of; by default it is alone. */
  readonly colleagues?: Colleagues;
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
  { lostLines = () => 0, openSource, colleagues }: GatewayParts = {},
): Promise<Gateway> {
  const startedAtMs = colleagues?.facts.startedAtMs ?? Date.now();
  const runsSinceMs = performance.now() - (Date.now() - startedAtMs);
  const zone = config.IME_TIME_ZONE;
  const ground = sourceGround(log);
  const open: SourceOpener =
    openSource ??
    (colleagues === undefined
      ? sourceOpener(config)
      : (sink, own) => colleagues.openSource(config, sink, own));
  const hub = new ContractHub(config.IME_LINGER_MS, ground.clock, log);
  const trustedDocuments =
    config.TRUSTED_DOCUMENTS === undefined
      ? undefined
      : TrustedDocuments.read(config.TRUSTED_DOCUMENTS, schema);
  const access = createAccess(config, hub, log, colleagues?.places);
  const tracing = await openTelemetry(VERSION);
  const clients = () => (colleagues?.totals ?? totals()).clients;
  const opened = await open(hub, { ...ground, clients });
  const { source, mode } = opened;
  const simulated = mode === 'SIMULATOR';
  hub.connect(source);
  const report = (): GatewayReport => {
    const { sockets, problems, dials, counts, credentials, cluster = null } = source.report();
    const reasons = source.health();
    return {
      version: VERSION,
      startedAtMs,
      uptimeSeconds: (performance.now() - runsSinceMs) / 1000,
      simulated,
      ready: reasons.length === 0,
      reasons,
      upstream: {
        mode,
        url: simulated ? null : opened.url,
        problems: [...problems, ...opened.problems()],
        credentials,
        sockets,
        dials,
        messages: counts.messages,
        partialMessages: counts.partialMessages,
        duplicates: counts.duplicates,
        droppedFrames: Object.values(counts.droppedFrames).reduce((sum, count) => sum + count, 0),
      },
      cluster,
      ...(colleagues?.totals ?? totals()),
      contracts: hub.countByStatus(),
    };
  };
  const totals = () => {
    const { webSockets, streams } = serverReport();
    return { clients: webSockets + streams, subscriptions: hub.open.size };
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
    mode,
    exampleNames: opened.exampleNames.slice(0, EXAMPLES),
    report,
    hear: colleagues && (() => colleagues.hear()),
    readiness: async () => {
      const reasons = await source.check();
      // What keeps some contracts from being served is said here too, though the gateway does its job.
      return { ready: reasons.length === 0, reasons, problems: source.report().problems };
    },
    metrics: () => colleagues?.metrics() ?? metrics.read(),
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
  colleagues?.share({ totals, metrics: () => metrics.json() });
  const reload = () => {
    log.info('reading files anew');
    opened.reload();
    access.reload();
    if (config.TRUSTED_DOCUMENTS === undefined) return;
    try {
      documents.trust(TrustedDocuments.read(config.TRUSTED_DOCUMENTS, schema));
    } catch (error) {
      log.error({ error }, 'TRUSTED_DOCUMENTS cannot be used; the last ones stay');
    }
  };
  const close = async (drainMs: number = config.DRAIN_MS, handsOver = false) => {
    await server.close(drainMs, handsOver);
    fanOut.close();
    access.close();
    hub.close();
    await opened.close();
  };
  try {
    const address = await server.listen(config.PORT, config.HOST);
    hub.pin(opened.pinned);
    return {
      address,
      url: `http://${address.family === 'IPv6' ? `[${address.address}]` : address.address}:${address.port}`,
      upstreamUrl: opened.url,
      mode,
      report,
      reload,
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}
