import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { LimitName } from '../access/limit.ts';
import type { Logger } from '../observability/log.ts';
import { RepeatLimit } from '../observability/repeat-limit.ts';
import { addressKey } from './address-key.ts';
import type { ClientAddresses } from './client-address.ts';
import { type ClientLimits, ConnectionPlaces } from './connection-places.ts';
import { mostDescriptors } from './descriptors.ts';
import { answerWithoutUpgrade, asksForWebSocket } from './other-upgrade.ts';
import { UnreadAnswers } from './unread-answers.ts';

/** How long a client may take for its headers, from the moment it connects, and for the whole request. */
const HEADERS_TIMEOUT_MS = 10_000;
const REQUEST_TIMEOUT_MS = 30_000;
/** How often it is looked who takes longer. */
const TIMEOUT_LOOK_MS = 1_000;
/** Longer than proxies keep connections without a request: theirs must not be closed under one. */
const KEEP_ALIVE_TIMEOUT_MS = 65_000;
/** How long requests are given to be answered once the listener closes. */
const CLOSE_TIMEOUT_MS = 1_000;
/** How often equal refusals are logged. */
const REPEAT_INTERVAL_MS = 10_000;
/** How often room is made by closing connections on which nothing is asked. */
const ROOM_INTERVAL_MS = 1_000;

/** What a listener needs. */
export interface ListenerOptions {
  readonly limits: ClientLimits;
  readonly addresses: ClientAddresses;
  readonly log: Logger;
  /** After how long without taking anything of an answer a client is cut, in milliseconds. */
  readonly stallMs: number;
  /** How many files the process may have open; by default as the system says. */
  readonly descriptors?: number;
  /** By default 10 s. */
  readonly headersTimeoutMs?: number;
  /** A connection is refused. */
  refused(limit: LimitName): void;
}

/** Who is told of what comes over the connections. */
export interface ListenerUser {
  answer(request: IncomingMessage, response: ServerResponse): void;
  /** A request asks to become a WebSocket. */
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void;
}

/** Takes connections, as many as there may be, and reads them as HTTP. */
export class HttpListener {
  readonly #http: Server;
  readonly #options: ListenerOptions;
  readonly #places: ConnectionPlaces;
  readonly #unread: UnreadAnswers;
  readonly #repeats = new RepeatLimit(REPEAT_INTERVAL_MS);
  readonly #rooms = new RepeatLimit(ROOM_INTERVAL_MS);
  /** Comes once everything has ended, from when no more connections are taken. */
  #closed: Promise<void> | undefined;
  /** The latest response of each connection; what holds it is set once, for each request would cost. */
  readonly #latest = new WeakMap<Duplex, { response: ServerResponse | undefined }>();

