import type { OddOperation } from './odd-operations.ts';

const KNOWN = 'A';
const q = (query: string, more: Record<string, unknown> = {}) => ({ query, ...more });
const long = (characters: number, letter = 'n') => letter.repeat(characters);

/** Odd operations that follow contracts, resume, or look for them. */
export const ODD_CONTRACTS: readonly OddOperation[] = [
  ...['', 'nonsense', '1', ':', `${long(8, '0')}:${long(15, '0')}`, long(300)].map((since) => ({
    name: `a cursor that is ${JSON.stringify(since.slice(0, 30))}`,
    payload: q(
      `subscription { contractUpdates(names: ["${KNOWN}"], since: ${JSON.stringify(since)}) { id } }`,
    ),
    code: 'BAD_USER_INPUT',
    says: 'since: expected',
  })),
  {
    name: 'a cursor that is no text',
    payload: q(
      `subscription ($s: Cursor) { contractUpdates(names: ["${KNOWN}"], since: $s) { id } }`,
      { variables: { s: 7 } },
    ),
    code: 'BAD_USER_INPUT',
  },
  {
    name: 'a cursor of another epoch',
    payload: q(
      `subscription { contractUpdates(names: ["${KNOWN}"], since: "${long(8, 'f')}:${long(16, '9')}") { id cursor } }`,
    ),
    code: undefined,
  },
  {
    name: 'null for a cursor',
    payload: q(`subscription { contractUpdates(names: ["${KNOWN}"], since: null) { id } }`),
    code: undefined,
  },
  ...['-1', '1', '9', '60001', '-250'].map((everyMs) => ({
    name: `batches every ${everyMs} ms`,
    payload: q(`subscription { contractBatches(names: ["${KNOWN}"], everyMs: ${everyMs}) { id } }`),
    code: 'BAD_USER_INPUT',
    says: 'everyMs: expected',
  })),
  ...['', 'names: []', 'names: null', 'names: [""]', 'all: true names: ["A"]', 'since: ""'].map(
    (args) => ({
      name: `batches of ${args === '' ? 'nothing' : args}`,
      payload: q(`subscription { contractBatches(everyMs: 10, ${args}) { id } }`),
      code: 'BAD_USER_INPUT',
    }),
  ),
  {
    name: 'batches that begin with a part of a millisecond',
    payload: q('subscription ($e: Int!) { contractBatches(names: ["A"], everyMs: $e) { id } }', {
      variables: { e: 10.5 },
    }),
    code: 'BAD_USER_INPUT',
  },
  {
    name: 'batches',
    payload: q(`subscription { contractBatches(names: ["${KNOWN}"], everyMs: 0) { id cursor } }`),
    code: undefined,
  },
  ...['names: ["A"]', 'ids: ["1"]', 'names: []', 'names: ["A"] ids: ["1"]'].map((beside) => ({
    name: `all and ${beside}`,
    payload: q(`subscription { contractUpdates(all: true, ${beside}) { id } }`),
    code: 'BAD_USER_INPUT',
    says: 'all: expected',
  })),
  {
    name: 'null for all',
    payload: q(`subscription { contractUpdates(names: ["${KNOWN}"], all: null) { id } }`),
    code: 'GRAPHQL_VALIDATION_FAILED',
  },
  ...['names: ["A"]', 'ids: ["1"]', 'names: []'].map((beside) => ({
    name: `a search and ${beside}`,
    payload: q(`{ contracts(search: "a", ${beside}) { id } }`),
    code: 'BAD_USER_INPUT',
    says: 'search: expected',
  })),
  {
    name: 'a search of 257 characters',
    payload: q(`{ contracts(search: "${long(257)}") { id } }`),
    code: 'BAD_USER_INPUT',
  },
  { name: 'an empty search', payload: q('{ contracts(search: "") { id } }'), code: undefined },
  { name: 'null for a search', payload: q('{ contracts(search: null) { id } }'), code: undefined },
  ...['', 'A', ':', 'status', 'name:', 'id:', `name:${long(257)}`, '7'].map((id) => ({
    name: `the node ${JSON.stringify(id.slice(0, 20))}, which is none of ours`,
    payload: q(`{ node(id: ${JSON.stringify(id)}) { id } }`),
    code: undefined,
  })),
  {
    name: 'a node without an id',
    payload: q('{ node { id } }'),
    code: 'GRAPHQL_VALIDATION_FAILED',
  },
  {
    name: 'a node with a depth that is negative',
    payload: q(
      '{ node(id: "7") { ... on Contract { snapshot { bestLimits(depth: -1) { level } } } } }',
    ),
    code: 'BAD_USER_INPUT',
  },
  ...['name:', 'id:', `name:${long(257)}`, 'name:a\\nb'].map((id) => ({
    name: `the ID ${JSON.stringify(id.slice(0, 20))}`,
    payload: q(`{ contracts(ids: ["${id}"], waitMs: 0) { id } }`),
    code: 'BAD_USER_INPUT',
    says: /^ids\[0\]: expected/,
  })),
  {
    name: 'an ID of a name in a subscription',
    payload: q(`subscription { contractUpdates(ids: ["name:${KNOWN}"]) { id } }`),
    code: undefined,
  },
  {
    name: 'the gateway’s own state',
    payload: q('subscription { statusUpdates { ready upstream { dials } } }'),
    code: undefined,
  },
  {
    name: 'the gateway’s own state of a contract',
    payload: q('subscription { statusUpdates(names: ["A"]) { ready } }'),
    code: 'GRAPHQL_VALIDATION_FAILED',
  },
  {
    name: 'the gateway’s own state, skipped',
    payload: q('subscription { statusUpdates @skip(if: true) { ready } }'),
    code: 'BAD_USER_INPUT',
    says: '@skip',
  },
];
