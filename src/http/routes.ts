import type { IncomingMessage, ServerResponse } from 'node:http';
import { type GraphQLSchema, printSchema } from 'graphql';
import type { DocumentLimits } from '../documents/document-limits.ts';
import type { Logger } from '../observability/log.ts';
import { boardPages } from '../pages/board-page.ts';
import { builtFiles } from '../pages/built-files.ts';
import { graphiqlPage } from '../pages/graphiql-page.ts';
import { Page } from '../pages/page.ts';
import type { UpstreamMode } from '../schema/report.ts';
import { preferredMediaType } from './accept.ts';
import { RESULT_TYPES, sendJson } from './answers.ts';
import { GRAPHQL_PATH } from './yoga.ts';

/** Answers a request to a path. */
export type Answer = (request: IncomingMessage, response: ServerResponse) => void | Promise<void>;

/** Where graphql-sse's single-connection mode once was. */
export const REMOVED_PATH = '/graphql/stream';
/** What `/graphql` has for whoever asks, the page last: who takes anything gets JSON. */
const GRAPHQL_TYPES = [...RESULT_TYPES, 'text/event-stream', 'multipart/mixed', 'text/html'];

/** What is answered from, besides GraphQL itself. */
export interface RouteGateway {
  readonly log: Logger;
  readonly documentLimits: DocumentLimits;
  /** Whether a browser is shown GraphiQL. */
  readonly graphiql: boolean;
  /** Where the data comes from, which every page that shows it says where that is not IME. */
  readonly mode: UpstreamMode;
  /** A few contract names for the first documents that a person sees. */
  readonly exampleNames: readonly string[];
  /** The metrics, as Prometheus reads them. */
  metrics(): Promise<{ readonly type: string; readonly text: string }>;
}

/** What is answered elsewhere. */
export interface OtherAnswers {
  /** Answers GraphQL itself. */
  readonly graphql: Answer;
  /** Answers whether the gateway can do its job. */
  readonly ready: Answer;
  /** Says what has taken the place of what was at {@link REMOVED_PATH}. */
  readonly removed: Answer;
}

/** Everything that is served, by path. */
export function routeTable(
  gateway: RouteGateway,
  schema: GraphQLSchema,
  { graphql, ready, removed }: OtherAnswers,
): ReadonlyMap<string, Answer> {
  const { documentLimits, metrics } = gateway;
  const routes = new Map<string, Answer>([
    [GRAPHQL_PATH, gateway.graphiql ? withGraphiql(gateway, graphql) : graphql],
    [REMOVED_PATH, removed],
    ...pages(gateway),
    ['/health', reading((_request, response) => sendJson(response, 200, { status: 'ok' }))],
    ['/ready', reading(ready)],
    [
      '/metrics',
      reading(async (_request, response) => {
        const { type, text } = await metrics();
        response.writeHead(200, { 'content-type': type, 'cache-control': 'no-store' });
        response.end(text);
      }),
    ],
  ]);
  if (documentLimits.introspection) {
    const text = Buffer.from(`${printSchema(schema)}\n`);
    routes.set(
      '/schema.graphql',
      sending(new Page({ identity: text }, 'text/plain; charset=utf-8')),
    );
  }
  return routes;
}

function pages({ log, graphiql }: RouteGateway): [string, Answer][] {
  const board = boardPages();
  const files = graphiql ? builtFiles('graphiql') : new Map<string, Page>();
  if (board === undefined || files === undefined) {
    log.warn('the pages are not built: npm run build does that');
  }
  const served = [...(board ?? []), ...(files ?? [])].map(([path, page]): [string, Answer] => [
    path,
    sending(page),
  ]);
  if (board !== undefined) return served;
  const redirect: Answer = (_request, response) => {
    response.writeHead(302, { location: GRAPHQL_PATH }).end();
  };
  return [...served, ['/', reading(redirect)]];
}

/** A browser gets the page, with or without a document in its address; whoever else asks gets GraphQL. */
function withGraphiql({ mode, exampleNames }: RouteGateway, graphql: Answer): Answer {
  const page = graphiqlPage(GRAPHQL_PATH, mode, exampleNames);
  return (request, response) => {
    const { method, headers } = request;
    const isRead = method === 'GET' || method === 'HEAD';
    const wantsPage = isRead && preferredMediaType(headers.accept, GRAPHQL_TYPES) === 'text/html';
    return wantsPage ? page.send(request, response) : graphql(request, response);
  };
}

function sending(page: Page): Answer {
  return reading((request, response) => page.send(request, response));
}

/** Answers what is only read, and refuses any other method. */
function reading(answer: Answer): Answer {
  return (request, response) => {
    if (request.method === 'GET' || request.method === 'HEAD') return answer(request, response);
    response.setHeader('allow', 'GET, HEAD');
    if (request.method === 'OPTIONS') response.writeHead(204).end();
    else sendJson(response, 405, { error: 'expected one of the methods GET and HEAD' });
  };
}
