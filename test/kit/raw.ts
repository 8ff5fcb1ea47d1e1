import { onTestFinished } from 'vitest';
import { WebSocket } from 'ws';
import type { Gateway } from '../../src/app/gateway.ts';
import { testGateway } from './gateway.ts';
import { bearer, JWT, token } from './tokens.ts';

/** A message of graphql-transport-ws. */
export interface ProtocolMessage {
  readonly type: string;
  readonly id?: string;
  readonly payload?: unknown;
}

/** A client that speaks graphql-transport-ws by hand, and keeps what it is told. */
export class RawClient {
  readonly socket: WebSocket;
  readonly messages: ProtocolMessage[] = [];
  closed: { code: number; reason: string } | undefined;
  /** The status of the answer where the handshake was refused. */
  refusedWith: number | undefined;
  #wake: () => void = () => {};

  constructor(gateway: Gateway, headers: Record<string, string> = {}) {
    this.socket = new WebSocket(
      `${gateway.url.replace('http', 'ws')}/graphql`,
      'graphql-transport-ws',
      { headers },
    );
    this.socket.on('message', (data) => {
      this.messages.push(JSON.parse(String(data)));
      this.#wake();
    });
    this.socket.on('close', (code, reason) => {
      this.closed = { code, reason: String(reason) };
      this.#wake();
    });
    this.socket.on('unexpected-response', (_request, response) => {
      this.refusedWith = response.statusCode;
      this.socket.terminate();
      this.#wake();
    });
    this.socket.on('error', () => {});
    onTestFinished(() => this.socket.terminate());
  }

  /** Opens the connection and initialises it. */
  async init(payload?: Record<string, unknown>): Promise<this> {
    await this.until(() => this.socket.readyState !== WebSocket.CONNECTING, 'it opens');
    this.send({ type: 'connection_init', ...(payload ? { payload } : {}) });
    await this.until(
      () =>
        this.closed !== undefined || this.messages.some(({ type }) => type === 'connection_ack'),
      'it is acknowledged or closed',
    );
    return this;
  }

  send(message: ProtocolMessage | string): void {
    if (this.socket.readyState !== WebSocket.OPEN) return;
    this.socket.send(typeof message === 'string' ? message : JSON.stringify(message));
  }

  subscribe(id: string, query: string, more: Record<string, unknown> = {}): void {
    this.send({ id, type: 'subscribe', payload: { query, ...more } });
  }

  /** The messages for one operation. */
  of(id: string): ProtocolMessage[] {
    return this.messages.filter((message) => message.id === id);
  }

  /** The codes of the errors in messages of one operation. */
  codes(id: string): unknown[] {
    return this.of(id).flatMap(({ payload }) => {
      const errors = Array.isArray(payload)
        ? payload
        : ((payload as { errors?: unknown[] } | undefined)?.errors ?? []);
      return errors.map((error) => (error as { extensions?: { code?: string } }).extensions?.code);
    });
  }

  async until(holds: () => boolean, what: string, withinMs = 20_000): Promise<void> {
    const deadline = performance.now() + withinMs;
    while (!holds()) {
      const leftMs = deadline - performance.now();
      if (leftMs <= 0) {
        const last = JSON.stringify({ closed: this.closed, last: this.messages.slice(-3) });
        throw new Error(`waited ${withinMs} ms until ${what}; ${last}`);
      }
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, leftMs);
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
        this.socket.once('open', this.#wake);
      });
    }
  }
}

/**
 * Comes to a gateway that lets in one connection of each address.
 *
 * @returns opens a connection from an address, as a trusted proxy writes it
 */
export async function oneOfAddress(): Promise<(address: string) => Promise<RawClient>> {
  const gateway = await testGateway({
    ...JWT,
    MAX_CONNECTIONS_PER_ADDRESS: '1',
    TRUST_PROXY: 'loopback',
  });
  const shown = bearer(await token());
  return (address) => new RawClient(gateway, { ...shown, 'x-forwarded-for': address }).init();
}
