import {
  CONTRACT_STATUSES,
  type ContractStatus,
  type ContractStatusCode,
} from '../contract/contract-status.ts';
import { contractTextOf, keySpaceOf } from '../contract/key.ts';
import type { ContractState } from '../hub/contract-state.ts';
import { builder } from './builder.ts';
import { SnapshotType } from './snapshot-type.ts';

const STATUS_DESCRIPTIONS: Record<ContractStatus, string> = {
  PENDING: 'Asked of IME; no state has arrived yet.',
  LIVE: 'The snapshot came over the connection that is open now, or one it replaced without a gap.',
  STALE:
    'The connection that carried the contract was lost since the snapshot came, or its messages come late, so updates may have been missed. Stays until the next update.',
  INVALID: 'IME refuses this contract.',
};

const ContractStatusType = builder.enumType('ContractStatus', {
  description: "How far a contract's state can be trusted.",
  values: Object.fromEntries(
    CONTRACT_STATUSES.map((status) => [status, { description: STATUS_DESCRIPTIONS[status] }]),
  ) as Record<ContractStatus, { description: string }>,
});

const CODE_DESCRIPTIONS: Record<ContractStatusCode, string> = {
  AWAITING_STATE: 'Asked of IME; no state has arrived yet.',
  UPSTREAM_LOST: 'The connection that carried the contract was lost, or cannot be had.',
  UPSTREAM_LATE: "IME's messages come late.",
  UNREADABLE: "IME's messages of this contract cannot be read.",
  TOKEN_REFUSED: 'IME refuses the access token, or everything that was asked for.',
  UNKNOWN_CONTRACT: 'IME refuses this contract.',
  CLUSTER_LOST: 'The gateways that share the connections to IME cannot be reached.',
  RELEASED: 'The gateway has let the contract go.',
};

const ContractStatusCodeType = builder.enumType('ContractStatusCode', {
  description: 'Why a contract is not LIVE.',
  values: Object.fromEntries(
    Object.entries(CODE_DESCRIPTIONS).map(([code, description]) => [code, { description }]),
  ) as Record<ContractStatusCode, { description: string }>,
});

/** The `Node` type. */
export const NodeType = builder.interfaceRef<ContractState>('Node').implement({
  description: 'An object that its `id` finds again.',
  resolveType: () => 'Contract',
  fields: (t) => ({
    id: t.exposeID('key', { nullable: false, description: 'Unique and stable.' }),
  }),
});

/** The `Contract` type. */
export const ContractType = builder.objectRef<ContractState>('Contract').implement({
  description: 'A contract of the exchange, addressed by its name or by its ID.',
  interfaces: [NodeType],
  fields: (t) => ({
    id: t.exposeID('key', {
      nullable: false,
      description:
        '`name:<contract name>` or `id:<contract ID>`: unique and stable, so that a normalised client cache merges queries and updates. `contract(id:)` takes it too.',
    }),
    cursor: t.expose('cursor', {
      type: 'Cursor',
      nullable: false,
      description:
        'Where this state stands among all changes of all contracts. The last one received resumes: see `since`.',
    }),
    name: t.string({
      nullable: true,
      description: 'The contract name, where it was asked for by name.',
      resolve: ({ key }) => (keySpaceOf(key) === 'name' ? contractTextOf(key) : null),
    }),
    contractId: t.id({
      nullable: true,
      description: 'The contract ID, where it was asked for by ID.',
      resolve: ({ key }) => (keySpaceOf(key) === 'id' ? contractTextOf(key) : null),
    }),
    status: t.expose('status', {
      type: ContractStatusType,
      nullable: false,
      description: 'How far the snapshot can be trusted.',
    }),
    statusSince: t.expose('statusSinceMs', {
      type: 'DateTime',
      nullable: false,
      description: 'Since when the status has been this one.',
    }),
    statusReason: t.exposeString('statusReason', {
      nullable: true,
      description: 'Why, in words, while the status is not LIVE.',
    }),
    statusCode: t.expose('statusCode', {
      type: ContractStatusCodeType,
      nullable: true,
      description: 'The same for programs.',
    }),
    snapshot: t.expose('snapshot', {
      type: SnapshotType,
      nullable: true,
      description: 'The latest complete market state; null until the first one has arrived.',
    }),
  }),
});
