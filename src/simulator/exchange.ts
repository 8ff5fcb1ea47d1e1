import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { type WebSocket, WebSocketServer } from 'ws';
import type { ContractKey, KeySpace } from '../contract/key.ts';
import type { MarketState } from '../contract/snapshot.ts';
import { encodeMessage, type NumberStyle } from '../ime/protocol/encode.ts';
import {
  type AuthorizationForm,
  parseSubscriptionTarget,
  REFUSED_CLOSE_CODE,
  tokenIn,
} from '../ime/protocol/endpoints.ts';
import { ExchangeFaults, type FaultAnswer } from './faults.ts';
import type { LoginDoor } from './login-door.ts';

/** How an exchange is set up. */
export interface ExchangeOptions {
  /** Where its endpoints begin, `/data-engine/ime` for one. */
  readonly basePath: string;
  /** The token that it accepts; `undefined`: any, and none. */
  readonly token: string | undefined;
  /** How the token must stand in its header; `any` without it. */
  readonly authorization?: AuthorizationForm | 'any';
  /** Who logs in gets a token of this; {@link token} then counts for nothing. */
  readonly login?: LoginDoor | undefined;
  /** Whether connections are cut when the token that they were opened with ends. */
  readonly cutsAtEnd?: boolean;
  /** How numbers are written. */
  readonly numbers?: NumberStyle;
  /** Refuse before the handshake with HTTP 403, or after it with close 1008, as IME's document says. */
  readonly refuse: 'before' | 'after';
  /** Whether a contract is listed; called for every contract of a subscription. */
  readonly lists: (key: ContractKey) => boolean;
  /** Called after a subscription has been accepted. */
  readonly onSubscribed?: (keys: readonly ContractKey[]) => void;
}

/** One accepted subscription. */
interface Subscriber {
  readonly socket: WebSocket;
  readonly space: KeySpace;
  readonly keys: ReadonlySet<ContractKey>;
}

/**
 * An exchange behind IME's two endpoints, over real sockets: it checks the token, refuses unknown
 * contracts, has no first frame and no replay, and says nothing but what is published.
 */
export class Exchange {
  readonly faults = new ExchangeFaults();
  /** The token it accepts; may be changed while it runs. */
  token: string | undefined;
  /** How it refuses; may be changed while it runs. */
  refuse: 'before' | 'after';
  readonly #options: ExchangeOptions;
  readonly #subscribers = new Set<Subscriber>();
  readonly #connections = new Set<Socket>();
  #webSockets: WebSocketServer | undefined;
  #http: Server | undefined;
  #dials = 0;

  constructor(options: ExchangeOptions) {
    this.#options = options;
    this.token = options.token;
    this.refuse = options.refuse;
  }

  /** How many handshakes have been asked for. */
  get dials(): number {
    return this.#dials;
  }

