import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { GraphQLSchema } from 'graphql';
import { AccessRefused, AccessUnavailable } from '../access/refused.ts';
import type { Session } from '../access/session.ts';
import { tokenOfHeaders } from '../access/shown-token.ts';
import type { ClientAddresses } from '../listener/client-address.ts';
import type { Admission } from '../operation/admission.ts';
import type { AnswerReader } from '../operation/answer-budget.ts';
import type { Asker, OperationGateway } from '../operation/operation-context.ts';
import { RefusalLog } from '../operation/refusal-log.ts';
import { SnapshotAnswers } from '../operation/snapshot-answers.ts';
import type { FieldTexts } from '../render/field-texts.ts';
import { preferredMediaType } from './accept.ts';
import { RESULT_TYPES, sendRefusal } from './answers.ts';
import { ClientGone, readBody } from './body.ts';
import { checkRequestForm, readGraphqlRequest } from './graphql-request.ts';
import { HttpFault } from './http-fault.ts';
import { HttpRates } from './request-rates.ts';
import { HttpStreams } from './streams.ts';
import { createHttpGraphql } from './yoga.ts';

/** An answer that is short, in characters. */
const MOST_SHORT = 4_096;

/** What GraphQL over HTTP needs of the gateway. */
export interface HttpGraphqlGateway extends OperationGateway {
  readonly maxBodyBytes: number;
  readonly slowReaders: { readonly stallMs: number };
}

/** A request, once it is known who makes it. */
interface Visit {
  readonly session: Session;
  readonly address: string;
  readonly requestId: string;
  readonly asker: Asker;
  readonly reader: AnswerReader;
}

/** Who asks by a request; a class for the reason that `OperationContext` gives. */
class HttpAsker implements Asker {
  readonly transport = 'http';
  readonly #response: ServerResponse;
  #abort: AbortController | undefined;

  constructor(
    readonly who: Asker['who'],
    readonly requestId: string,
    response: ServerResponse,
  ) {
    this.#response = response;
  }

