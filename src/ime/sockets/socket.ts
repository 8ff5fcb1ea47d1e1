import type { IncomingMessage } from 'node:http';
import type { ClientOptions, WebSocket } from 'ws';
import type { Clock } from '../../lib/clock.ts';
import { retryAfterMs } from '../../lib/retry-after.ts';

/** How long a handshake may take, from the name look-up to the upgrade, in milliseconds. */
const HANDSHAKE_TIMEOUT_MS = 10_000;
/** A message is about 700 bytes; what is over this bound ends the connection with 1009. */
const MAX_FRAME_BYTES = 1024 * 1024;
/** How long a healthy server is given to answer a close before the connection is cut. */
const CLOSE_TIMEOUT_MS = 2_000;
/** How much of a refusal's body is read to see whether it is empty, in bytes. */
const MAX_REFUSAL_BODY_BYTES = 1_024;
/** How often the heartbeat looks, as a part of the ping interval: it bounds how late silence is seen. */
const HEARTBEAT_LOOKS = 5;

/** How a connection ended, as far as it could be seen. */
export type SocketEnd =
  /** The handshake was answered by something else than an upgrade. */
  | {
      readonly kind: 'http';
      readonly status: number;
      readonly bodyEmpty: boolean;
      readonly retryAfterMs: number | undefined;
    }
  /** A close frame, or 1006 where the connection broke without one. */
  | { readonly kind: 'close'; readonly code: number; readonly reason: string }
  /** DNS, TCP, TLS, a handshake timeout, or a frame against the WebSocket protocol. */
  | { readonly kind: 'error'; readonly code: string | undefined; readonly message: string }
  /** Nothing came in, not even a pong. */
  | { readonly kind: 'silent'; readonly forMs: number };

/** Where a connection is in its life; it goes from left to right and may skip. */
export type ImeSocketState = 'connecting' | 'open' | 'closing' | 'closed';

/** What a connection needs. */
export interface ImeSocketOptions {
  readonly url: string;
  /** Of the handshake. */
  readonly headers: Readonly<Record<string, string>>;
  readonly pingIntervalMs: number;
  readonly pingTimeoutMs: number;
  readonly clock: Clock;
  readonly dial: (url: string, options: ClientOptions) => WebSocket;
}

/** What a connection tells its owner; nothing after `onEnd`, and nothing after `close`. */
export interface ImeSocketEvents {
  /** The handshake succeeded. That the subscription is accepted is not known yet. */
  onOpen(): void;
  onFrame(frame: Buffer, isBinary: boolean): void;
  onEnd(end: SocketEnd): void;
}

/** One WebSocket connection to IME, with a heartbeat. It dials when made and never redials. */
export class ImeSocket {
  readonly #options: ImeSocketOptions;
  readonly #events: ImeSocketEvents;
  readonly #socket: WebSocket;
  #state: ImeSocketState = 'connecting';
  #stopHeartbeat: () => void = () => {};
  #stopClosing: () => void = () => {};
  #lastLifeMs = 0;
  #lastLookMs = 0;
  #lastPingMs = 0;
  #error: Error | undefined;

