import { OPERATOR_SCOPE } from '../access/principal.ts';
import { CONTRACT_STATUSES, type ContractStatus } from '../contract/contract-status.ts';
import type { CredentialsSummary, SocketReport } from '../hub/source.ts';
import { builder } from './builder.ts';
import { ClusterStatusType } from './cluster-type.ts';
import { codedError } from './errors/coded-error.ts';
import type { GatewayReport, UpstreamMode, UpstreamSummary } from './report.ts';
import type { GatewayContext } from './resolver-context.ts';

const UpstreamModeType = builder.enumType('UpstreamMode', {
  description: 'Where the data comes from.',
  values: {
    IME: { description: 'The service at IME_URL.' },
    SIMULATOR: { description: 'The embedded simulator: all data is invented.' },
    REPLAY: { description: 'A recording: all data is of another time.' },
  } satisfies Record<UpstreamMode, { description: string }>,
});

const UpstreamEndpointType = builder.enumType('UpstreamEndpoint', {
  description: "IME's two endpoints.",
  values: {
    NAME: { description: 'Contracts by name.' },
    ID: { description: 'Contracts by ID.' },
  },
});

const SOCKET_STATES: Record<string, string> = {
  new: 'Not dialed yet.',
  waiting: 'Lost or refused; dials again later.',
  queued: 'Waits for its turn to dial.',
  dialing: 'In the handshake.',
  open: 'The handshake is over; IME may still refuse.',
  accepted: 'IME accepted the subscription.',
  settled: 'Accepted, and delivering without a gap.',
  closed: 'Closed.',
};

const UpstreamSocketStateType = builder.enumType('UpstreamSocketState', {
  description: 'Where an upstream socket is in its life.',
  values: Object.fromEntries(
    Object.entries(SOCKET_STATES).map(([state, description]) => [
      state.toUpperCase(),
      { value: state, description },
    ]),
  ),
});

const UpstreamSocketType = builder.objectRef<SocketReport>('UpstreamSocket').implement({
  description: 'One WebSocket connection to IME.',
  fields: (t) => ({
    endpoint: t.expose('endpoint', {
      type: UpstreamEndpointType,
      nullable: false,
      description: 'Which of the two endpoints it is connected to.',
    }),
    state: t.expose('state', {
      type: UpstreamSocketStateType,
      nullable: false,
      description: 'Where it is in its life.',
    }),
    contracts: t.exposeInt('contracts', {
      nullable: false,
      description: 'How many contracts it carries.',
    }),
    openedAt: t.expose('openedAtMs', {
      type: 'DateTime',
      nullable: true,
      description: 'Since when it has been open; null while it is not.',
    }),
    lastMessageAt: t.expose('lastMessageAtMs', {
      type: 'DateTime',
      nullable: true,
      description: 'When its last message came; null before the first one.',
    }),
    reconnects: t.exposeInt('reconnects', {
      nullable: false,
      description: 'How often it has dialed again.',
    }),
    failure: t.exposeString('failure', {
      nullable: true,
      description: 'Why its last connection ended, in words; null while it has one.',
    }),
  }),
});

const UpstreamCredentialsModeType = builder.enumType('UpstreamCredentialsMode', {
  description: 'Where the access token for IME comes from.',
  values: {
    NONE: { description: 'None is shown.' },
    TOKEN: { description: 'IME_TOKEN.' },
    FILE: { description: 'IME_TOKEN_FILE.' },
    LOGIN: { description: 'The gateway logs in by itself.' },
  } satisfies Record<CredentialsSummary['mode'], { description: string }>,
});

const UpstreamCredentialsType = builder
  .objectRef<CredentialsSummary>('UpstreamCredentials')
  .implement({
    description: 'What the gateway shows IME. Nothing secret is in it.',
    fields: (t) => ({
      mode: t.expose('mode', {
        type: UpstreamCredentialsModeType,
        nullable: false,
        description: 'Where the access token comes from.',
      }),
      expiresAt: t.expose('expiresAtMs', {
        type: 'DateTime',
        nullable: true,
        description: 'When it ends; null where that is not known.',
      }),
      renewedAt: t.expose('renewedAtMs', {
        type: 'DateTime',
        nullable: true,
        description: 'When it was obtained; null for one that was given.',
      }),
      problem: t.exposeString('problem', {
        nullable: true,
        description: 'What is wrong with it, in words; null while nothing is.',
      }),
    }),
  });

