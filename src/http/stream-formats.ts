/** How results are written one after the other into the body of an HTTP response. */
export interface StreamFormat {
  readonly headers: Readonly<Record<string, string>>;
  /** What the body begins with. */
  readonly start: string;
  /** A result: its JSON stands between these. */
  readonly before: Buffer;
  readonly after: Buffer;
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
  heartbeat: '\r\ncontent-type: application/json\r\n\r\n{}\r\n--graphql',
  heartbeatMs: 5_000,
  error: (errorsJson) =>
    `\r\ncontent-type: application/json\r\n\r\n{"payload":null,"errors":${errorsJson}}\r\n--graphql`,
  end: '--\r\n',
};

/** The format that a client accepts a stream in; `undefined` where it asks for none. */
export function streamFormat(accept: string | undefined): StreamFormat | undefined {
  if (accept === undefined) return undefined;
  const wanted = accept.toLowerCase();
  const multipart = /multipart\/mixed\s*;[^,]*subscriptionspec="?1\.0"?/.test(wanted);
  if (multipart) return MULTIPART;
  return wanted.includes('text/event-stream') ? SERVER_SENT_EVENTS : undefined;
}