  get signal(): AbortSignal {
    if (this.#abort !== undefined) return this.#abort.signal;
    const made = new AbortController();
    this.#abort = made;
    if (this.#response.destroyed) made.abort();
    else this.#response.once('close', () => made.abort());
    return made.signal;
  }
}

/** GraphQL over HTTP: who asks, what they ask, and the shortest way to an answer. */
export class GraphqlEndpoint {
  readonly streams: HttpStreams;
  readonly #gateway: HttpGraphqlGateway;
  readonly #admission: Admission;
  readonly #addresses: ClientAddresses;
  readonly #yoga: ReturnType<typeof createHttpGraphql>;
  readonly #rates: HttpRates;
  readonly #snapshots: SnapshotAnswers;
  readonly #refusals: RefusalLog;

  constructor(
    gateway: HttpGraphqlGateway,
    schema: GraphQLSchema,
    admission: Admission,
    texts: FieldTexts,
    addresses: ClientAddresses,
  ) {
    this.#gateway = gateway;
    this.#admission = admission;
    this.#addresses = addresses;
    this.#refusals = new RefusalLog(gateway.log);
    this.streams = new HttpStreams(gateway, gateway.slowReaders.stallMs);
    this.#yoga = createHttpGraphql(gateway.log);
    this.#rates = new HttpRates(gateway.access.limits.operationsPerSecond, addresses);
    this.#snapshots = new SnapshotAnswers(gateway, schema, admission, texts);
  }

  /** Answers a request, and refuses it where it cannot be done. */
  async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const given = request.headers['x-request-id'];
    const requestId =
      typeof given === 'string' && /^[\w.:-]{1,100}$/.test(given) ? given : randomUUID();
    response.setHeader('x-request-id', requestId);
    try {
      checkRequestForm(request);
      const visit = await this.#enter(request, response, requestId);
      const isPost = request.method === 'POST';
      const body = isPost ? await readBody(request, this.#gateway.maxBodyBytes) : undefined;
      if (response.destroyed) return;
      await this.#serve(request, response, body, visit);
    } catch (error) {
      if (error instanceof ClientGone) response.destroy();
      else this.#refuse(request, response, error, requestId);
    }
  }

  /** Who makes the request, and whether they may. @throws AccessRefused, LimitExceeded */
  async #enter(
    request: IncomingMessage,
    response: ServerResponse,
    requestId: string,
  ): Promise<Visit> {
    const { access } = this.#gateway;
    const address = this.#addresses.of(request);
    if (!this.#rates.take(request)) throw access.tooFast();
    const session = await access.authenticate(tokenOfHeaders(request.headers), address);
    access.operation(session.principal, address);
    const asker = new HttpAsker(() => access.current(session), requestId, response);
    const reader = { principal: session.principal, address };
    return { session, address, requestId, asker, reader };
  }

  async #serve(
    request: IncomingMessage,
    response: ServerResponse,
    body: string | undefined,
    visit: Visit,
  ): Promise<void> {
    const { asker, reader } = visit;
    const type = preferredMediaType(request.headers.accept, RESULT_TYPES);
    const read = () => readGraphqlRequest(request, body);
    if (type !== undefined) {
      this.#admission.answers.check(reader);
      const text = this.#snapshots.answer(body ?? `GET ${request.url}`, read, asker);
      if (text !== undefined) {
        // What one connection takes at once is not worth being counted.
        if (text.length > MOST_SHORT || response.socket === null) {
          response.once('close', this.#admission.answers.take(reader, text.length));
        }
        this.#trace(response, visit, 'http');
        sendResult(response, type, text);
        return;
      }
    }
    const admitted = this.#admission.admit(asker, read());
    if (admitted.kind === 'subscription') {
      this.#trace(response, visit, 'http stream');
      await this.streams.stream(request, response, admitted, visit);
      return;
    }
    if (admitted.isMutation && request.method !== 'POST') {
      throw new HttpFault(405, 'expected a mutation to be sent with POST', { allow: 'POST' });
    }
    this.#trace(response, visit, 'http');
    // An answer that nobody reads is in flight until its client has gone.
    const giveBack = this.#gateway.access.begin(reader.principal);
    response.once('close', giveBack);
    response.once('close', this.#admission.answers.take(reader, admitted.mostBytes));
    const planned = type && (await admitted.answer(this.#gateway.log));
    if (response.destroyed) return;
    if (type !== undefined && planned !== undefined) {
      sendResult(response, type, planned);
      return;
    }
    // Without a body of its own to a HEAD, but otherwise as a GET.
    if (request.method === 'HEAD') request.method = 'GET';
    await this.#yoga(request, response, { admitted });
  }

  /** A span from here to the end of the response. */
  #trace(response: ServerResponse, { requestId }: Visit, protocol: string): void {
    const span = this.#gateway.tracing.start('graphql.request', {
      'network.protocol.name': protocol,
      'ime_gateway.request_id': requestId,
    });
    if (span === undefined) return;
    response.once('close', () => {
      span.setAttribute('http.response.status_code', response.statusCode);
      span.end();
    });
  }

  #refuse(
    request: IncomingMessage,
    response: ServerResponse,
    error: unknown,
    requestId: string,
  ): void {
    if (error instanceof AccessRefused || error instanceof AccessUnavailable) {
      this.#refusals.refused(error, { requestId, address: this.#addresses.of(request) });
    }
    sendRefusal(request, response, error, this.#gateway.log);
  }
}

function sendResult(response: ServerResponse, type: string, text: string): void {
  // A long text that has to wait is kept once this way, not as text and as bytes.
  const body = text.length > MOST_SHORT ? Buffer.from(text) : text;
  response.writeHead(200, {
    'content-type': `${type}; charset=utf-8`,
    'content-length': Buffer.byteLength(body),
  });
  response.end(body);
}