  /** The contracts of each accepted subscription. */
  get subscriptions(): readonly ReadonlySet<ContractKey>[] {
    return Array.from(this.#subscribers, ({ keys }) => keys);
  }

  /**
   * Listens. @returns the base URL for clients
   * @throws where the port cannot be had
   */
  async listen(port: number, host = '127.0.0.1'): Promise<string> {
    const http = createServer((request, response) => {
      if (!this.#options.login?.serve(request, response)) response.writeHead(404).end();
    });
    const webSockets = new WebSocketServer({ noServer: true, perMessageDeflate: false });
    http.on('connection', (socket: Socket) => {
      this.#connections.add(socket);
      this.faults.watch(socket);
      socket.on('close', () => this.#connections.delete(socket));
    });
    http.on('upgrade', (request, socket, head) => {
      this.#dials++;
      this.faults.whenAwake(() => this.#upgrade(request, socket, head));
    });
    await new Promise<void>((resolve, reject) => {
      http.once('error', reject);
      http.listen(port, host, resolve);
    });
    this.#http = http;
    this.#webSockets = webSockets;
    const { port: boundPort } = http.address() as AddressInfo;
    return `ws://${host.includes(':') ? `[${host}]` : host}:${boundPort}${this.#options.basePath}`;
  }

  /** Stops at once, as a process that is killed does: every connection breaks without a close frame. */
  async close(): Promise<void> {
    const http = this.#http;
    this.#http = undefined;
    this.faults.clear();
    this.#subscribers.clear();
    for (const socket of this.#connections) socket.destroy();
    this.#webSockets?.close();
    if (http) await new Promise((resolve) => http.close(resolve));
  }

  /** Sends a state to everybody subscribed to one of `keys`: one contract's name and ID. */
  publish(keys: readonly ContractKey[], timestamp: string, state: MarketState): void {
    const frames = new Map<ContractKey, string>();
    for (const { socket, space, keys: subscribed } of this.#subscribers) {
      for (const key of keys) {
        if (!subscribed.has(key)) continue;
        const frame =
          frames.get(key) ?? encodeMessage(key, space, timestamp, state, this.#options.numbers);
        frames.set(key, frame);
        this.faults.whenAwake(() => socket.send(frame));
      }
    }
  }

  /** Sends any frame to every subscriber. */
  broadcast(frame: string | Buffer): void {
    for (const { socket } of this.#subscribers) this.faults.whenAwake(() => socket.send(frame));
  }

  /** Ends subscriptions, with a close code or, without one, by breaking the connection. */
  drop(code?: number, which: (keys: ReadonlySet<ContractKey>) => boolean = () => true): void {
    for (const { socket, keys } of this.#subscribers) {
      if (!which(keys)) continue;
      if (code === undefined) socket.terminate();
      else socket.close(code);
    }
  }

  #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    const asked = parseSubscriptionTarget(request.url ?? '/', this.#options.basePath);
    const refused = asked === undefined || !this.#accepts(request, asked.keys);
    const answer = this.#httpAnswer(request, asked !== undefined, refused);
    if (answer !== undefined) {
      refuseHandshake(socket, answer);
      return;
    }
    this.#webSockets?.handleUpgrade(request, socket, head, (webSocket) => {
      webSocket.on('error', () => webSocket.terminate());
      const { dieOnOpenMs, refuseAfterMs } = this.faults;
      if (dieOnOpenMs !== undefined) {
        this.faults.after(dieOnOpenMs, () => webSocket.terminate());
      } else if (refused) {
        this.faults.after(refuseAfterMs, () => webSocket.close(REFUSED_CLOSE_CODE));
      } else {
        const subscriber = { socket: webSocket, space: asked.space, keys: new Set(asked.keys) };
        this.#subscribers.add(subscriber);
        webSocket.on('close', () => this.#subscribers.delete(subscriber));
        this.#cutAtEnd(request, webSocket);
        this.#options.onSubscribed?.(asked.keys);
      }
    });
  }

  /** What answers a handshake in place of an upgrade. */
  #httpAnswer(request: IncomingMessage, known: boolean, refused: boolean): FaultAnswer | undefined {
    if (this.faults.answer !== undefined) return this.faults.answer;
    if ((request.url ?? '').length > this.faults.maxTargetBytes) return { status: 414 };
    if (!known) return { status: 404 };
    return refused && this.refuse === 'before' ? { status: 403 } : undefined;
  }

  #accepts(request: IncomingMessage, keys: readonly ContractKey[]): boolean {
    return this.#knows(request) && keys.length > 0 && keys.every((key) => this.#options.lists(key));
  }

  /** Whether the handshake shows a token that is good, in the form that is wanted. */
  #knows(request: IncomingMessage): boolean {
    const { authorization = 'any', login } = this.#options;
    if (login === undefined && this.token === undefined) return true;
    const shown = tokenIn(request.headers.authorization);
    if (shown === undefined || (authorization !== 'any' && shown.form !== authorization))
      return false;
    return login === undefined ? shown.token === this.token : login.accepts(shown.token, request);
  }

  #cutAtEnd(request: IncomingMessage, webSocket: WebSocket): void {
    const { login, cutsAtEnd } = this.#options;
    const shown = tokenIn(request.headers.authorization);
    if (login === undefined || !cutsAtEnd || shown === undefined) return;
    this.faults.after(login.leftMs(shown.token), () => webSocket.close(REFUSED_CLOSE_CODE));
  }
}

function refuseHandshake(socket: Duplex, { status, headers = {}, body = '' }: FaultAnswer): void {
  const all = { ...headers, 'content-length': String(body.length), connection: 'close' };
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`);
  socket.on('error', () => {});
  socket.end(`HTTP/1.1 ${status} Refused\r\n${lines.join('')}\r\n${body}`);
}