  constructor(options: ImeSocketOptions, events: ImeSocketEvents) {
    this.#options = options;
    this.#events = events;
    this.#socket = options.dial(options.url, {
      headers: { ...options.headers },
      handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
      maxPayload: MAX_FRAME_BYTES,
      // Measured: 731 to 124 bytes a message, at three times the CPU and a quarter of the drain rate.
      perMessageDeflate: false,
      // A text frame that is not UTF-8 is a frame to drop, not a reason to lose the connection.
      skipUTF8Validation: true,
    });
    this.#socket.on('open', () => this.#opened());
    this.#socket.on('message', (data, isBinary) => {
      this.#live();
      if (this.#state === 'open') this.#events.onFrame(data as Buffer, isBinary);
    });
    this.#socket.on('ping', () => this.#live());
    this.#socket.on('pong', () => this.#live());
    this.#socket.on('unexpected-response', (_request, response) => this.#answered(response));
    this.#socket.on('error', (error) => {
      this.#error = error;
    });
    this.#socket.on('close', (code, reason) => this.#closed(code, reason.toString('utf8')));
  }

  get state(): ImeSocketState {
    return this.#state;
  }

  /** Ends the connection without another event: with 1000, and by cutting it where that takes long. */
  close(): void {
    if (this.#state === 'closing' || this.#state === 'closed') return;
    const wasOpen = this.#state === 'open';
    this.#setState('closing');
    if (!wasOpen) {
      this.#socket.terminate();
      return;
    }
    this.#stopClosing = this.#options.clock.setTimeout(
      () => this.#socket.terminate(),
      CLOSE_TIMEOUT_MS,
    );
    this.#socket.close(1000);
  }

  /** Cuts the connection at once, without another event. */
  terminate(): void {
    if (this.#state === 'closed') return;
    this.#setState('closing');
    this.#socket.terminate();
  }

  #setState(state: ImeSocketState): void {
    this.#state = state;
    if (state !== 'open') this.#stopHeartbeat();
    if (state === 'closed') this.#stopClosing();
  }

  #opened(): void {
    if (this.#state !== 'connecting') return;
    this.#setState('open');
    const nowMs = this.#options.clock.monotonicMs();
    this.#lastLifeMs = nowMs;
    this.#lastLookMs = nowMs;
    this.#lastPingMs = nowMs;
    const everyMs = Math.max(10, this.#options.pingIntervalMs / HEARTBEAT_LOOKS);
    this.#stopHeartbeat = this.#options.clock.setInterval(() => this.#look(everyMs), everyMs);
    this.#events.onOpen();
  }

  #live(): void {
    this.#lastLifeMs = this.#options.clock.monotonicMs();
  }

  #look(everyMs: number): void {
    const { pingIntervalMs, pingTimeoutMs } = this.#options;
    const nowMs = this.#options.clock.monotonicMs();
    // This process itself stood still: what came in meanwhile has not been read yet.
    if (nowMs - this.#lastLookMs > everyMs + pingTimeoutMs / 2) this.#lastLifeMs = nowMs;
    this.#lastLookMs = nowMs;
    const silentMs = nowMs - this.#lastLifeMs;
    if (silentMs >= pingIntervalMs + pingTimeoutMs) {
      // The close event of a dead socket comes 30 s later, old messages before it: cut and forget.
      this.terminate();
      this.#events.onEnd({ kind: 'silent', forMs: Math.round(silentMs) });
    } else if (nowMs - this.#lastPingMs >= pingIntervalMs) {
      this.#lastPingMs = nowMs;
      this.#socket.ping();
    }
  }

  #answered(response: IncomingMessage): void {
    let bodyBytes = 0;
    const done = () => {
      response.destroy();
      this.#end({
        kind: 'http',
        status: response.statusCode ?? 0,
        bodyEmpty: bodyBytes === 0,
        retryAfterMs: retryAfterMs(response.headers['retry-after'], this.#options.clock.nowMs()),
      });
    };
    const cancel = this.#options.clock.setTimeout(done, CLOSE_TIMEOUT_MS);
    response.on('data', (chunk: Buffer) => {
      bodyBytes += chunk.length;
      if (bodyBytes >= MAX_REFUSAL_BODY_BYTES) response.destroy();
    });
    response.on('error', () => {});
    response.on('close', () => {
      cancel();
      done();
    });
  }

  #closed(code: number, reason: string): void {
    const error = this.#error as NodeJS.ErrnoException | undefined;
    this.#end(
      error === undefined
        ? { kind: 'close', code, reason }
        : { kind: 'error', code: error.code, message: error.message },
    );
  }

  #end(end: SocketEnd): void {
    const told = this.#state === 'closing' || this.#state === 'closed';
    this.#setState('closed');
    this.#socket.terminate();
    if (!told) this.#events.onEnd(end);
  }
}
