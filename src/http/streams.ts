import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Session } from '../access/session.ts';
import type { AdmittedSubscription } from '../operation/admitted-subscription.ts';
import type { OperationGateway } from '../operation/operation-context.ts';
import { type AdmittedStatusUpdates, StatusResults } from '../operation/status-subscription.ts';
import { HttpFault } from './http-fault.ts';
import { Payloads } from './payloads.ts';
import { streamFormat } from './stream-formats.ts';
import { StreamResponse } from './stream-response.ts';

/** Who a stream goes to. */
interface StreamReader {
  readonly session: Session;
  readonly address: string;
  readonly requestId: string;
}

/** The responses that stream: server-sent events and multipart. */
export class HttpStreams {
  readonly #gateway: OperationGateway;
  readonly #stallMs: number;
  readonly #open = new Set<ServerResponse>();
  #stalled = 0;

  /** @param stallMs after how long without taking anything a client is cut, in milliseconds */
  constructor(gateway: OperationGateway, stallMs: number) {
    this.#gateway = gateway;
    this.#stallMs = stallMs;
  }

  /** Those that are open now. */
  get open(): ReadonlySet<ServerResponse> {
    return this.#open;
  }

  /** How many were cut because their client took nothing. */
  get stalled(): number {
    return this.#stalled;
  }

  /**
   * Streams a subscription until it ends, its client is gone, or its session ends. It counts as a
   * connection for as long.
   *
   * @throws HttpFault where the client takes no stream
   * @throws LimitExceeded, AccessRefused before anything is written
   */
  async stream(
    request: IncomingMessage,
    response: ServerResponse,
    subscription: AdmittedSubscription | AdmittedStatusUpdates,
    { session, address, requestId }: StreamReader,
  ): Promise<void> {
    const format = streamFormat(request.headers.accept);
    if (format === undefined || request.method === 'HEAD') {
      const message =
        'expected accept to allow text/event-stream or multipart/mixed;subscriptionSpec=1.0, for a subscription streams';
      throw new HttpFault(406, message);
    }
    const { access, hub, log } = this.#gateway;
    const quota = await access.come(address);
    try {
      await quota.identifying(session);
      const reserved = await subscription.reserve(quota);
      const resume = format.resumes ? request.headers['last-event-id'] : undefined;
      const place = subscription.take(quota, resume?.toString(), reserved);
      const payloads =
        place.kind === 'status' ? new StatusResults(hub, place) : new Payloads(hub, place);
      this.#open.add(response);
      const end = await new StreamResponse(response, format, this.#stallMs).write(
        payloads,
        session,
      );
      if (end === 'stalled') this.#stalled++;
      log.debug({ requestId, end }, 'a stream has ended');
    } finally {
      this.#open.delete(response);
      quota.leave();
    }
  }
}