const UpstreamStatusType = builder.objectRef<UpstreamSummary>('UpstreamStatus').implement({
  description: 'The connection to IME.',
  fields: (t) => ({
    mode: t.expose('mode', {
      type: UpstreamModeType,
      nullable: false,
      description: 'Where the data comes from.',
    }),
    url: t.exposeString('url', {
      nullable: true,
      description: 'Base of the service, or the recording; null for the simulator.',
    }),
    problems: t.exposeStringList('problems', {
      nullable: false,
      description: 'What keeps contracts from being served, in words; empty while nothing does.',
    }),
    credentials: t.expose('credentials', {
      type: UpstreamCredentialsType,
      nullable: true,
      description: 'What is shown to IME.',
    }),
    sockets: t.expose('sockets', {
      type: [UpstreamSocketType],
      nullable: false,
      description: 'The connections, those that wait to dial included.',
    }),
    dials: t.exposeInt('dials', {
      nullable: false,
      description: 'Connections tried since the start.',
    }),
    messages: t.field({
      type: 'BigInt',
      nullable: false,
      description: 'Messages read since the start, duplicates included.',
      resolve: ({ messages }) => messages,
    }),
    partialMessages: t.field({
      type: 'BigInt',
      nullable: false,
      description: 'Of these, messages without one of their sections.',
      resolve: ({ partialMessages }) => partialMessages,
    }),
    duplicates: t.field({
      type: 'BigInt',
      nullable: false,
      description: 'Of these, messages that two connections both delivered.',
      resolve: ({ duplicates }) => duplicates,
    }),
    droppedFrames: t.field({
      type: 'BigInt',
      nullable: false,
      description: 'Frames that could not be used, since the start.',
      resolve: ({ droppedFrames }) => droppedFrames,
    }),
  }),
});

const ContractCountsType = builder
  .objectRef<Readonly<Record<ContractStatus, number>>>('ContractCounts')
  .implement({
    description: 'How many of the contracts that the gateway holds have each status.',
    fields: (t) => ({
      total: t.int({
        nullable: false,
        description: 'All of them.',
        resolve: (counts) => CONTRACT_STATUSES.reduce((sum, status) => sum + counts[status], 0),
      }),
      pending: t.exposeInt('PENDING', { nullable: false, description: 'With status PENDING.' }),
      live: t.exposeInt('LIVE', { nullable: false, description: 'With status LIVE.' }),
      stale: t.exposeInt('STALE', { nullable: false, description: 'With status STALE.' }),
      invalid: t.exposeInt('INVALID', { nullable: false, description: 'With status INVALID.' }),
    }),
  });

const FOR_OPERATORS = `Needs the \`${OPERATOR_SCOPE}\` scope, unless everybody is let in.`;

/** A resolver that answers operators only. */
function forOperators<T>(read: (report: GatewayReport) => T) {
  return (report: GatewayReport, _args: object, { principal }: GatewayContext): T => {
    if (principal.operator) return read(report);
    throw codedError('FORBIDDEN', `expected the ${OPERATOR_SCOPE} scope`);
  };
}

/** The `GatewayStatus` type. */
export const GatewayStatusType = builder.objectRef<GatewayReport>('GatewayStatus').implement({
  description: 'The gateway itself: what an operator asks first.',
  fields: (t) => ({
    version: t.exposeString('version', { nullable: false, description: "The gateway's version." }),
    startedAt: t.expose('startedAtMs', {
      type: 'DateTime',
      nullable: false,
      description: 'When this process started.',
    }),
    uptimeSeconds: t.exposeFloat('uptimeSeconds', {
      nullable: false,
      description: 'For how many seconds it has been running.',
    }),
    simulated: t.exposeBoolean('simulated', {
      nullable: false,
      description: 'Whether all data is invented by the embedded simulator.',
    }),
    ready: t.exposeBoolean('ready', {
      nullable: false,
      description: 'Whether it can do its job, as `/ready` says.',
    }),
    reasons: t.exposeStringList('reasons', {
      nullable: false,
      description: 'Why it is not ready, in words.',
    }),
    upstream: t.field({
      type: UpstreamStatusType,
      nullable: true,
      description: `The connection to IME. ${FOR_OPERATORS}`,
      resolve: forOperators(({ upstream }) => upstream),
    }),
    cluster: t.field({
      type: ClusterStatusType,
      nullable: true,
      description: `The gateways that share IME with this one; null where it stands alone. ${FOR_OPERATORS}`,
      resolve: forOperators(({ cluster }) => cluster),
    }),
    clients: t.int({
      nullable: true,
      description: `WebSocket connections and streaming HTTP requests of clients. ${FOR_OPERATORS}`,
      resolve: forOperators(({ clients }) => clients),
    }),
    subscriptions: t.int({
      nullable: true,
      description: `Subscriptions that are running. ${FOR_OPERATORS}`,
      resolve: forOperators(({ subscriptions }) => subscriptions),
    }),
    contracts: t.field({
      type: ContractCountsType,
      nullable: true,
      description: `How many contracts the gateway holds. ${FOR_OPERATORS}`,
      resolve: forOperators(({ contracts }) => contracts),
    }),
  }),
});
