import type { ClusterReport } from '../hub/source.ts';
import { builder } from './builder.ts';

const ClusterRoleType = builder.enumType('ClusterRole', {
  description: 'What a gateway of a cluster may become.',
  values: {
    ANY: { value: 'any', description: 'May hold the connections to IME.' },
    EDGE: { value: 'edge', description: 'Never holds the connections to IME.' },
  } as const,
});

const ClusterGatewayType = builder
  .objectRef<ClusterReport['gateways'][number]>('ClusterGateway')
  .implement({
    description: 'One gateway of a cluster.',
    fields: (t) => ({
      id: t.exposeID('id', { nullable: false, description: 'A new one for each start.' }),
      role: t.expose('role', {
        type: ClusterRoleType,
        nullable: false,
        description: 'What it may become.',
      }),
      clients: t.exposeInt('clients', {
        nullable: false,
        description: 'WebSocket connections and streaming HTTP requests of its clients.',
      }),
      wishes: t.exposeInt('wishes', {
        nullable: false,
        description: 'How many contracts it wants.',
      }),
    }),
  });

/** The `ClusterStatus` type. */
export const ClusterStatusType = builder.objectRef<ClusterReport>('ClusterStatus').implement({
  description: 'The gateways that share one set of connections to IME through Redis.',
  fields: (t) => ({
    gateway: t.exposeID('gateway', { nullable: false, description: 'The gateway that answers.' }),
    holder: t.exposeID('holder', {
      nullable: true,
      description: 'The gateway that holds the connections to IME; null while none does.',
    }),
    epoch: t.exposeString('epoch', {
      nullable: true,
      description: 'With which cursors begin; null while Redis cannot be reached.',
    }),
    gateways: t.expose('gateways', {
      type: [ClusterGatewayType],
      nullable: false,
      description: 'All of them, as Redis last said.',
    }),
    redisHealthy: t.exposeBoolean('redisHealthy', {
      nullable: false,
      description: 'Whether what is published comes through Redis.',
    }),
    redisProblem: t.exposeString('redisProblem', {
      nullable: true,
      description: 'What is wrong with that, in words; null while nothing is.',
    }),
    roundTripMs: t.exposeFloat('roundTripMs', {
      nullable: true,
      description:
        'How many milliseconds the last probe took through Redis and back; null while none comes back.',
    }),
  }),
});
