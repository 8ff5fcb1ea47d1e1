import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { GraphQLSchema } from 'graphql';
import type { YogaServerInstance } from 'graphql-yoga';
import { AccessRefused, AccessUnavailable } from '../access/refused.ts';
import { tokenOfHeaders } from '../access/shown-token.ts';
import { clientError, refusalStatus } from '../operation/client-error.ts';
import type { Documents } from '../operation/documents.ts';
import { operationContext, type ServerGateway } from '../operation/operation-context.ts';
import type { Projections } from '../render/projection.ts';
import { codedError } from '../schema/coded-error.ts';
import type { GatewayContext } from '../schema/resolver-context.ts';
import { sendError } from './answers.ts';
import { readBody } from './body.ts';
import type { ClientAddresses } from './client-address.ts';
import { type GraphqlRequest, readGraphqlRequest } from './graphql-request.ts';
import { HttpRates } from './request-rates.ts';
import { SnapshotAnswers } from './snapshot-answers.ts';
import type { HttpStreams, Visit } from './streams.ts';
import type { HttpAsker } from './yoga.ts';

/** GraphQL over HTTP: who may, how fast, and the shortest way to an answer. */
export class GraphqlEndpoint {
  readonly #gateway: ServerGateway;
  readonly #documents: Documents;
  readonly #addresses: ClientAddresses;
  readonly #yoga: YogaServerInstance<HttpAsker, GatewayContext>;
  readonly #rates: HttpRates;
  readonly #snapshots: SnapshotAnswers;
  readonly #streams: HttpStreams;

  constructor(
    gateway: ServerGateway,
    schema: GraphQLSchema,
    documents: Documents,
    projections: Projections,
    addresses: ClientAddresses,
    streams: HttpStreams,
    yoga: YogaServerInstance<HttpAsker, GatewayContext>,
  ) {
    this.#gateway = gateway;
    this.#documents = documents;
    this.#addresses = addresses;
    this.#streams = streams;
    this.#yoga = yoga;
    this.#rates = new HttpRates(gateway.access.limits.operationsPerSecond, addresses);
    this.#snapshots = new SnapshotAnswers(
      schema,
      documents,
      gateway.hub,
      gateway.access,
      projections.texts,
      gateway.maxCost,
    );
  }

  /** Answers a request. */
  async answer(
    request: IncomingMessage & { body?: string },
    response: ServerResponse,
  ): Promise<void> {
    const visit = await this.#enter(request, response);
    if (visit === undefined) return;
    this.#trace(response, visit);
    if (request.headers['content-encoding'] !== undefined) {
      const message = 'expected a body without content-encoding';
      sendError(response, 415, codedError('BAD_USER_INPUT', message));
      return;
    }
    if (!(await readBody(request, response, this.#gateway.maxBodyBytes))) return;
    if (this.#answerFast(request, response, visit)) return;
    const asked = readGraphqlRequest(request, request.body);
    if (asked !== undefined && !this.#takeDocument(request, response, asked)) return;
    const read = () => this.#queryRequest(request);
    if (await this.#streams.subscribe(request, response, read, visit)) return;
    const { session, requestId, quota } = visit;
    await this.#yoga(request, response, {
      session,
      requestId,
      quota,
      address: this.#addresses.of(request),
    });
  }

  /** A span from here to the end of the response. */
  #trace(response: ServerResponse, { requestId, quota }: Visit): void {
    const span = this.#gateway.tracing.start('graphql.request', {
      'network.protocol.name': quota === undefined ? 'http' : 'http stream',
      'ime_gateway.request_id': requestId,
    });
    if (span === undefined) return;
    response.once('close', () => {
      span.setAttribute('http.response.status_code', response.statusCode);
      span.end();
    });
  }

  /** Who makes the request, and whether they may. @returns `undefined` where it has been answered */
  async #enter(request: IncomingMessage, response: ServerResponse): Promise<Visit | undefined> {
    const { access, log } = this.#gateway;
    const address = this.#addresses.of(request);
    const given = request.headers['x-request-id'];
    const requestId =
      typeof given === 'string' && /^[\w.:-]{1,100}$/.test(given) ? given : randomUUID();
    response.setHeader('x-request-id', requestId);
    try {
      if (!this.#rates.take(request)) throw access.tooFast();
      const session = await access.authenticate(tokenOfHeaders(request.headers), address);
      const quota = this.#streams.enter(request, response, session, address);
      return { session, requestId, quota };
    } catch (error) {
      const status = refusalStatus(error);
      if (error instanceof AccessRefused) {
        log.info(
          { requestId, address, reason: error.detail ?? error.message },
          'a request is refused',
        );
        response.setHeader('www-authenticate', 'Bearer');
      } else if (error instanceof AccessUnavailable) {
        log.error({ requestId, reason: error.message }, 'tokens cannot be checked');
      }
      if (status === 429 || status === 503) response.setHeader('retry-after', '1');
      sendError(response, status, clientError(error, log));
      return undefined;
    }
  }

  /** Answers from what is there already. @returns whether it did */
  #answerFast(
    request: IncomingMessage & { body?: string },
    response: ServerResponse,
    { session, requestId }: Visit,
  ): boolean {
    const type = answerType(request.headers.accept);
    if (type === undefined) return false;
    const id = request.method === 'POST' ? request.body : request.url;
    if (id === undefined) return false;
    const { principal } = session;
    const text = this.#snapshots.answer(
      `${request.method} ${request.headers['content-type'] ?? ''} ${id}`,
      () => this.#queryRequest(request),
      principal,
      () => operationContext(this.#gateway, { principal, transport: 'http', requestId }),
    );
    if (text === undefined) return false;
    response.writeHead(200, {
      'content-type': `${type}; charset=utf-8`,
      'content-length': Buffer.byteLength(text),
    });
    response.end(text);
    return true;
  }

  #queryRequest(request: IncomingMessage & { body?: string }) {
    const asked = readGraphqlRequest(request, request.body);
    if (asked === undefined) return undefined;
    try {
      const { operationName, variables } = asked;
      return { query: this.#documents.textOf(asked), operationName, variables };
    } catch {
      return undefined;
    }
  }

  /**
   * Puts the document that a request names by its hash into the request, and refuses one that may not be
   * executed.
   *
   * @returns whether the request is to be answered
   */
  #takeDocument(
    request: IncomingMessage & { body?: string },
    response: ServerResponse,
    asked: GraphqlRequest,
  ): boolean {
    if (!this.#documents.areTrustedOnly && asked.query !== undefined) return true;
    if (!this.#documents.areTrustedOnly && asked.extensions?.['persistedQuery'] === undefined) {
      return true;
    }
    try {
      const query = this.#documents.textOf(asked);
      if (request.method === 'GET') {
        const url = new URL(request.url ?? '/', 'http://gateway');
        url.searchParams.set('query', query);
        request.url = `${url.pathname}${url.search}`;
      } else {
        const { operationName, variables } = asked;
        request.body = JSON.stringify({ query, operationName, variables });
      }
      return true;
    } catch (error) {
      const strict = request.headers.accept?.includes('application/graphql-response+json');
      sendError(response, strict ? 400 : 200, clientError(error, this.#gateway.log));
      return false;
    }
  }
}

/** The media type that graphql-yoga answers with; `undefined` where that is not plain to see. */
function answerType(accept: string | undefined): string | undefined {
  if (accept === 'application/json') return 'application/json';
  if (accept === undefined || accept === '*/*') return 'application/json';
  if (accept.startsWith('application/graphql-response+json') && !accept.includes(';q=')) {
    return 'application/graphql-response+json';
  }
  return undefined;
}
