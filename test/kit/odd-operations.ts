import type { Payload } from './doors.ts';
import { ODD_CONTRACTS } from './odd-contracts.ts';

/** The contract that the gateway holds where its cache is warm. */
export const KNOWN = 'A';

/** An operation that a client may send by mistake or by malice, and what every way in says to it. */
export interface OddOperation {
  readonly name: string;
  readonly payload: Payload;
  /** The code of its first error; `undefined`: it is answered. */
  readonly code: string | undefined;
  /** Part of the first error's message. */
  readonly says?: string | RegExp;
  /** Forms that a WebSocket closes with 4400, as graphql-transport-ws wants it. */
  readonly closes4400?: boolean;
  /** Forms that no address can hold. */
  readonly notByGet?: boolean;
}

const q = (query: string, more: Payload = {}): Payload => ({ query, ...more });
const live = (selection = 'id status') => `contractUpdates(names: ["${KNOWN}"]) { ${selection} }`;
const long = (characters: number, letter = 'n') => letter.repeat(characters);
const NAMES = 'query ($n: [String!]) { contracts(names: $n, waitMs: 0) { id } }';
const LIVE_NAMES = 'subscription ($n: [String!]) { contractUpdates(names: $n) { id } }';

/** Each both as a query and as a subscription where both can have it. */
export const ODD_OPERATIONS: readonly OddOperation[] = [
  // What cannot be read as a document.
  { name: 'an empty document', payload: q(''), code: 'GRAPHQL_PARSE_FAILED' },
  { name: 'a comment alone', payload: q('# nothing'), code: 'GRAPHQL_PARSE_FAILED' },
  { name: 'an open brace', payload: q('{'), code: 'GRAPHQL_PARSE_FAILED' },
  { name: 'an open subscription', payload: q('subscription {'), code: 'GRAPHQL_PARSE_FAILED' },
  {
    name: 'a control character',
    payload: q('{ status\u0000 { ready } }'),
    code: 'GRAPHQL_PARSE_FAILED',
  },
  {
    name: 'an unterminated text',
    payload: q('{ contract(name: "x) { id } }'),
    code: 'GRAPHQL_PARSE_FAILED',
  },
  { name: 'no selection', payload: q('{ }'), code: 'GRAPHQL_PARSE_FAILED' },
  {
    name: 'too many tokens',
    payload: q(`{ ${'a '.repeat(3_000)} }`),
    code: 'QUERY_TOO_COMPLEX',
    notByGet: true,
  },
  // What the schema does not have.
  { name: 'an unknown field', payload: q('{ nonsense }'), code: 'GRAPHQL_VALIDATION_FAILED' },
  {
    name: 'an unknown root of a subscription',
    payload: q('subscription { nonsense }'),
    code: 'GRAPHQL_VALIDATION_FAILED',
  },
  {
    name: 'an unknown field below',
    payload: q(`subscription { ${live('nonsense')} }`),
    code: 'GRAPHQL_VALIDATION_FAILED',
  },
  {
    name: 'an unknown field of 200 characters',
    payload: q(`{ ${long(200)} }`),
    code: 'GRAPHQL_VALIDATION_FAILED',
  },
  {
    name: 'an unknown argument',
    payload: q('{ contract(nome: "A") { id } }'),
    code: 'GRAPHQL_VALIDATION_FAILED',
  },
  {
    name: 'an unknown type',
    payload: q('query ($x: Nonsense) { status { ready } }'),
    code: 'GRAPHQL_VALIDATION_FAILED',
  },
  {
    name: 'an unknown directive',
    payload: q('{ status @nonsense { ready } }'),
    code: 'GRAPHQL_VALIDATION_FAILED',
  },
  { name: 'an unknown fragment', payload: q('{ ...F }'), code: 'GRAPHQL_VALIDATION_FAILED' },
  {
    name: 'an unused fragment',
    payload: q('{ status { ready } } fragment F on Query { status { ready } }'),
    code: 'GRAPHQL_VALIDATION_FAILED',
  },
  {
    name: 'a fragment of itself',
    payload: q('{ ...F } fragment F on Query { ...F status { ready } }'),
    code: 'GRAPHQL_VALIDATION_FAILED',
  },
  { name: 'a missing selection', payload: q('{ status }'), code: 'GRAPHQL_VALIDATION_FAILED' },
  {
    name: 'a selection of a leaf',
    payload: q('{ status { ready { x } } }'),
    code: 'GRAPHQL_VALIDATION_FAILED',
  },
  {
    name: 'a literal of a wrong type',
    payload: q('{ contract(name: 7) { id } }'),
    code: 'GRAPHQL_VALIDATION_FAILED',
  },
  {
    name: 'a variable that is not declared',
    payload: q('{ contract(name: $x) { id } }'),
    code: 'GRAPHQL_VALIDATION_FAILED',
  },
  {
    name: 'fields in conflict',
    payload: q('{ contract(name: "A") { a: id a: status } }'),
    code: 'GRAPHQL_VALIDATION_FAILED',
  },
  {
    name: 'two roots of a subscription',
    payload: q(`subscription { a: ${live()} b: ${live()} }`),
    code: 'GRAPHQL_VALIDATION_FAILED',
  },
  {
    name: 'two roots by a fragment',
    payload: q(`subscription { ...F a: ${live()} } fragment F on Subscription { b: ${live()} }`),
    code: 'GRAPHQL_VALIDATION_FAILED',
  },
  {
    name: '__typename as a root of a subscription',
    payload: q('subscription { __typename }'),
    code: 'GRAPHQL_VALIDATION_FAILED',
  },
  {
    name: 'a schema in place of an operation',
    payload: q('type X { y: Int }'),
    code: 'GRAPHQL_VALIDATION_FAILED',
  },
  // Which operation.
  {
    name: 'operationName empty',
    payload: q('{ __typename }', { operationName: '' }),
    code: undefined,
  },
  {
    name: 'operationName null',
    payload: q('{ __typename }', { operationName: null }),
    code: undefined,
  },
  {
    name: 'operationName unknown',
    payload: q('query A { __typename }', { operationName: 'B' }),
    code: 'OPERATION_RESOLUTION_FAILURE',
  },
  {
    name: 'operationName of 5,000 characters',
    payload: q('query A { __typename }', { operationName: long(5_000) }),
    code: 'BAD_USER_INPUT',
  },
  {
    name: 'several operations without a name',
    payload: q('query A { __typename } query B { __typename }'),
    code: 'OPERATION_RESOLUTION_FAILURE',
  },
  {
    name: 'several operations and an empty name',
    payload: q(
      'query A { __typename } subscription B { nonsense: contractUpdates(names: ["A"]) { id } }',
      { operationName: '' },
    ),
    code: 'OPERATION_RESOLUTION_FAILURE',
  },
  {
    name: 'fragments alone',
    payload: q('fragment F on Query { __typename }'),
    code: 'GRAPHQL_VALIDATION_FAILED',
  },
  {
    name: 'one of several operations',
    payload: q('query A { __typename } query B { b: __typename }', { operationName: 'B' }),
    code: undefined,
  },
  // Variables.
  {
    name: 'a variable that is missing',
    payload: q('query ($n: [String!]!) { contracts(names: $n) { id } }'),
    code: 'BAD_USER_INPUT',
  },
  {
    name: 'null for a variable that is not null',
    payload: q('query ($n: [String!]!) { contracts(names: $n) { id } }', {
      variables: { n: null },
    }),
    code: 'BAD_USER_INPUT',
  },
  {
    name: 'null in a list',
    payload: q(NAMES, { variables: { n: [null] } }),
    code: 'BAD_USER_INPUT',
  },
  {
    name: 'a number for a name',
    payload: q(NAMES, { variables: { n: [7] } }),
    code: 'BAD_USER_INPUT',
  },
  {
    name: 'an object for a name',
    payload: q(LIVE_NAMES, { variables: { n: [{ a: 1 }] } }),
    code: 'BAD_USER_INPUT',
  },
  {
    name: 'a text of 5,000 characters for a number',
    payload: q('query ($w: Int) { contract(name: "A", waitMs: $w) { id } }', {
      variables: { w: long(5_000) },
    }),
    code: 'BAD_USER_INPUT',
    notByGet: true,
  },
  {
    name: 'a fraction for a whole number',
    payload: q('query ($w: Int) { contract(name: "A", waitMs: $w) { id } }', {
      variables: { w: 0.5 },
    }),
    code: 'BAD_USER_INPUT',
  },
  { name: 'one name for a list', payload: q(NAMES, { variables: { n: KNOWN } }), code: undefined },
  {
    name: 'a variable that nobody declared',
    payload: q('{ __typename }', { variables: { x: 1 } }),
    code: undefined,
  },
  {
    name: 'variables as a list',
    payload: q('{ __typename }', { variables: [1] }),
    code: 'BAD_USER_INPUT',
    closes4400: true,
  },
  {
    name: 'variables as a number',
    payload: q('{ __typename }', { variables: 7 }),
    code: 'BAD_USER_INPUT',
    closes4400: true,
  },
  {
    name: 'a query that is a number',
    payload: { query: 7 },
    code: 'BAD_REQUEST',
    closes4400: true,
    notByGet: true,
  },
  { name: 'no query', payload: { variables: {} }, code: 'BAD_REQUEST', closes4400: true },
  {
    name: 'operationName as a number',
    payload: q('{ __typename }', { operationName: 7 }),
    code: 'BAD_REQUEST',
    closes4400: true,
    notByGet: true,
  },
  {
    name: 'extensions as a list',
    payload: q('{ __typename }', { extensions: [] }),
    code: 'BAD_REQUEST',
    closes4400: true,
  },
  {
    name: 'an unknown key beside the query',
    payload: q('{ __typename }', { nonsense: { a: 1 } }),
    code: undefined,
  },
  {
    name: 'a persisted document',
    payload: { query: '', extensions: { persistedQuery: { version: 1, sha256Hash: 'abc' } } },
    code: 'PERSISTED_QUERY_NOT_SUPPORTED',
  },
  // Directives on a subscription's root.
  {
    name: '@skip(if: true) on the only root',
    payload: q(`subscription { contractUpdates(names: ["${KNOWN}"]) @skip(if: true) { id } }`),
    code: 'BAD_USER_INPUT',
    says: '@skip',
  },
  {
    name: '@include(if: false) on the only root',
    payload: q(`subscription { contractUpdates(names: ["${KNOWN}"]) @include(if: false) { id } }`),
    code: 'BAD_USER_INPUT',
    says: '@include',
  },
  {
    name: '@include(if: $v) with false',
    payload: q(
      `subscription ($v: Boolean!) { contractUpdates(names: ["${KNOWN}"]) @include(if: $v) { id } }`,
      { variables: { v: false } },
    ),
    code: 'BAD_USER_INPUT',
    says: '@include',
  },
  {
    name: '@include(if: $v) with true',
    payload: q(
      `subscription ($v: Boolean!) { contractUpdates(names: ["${KNOWN}"]) @include(if: $v) { id } }`,
      { variables: { v: true } },
    ),
    code: undefined,
  },
  {
    name: '@skip on a fragment with the only root',
    payload: q(`subscription { ... @skip(if: true) { ${live()} } }`),
    code: 'BAD_USER_INPUT',
    says: '@skip',
  },
  {
    name: 'a root by a fragment',
    payload: q(`subscription { ...F } fragment F on Subscription { x: ${live()} }`),
    code: undefined,
  },
  {
    name: 'a query of which everything is skipped',
    payload: q('{ status @skip(if: true) { ready } }'),
    code: undefined,
  },
  // Arguments.
  { name: 'neither name nor id', payload: q('{ contract { id } }'), code: 'BAD_USER_INPUT' },
  {
    name: 'name and id',
    payload: q('{ contract(name: "A", id: "1") { id } }'),
    code: 'BAD_USER_INPUT',
  },
  { name: 'an empty list', payload: q('{ contracts(names: []) { id } }'), code: 'BAD_USER_INPUT' },
  {
    name: 'an empty list of a subscription',
    payload: q('subscription { contractUpdates(names: []) { id } }'),
    code: 'BAD_USER_INPUT',
  },
  {
    name: 'no list of a subscription',
    payload: q('subscription { contractUpdates { id } }'),
    code: 'BAD_USER_INPUT',
  },
  {
    name: 'null for both lists',
    payload: q('subscription { contractUpdates(names: null, ids: null) { id } }'),
    code: 'BAD_USER_INPUT',
  },
  {
    name: 'an empty name',
    payload: q(LIVE_NAMES, { variables: { n: [''] } }),
    code: 'BAD_USER_INPUT',
  },
  {
    name: 'a name of 257 characters',
    payload: q(LIVE_NAMES, { variables: { n: [long(257)] } }),
    code: 'BAD_USER_INPUT',
  },
  {
    name: 'a name of 257 letters of two units',
    payload: q(LIVE_NAMES, { variables: { n: ['😀'.repeat(257)] } }),
    code: 'BAD_USER_INPUT',
  },
  {
    name: 'a line break in a name',
    payload: q(NAMES, { variables: { n: ['a\nb'] } }),
    code: 'BAD_USER_INPUT',
  },
  {
    name: 'half a letter in a name',
    payload: q(LIVE_NAMES, { variables: { n: ['\ud800'] } }),
    code: 'BAD_USER_INPUT',
    notByGet: true,
  },
  {
    name: 'a wait that is too long',
    payload: q('{ contract(name: "A", waitMs: 30001) { id } }'),
    code: 'BAD_USER_INPUT',
  },
  {
    name: 'a negative wait',
    payload: q('{ contract(name: "A", waitMs: -1) { id } }'),
    code: 'BAD_USER_INPUT',
  },
  ...['0', '-1', '1e9', '0.001'].map((pace) => ({
    name: `a pace of ${pace}`,
    payload: q(
      `subscription { contractUpdates(names: ["${KNOWN}"], maxUpdatesPerSecond: ${pace}) { id } }`,
    ),
    code: 'BAD_USER_INPUT',
  })),
  {
    name: 'a negative depth',
    payload: q('{ contract(name: "A") { snapshot { bestLimits(depth: -1) { level } } } }'),
    code: 'BAD_USER_INPUT',
  },
  {
    name: 'renewal where nobody is asked who they are',
    payload: q('mutation { renewAuthorization(token: "x") { principal } }'),
    code: undefined,
    notByGet: true,
  },
  // Sizes.
  {
    name: 'an alias of 257 characters',
    payload: q(`{ ${long(257)}: __typename }`),
    code: 'BAD_USER_INPUT',
  },
  {
    name: 'an alias of 256 characters',
    payload: q(`{ ${long(256)}: __typename }`),
    code: undefined,
  },
  {
    name: 'an unknown field of 5,000 characters',
    payload: q(`{ ${long(5_000)} }`),
    code: 'BAD_USER_INPUT',
  },
  {
    name: 'an operation name of 257 characters',
    payload: q(`query ${long(257)} { __typename }`),
    code: 'BAD_USER_INPUT',
  },
  {
    name: 'too deep',
    payload: q(
      '{ status { upstream { sockets { state } } } a: contract(name: "A") { snapshot { aggregate { lastPrice { a { b { c { d { e { f } } } } } } } } } }',
    ),
    code: 'QUERY_TOO_COMPLEX',
  },
  {
    name: 'nested 600 times',
    payload: q(`${'{ a '.repeat(600)}${'}'.repeat(600)}`),
    code: 'QUERY_TOO_COMPLEX',
  },
  {
    name: 'too many aliases',
    payload: q(`{ ${Array.from({ length: 40 }, (_, at) => `a${at}: __typename`).join(' ')} }`),
    code: 'QUERY_TOO_COMPLEX',
  },
  {
    name: 'too many contracts',
    payload: q(NAMES, { variables: { n: Array.from({ length: 501 }, (_, at) => `c${at}`) } }),
    code: 'TOO_MANY_CONTRACTS',
  },
  {
    name: 'a subscription to too many contracts',
    payload: q(LIVE_NAMES, { variables: { n: Array.from({ length: 501 }, (_, at) => `c${at}`) } }),
    code: 'TOO_MANY_CONTRACTS',
  },
  {
    name: 'a query that costs too much',
    payload: q(costly('{ contracts(names: $n) {'), { variables: { n: many(300) } }),
    code: 'QUERY_TOO_COMPLEX',
    notByGet: true,
  },
  {
    name: 'the same with an empty name',
    payload: q(costly('{ contracts(names: $n) {'), {
      variables: { n: many(300) },
      operationName: '',
    }),
    code: 'QUERY_TOO_COMPLEX',
    notByGet: true,
  },
  {
    name: 'a subscription that costs too much',
    payload: q(costly('{ contractUpdates(names: $n) {', 'subscription'), {
      variables: { n: many(300) },
    }),
    code: 'QUERY_TOO_COMPLEX',
    notByGet: true,
  },
  {
    name: 'the same subscription with an empty name',
    payload: q(costly('{ contractUpdates(names: $n) {', 'subscription'), {
      variables: { n: many(300) },
      operationName: '',
    }),
    code: 'QUERY_TOO_COMPLEX',
    notByGet: true,
  },
  {
    name: 'batches that cost too much',
    payload: q(costly('{ contractBatches(names: $n) {', 'subscription'), {
      variables: { n: many(300) },
    }),
    code: 'QUERY_TOO_COMPLEX',
    notByGet: true,
  },
  ...ODD_CONTRACTS,
  // Nothing odd at all.
  { name: 'a query', payload: q(`{ contract(name: "${KNOWN}") { id } }`), code: undefined },
  { name: 'a subscription', payload: q(`subscription { ${live()} }`), code: undefined },
];

function many(count: number): string[] {
  return Array.from({ length: count }, (_, at) => `costly${at}`);
}

/** A document that selects ten leaves of each contract, against a bound of 2,000. */
function costly(head: string, operation = 'query'): string {
  const leaves =
    'tradeCount totalVolume totalValue closingPrice lastPrice lowPrice highPrice openPrice';
  return `${operation} ($n: [String!]) ${head} id status snapshot { aggregate { ${leaves} } } } }`;
}