  constructor(options: ListenerOptions, user: ListenerUser) {
    const { limits, addresses, log, descriptors = mostDescriptors() } = options;
    this.#options = options;
    this.#unread = new UnreadAnswers(options.stallMs);
    this.#places = new ConnectionPlaces(limits, descriptors, (peer) => addresses.isProxy(peer));
    const { most, isCutShort } = this.#places;
    if (isCutShort) {
      const message = `expected room for MAX_CONNECTIONS=${limits.connections}, but the process may open only ${descriptors} files (ulimit -n): ${most} connections at most`;
      log.warn({ descriptors, connections: most }, message);
    }
    const timeouts = {
      headersTimeout: options.headersTimeoutMs ?? HEADERS_TIMEOUT_MS,
      requestTimeout: REQUEST_TIMEOUT_MS,
      keepAliveTimeout: KEEP_ALIVE_TIMEOUT_MS,
      connectionsCheckingInterval: TIMEOUT_LOOK_MS,
    };
    this.#http = createServer(timeouts, (request, response) => {
      const latest = this.#latest.get(request.socket);
      if (latest !== undefined) latest.response = response;
      if (this.#closed !== undefined) response.setHeader('connection', 'close');
      this.#guard(request, () => user.answer(request, response));
    });
    this.#limitConnections(most);
    this.#http.on('upgrade', (request, socket, head) => {
      this.#guard(request, () => {
        if (asksForWebSocket(request)) user.upgrade(request, socket, head);
        else this.#ignoreOffer(request, socket, head);
      });
    });
  }

  /** How many answers were cut because their client took nothing. */
  get cut(): number {
    return this.#unread.cut;
  }

  /** Looks after a response that was written and is not taken yet. */
  watch(response: ServerResponse, { socket }: IncomingMessage): void {
    this.#unread.watch(socket, response);
  }

  /**
   * Listens. @returns the address that was bound
   * @throws where the address cannot be had
   */
  async listen(port: number, host: string): Promise<AddressInfo> {
    await new Promise<void>((resolve, reject) => {
      this.#http.once('error', reject);
      this.#http.listen(port, host, () => {
        this.#http.off('error', reject);
        resolve();
      });
    });
    // From here on it is a connection that could not be taken, and no reason to take no more.
    this.#http.on('error', ({ code, message }: NodeJS.ErrnoException) => {
      this.#makeRoom();
      const held = this.#repeats.pass('accept');
      if (held === undefined) return;
      this.#options.log.error({ code, held }, `a connection cannot be taken: ${message}`);
    });
    return this.#http.address() as AddressInfo;
  }

  /** Takes no more connections: from now on each of those there are ends with the next answer. */
  stop(): void {
    this.#closed ??= new Promise((resolve) => this.#http.close(() => resolve()));
    this.#http.closeIdleConnections();
  }

  /** Takes no more connections, and ends those there are once what was asked is answered, or soon. */
  async close(): Promise<void> {
    this.stop();
    const closed = this.#closed;
    const timer = setTimeout(() => this.#http.closeAllConnections(), CLOSE_TIMEOUT_MS);
    await closed;
    clearTimeout(timer);
    this.#unread.close();
  }

  /** Who finds no place is cut before anything is made or read for them. */
  #limitConnections(most: number): void {
    const http = this.#http;
    http.maxConnections = most;
    http.on('drop', () => {
      this.#makeRoom();
      this.#refused('connections', {});
    });
    const readers = http.listeners('connection');
    http.removeAllListeners('connection');
    http.on('connection', (socket: Socket) => {
      const { remoteAddress: peer } = socket;
      // Its client has gone already.
      if (peer === undefined) {
        socket.destroy();
        return;
      }
      if (!this.#places.take(socket, peer)) {
        socket.on('error', () => {});
        socket.resetAndDestroy();
        this.#refused('connections_per_address', { address: addressKey(peer) });
        return;
      }
      if (!this.#latest.has(socket)) this.#latest.set(socket, { response: undefined });
      for (const read of readers) read.call(http, socket);
    });
  }

  #refused(limit: LimitName, who: Readonly<Record<string, string>>): void {
    this.#options.refused(limit);
    const held = this.#repeats.pass(limit);
    if (held === undefined) return;
    this.#options.log.warn({ limit, ...who, held }, 'connections are refused');
  }

  /** Connections that wait for another request after an answer give way to those that ask. */
  #makeRoom(): void {
    if (this.#rooms.pass('room') !== undefined) this.#http.closeIdleConnections();
  }

  /** A fault of ours ends the connection that it was met with, and nobody else's. */
  #guard({ socket }: IncomingMessage, run: () => void): void {
    try {
      run();
    } catch (error) {
      this.#options.log.error({ error }, 'a request failed');
      socket.destroy();
    }
  }

  /** What was asked before on the same connection is answered first. */
  #ignoreOffer(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    const answer = () => answerWithoutUpgrade(this.#http, request, socket, head);
    const before = this.#latest.get(request.socket)?.response;
    if (before === undefined || before.closed) {
      answer();
      return;
    }
    // Until then nobody else hears of the connection's faults.
    const ignore = () => {};
    socket.on('error', ignore);
    before.once('close', () => {
      socket.off('error', ignore);
      answer();
    });
  }
}
