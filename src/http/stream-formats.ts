import { preferredMediaType } from './accept.ts';

/** How results are written one after the other into the body of an HTTP response. */
export interface StreamFormat {
  readonly headers: Readonly<Record<string, string>>;
  /** What the body begins with. */
  readonly start: string;
  /** A result: its JSON stands between these. */
  readonly before: Buffer;
  readonly after: Buffer;
  /** Whether each result says its cursor, by which the client resumes: `Last-Event-ID`. */
  readonly resumes: boolean;
  /** Shows that the stream is alive. */
  readonly heartbeat: string;
  readonly heartbeatMs: number;
  /** An error that ends the stream, as JSON of a list of errors. */
  error(errorsJson: string): string;
  /** What the body ends with. */
  readonly end: string;
}

const NOT_KEPT = { 'cache-control': 'no-cache, no-transform', 'x-accel-buffering': 'no' };

/**
 * Server-sent events, an operation each request. Source: graphql-sse's protocol, «distinct connections
 * mode».
 */
const SERVER_SENT_EVENTS: StreamFormat = {
  headers: { ...NOT_KEPT, 'content-type': 'text/event-stream; charset=utf-8' },
  start: ':\n\n',
  before: Buffer.from('event: next\ndata: '),
  after: Buffer.from('\n\n'),
  resumes: true,
  heartbeat: ':\n\n',
  heartbeatMs: 12_000,
  error: (errorsJson) => `event: next\ndata: {"errors":${errorsJson}}\n\n`,
  end: 'event: complete\ndata: \n\n',
};

/**
 * Parts of a multipart response. A part counts as complete with the boundary behind it, so each is
 * written with that. Source: Apollo's multipart protocol for subscriptions, version 1.0.
 */
const MULTIPART: StreamFormat = {
  headers: {
    ...NOT_KEPT,
    'content-type': 'multipart/mixed;boundary="graphql";subscriptionSpec=1.0',
  },
  start: '\r\n--graphql',
  before: Buffer.from('\r\ncontent-type: application/json\r\n\r\n{"payload":'),
  after: Buffer.from('}\r\n--graphql'),
  resumes: false,
  heartbeat: '\r\ncontent-type: application/json\r\n\r\n{}\r\n--graphql',
  heartbeatMs: 5_000,
  error: (errorsJson) =>
    `\r\ncontent-type: application/json\r\n\r\n{"payload":null,"errors":${errorsJson}}\r\n--graphql`,
  end: '--\r\n',
};

const EVENT_STREAM = 'text/event-stream';
const MULTIPART_MIXED = 'multipart/mixed';

/**
 * The format that a client accepts a stream in; `undefined` where it accepts none. One that takes both in
 * any order of liking gets events.
 */
export function streamFormat(accept: string | undefined): StreamFormat | undefined {
  // What a client says of a multipart's parts stands in parameters, which negotiation would compare. A
  // multipart of another specification, such as Apollo's for deferred fields, is none for a subscription.
  const wanted = accept
    ?.split(',')
    .filter((range) => !/^\s*multipart\/mixed/i.test(range) || isForSubscriptions(range))
    .map((range) => range.replace(/^(\s*multipart\/mixed)[^,]*?(;\s*q=[\d.]+)?\s*$/i, '$1$2'))
    .join(',');
  if (wanted === '') return undefined;
  const type = preferredMediaType(wanted, [EVENT_STREAM, MULTIPART_MIXED]);
  if (type === MULTIPART_MIXED) return MULTIPART;
  return type === EVENT_STREAM ? SERVER_SENT_EVENTS : undefined;
}

function isForSubscriptions(range: string): boolean {
  const specification = /;\s*\w*spec\s*=\s*"?([^";\s]*)"?/i.exec(range);
  return specification === null || /;\s*subscriptionspec\s*=\s*"?1\.0"?/i.test(range);
}
