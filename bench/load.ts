import { randomBytes } from 'node:crypto';
import { connect, type Socket } from 'node:net';

/** How often a frame is read instead of counted. */
const SAMPLE_EVERY = 97;

const FIN = 0x80;
const TEXT = 0x1;
const PING = 0x9;
const PONG = 0xa;

/** What a group of clients has received. */
export interface Received {
  frames: number;
  bytes: number;
  /** Milliseconds from publication to receipt, of the frames that were sampled. */
  latenciesMs: number[];
  /** Sampled frames that are not what was subscribed to. */
  wrong: number;
}

/**
 * One raw WebSocket client. It walks the frame headers and counts; only a sample is read, so that a
 * thousand of them cost the load generator less than any server.
 */
class RawClient {
  readonly #socket: Socket;
  readonly #received: Received;
  readonly #needle: string;
  #rest: Buffer = Buffer.alloc(0);
  #skip = 0;
  #handshaken: (() => void) | undefined;
  #acknowledged: (() => void) | undefined;

  constructor(port: number, received: Received, needle: string) {
    this.#received = received;
    this.#needle = needle;
    this.#socket = connect(port, '127.0.0.1');
    this.#socket.setNoDelay(true);
    this.#socket.on('data', (chunk) => this.#take(chunk));
    this.#socket.on('error', () => {});
  }

  async open(
    path: string,
    protocol: string | undefined,
    messages: readonly object[],
  ): Promise<void> {
    const lines = [
      `GET ${path} HTTP/1.1`,
      'Host: 127.0.0.1',
      'Upgrade: websocket',
      'Connection: Upgrade',
      `Sec-WebSocket-Key: ${randomBytes(16).toString('base64')}`,
      'Sec-WebSocket-Version: 13',
      ...(protocol === undefined ? [] : [`Sec-WebSocket-Protocol: ${protocol}`]),
    ];
    this.#socket.write(`${lines.join('\r\n')}\r\n\r\n`);
    const acknowledged = new Promise<void>((resolve) => {
      this.#acknowledged = resolve;
    });
    await new Promise<void>((resolve) => {
      this.#handshaken = resolve;
    });
    for (const [place, message] of messages.entries()) {
      // What is sent before the acknowledgement of `connection_init` is refused.
      if (place > 0) await acknowledged;
      this.#socket.write(masked(TEXT, Buffer.from(JSON.stringify(message))));
    }
  }

  /** Stops reading, or reads on. */
  pause(isPaused: boolean): void {
    if (isPaused) this.#socket.pause();
    else this.#socket.resume();
  }

  close(): void {
    this.#socket.destroy();
  }

  #take(chunk: Buffer): void {
    let data = this.#rest.length > 0 ? Buffer.concat([this.#rest, chunk]) : chunk;
    this.#rest = Buffer.alloc(0);
    if (this.#handshaken) {
      const end = data.indexOf('\r\n\r\n');
      if (end === -1) {
        this.#rest = data;
        return;
      }
      this.#handshaken();
      this.#handshaken = undefined;
      data = data.subarray(end + 4);
    }
    let at = 0;
    if (this.#skip > 0) {
      const skipped = Math.min(this.#skip, data.length);
      this.#skip -= skipped;
      at = skipped;
    }
    while (at < data.length) {
      const second = data[at + 1];
      const headerBytes = second === 126 ? 4 : second === 127 ? 10 : 2;
      if (second === undefined || data.length - at < headerBytes) {
        this.#rest = data.subarray(at);
        return;
      }
      const length =
        second === 126
          ? data.readUInt16BE(at + 2)
          : second === 127
            ? data.readUIntBE(at + 4, 6)
            : second;
      const opcode = (data[at] ?? 0) & 0x0f;
      if (opcode === PING) {
        if (data.length - at < headerBytes + length) {
          this.#rest = data.subarray(at);
          return;
        }
        this.#pong(data.subarray(at + headerBytes, at + headerBytes + length));
      }
      const isText = opcode === TEXT;
      if (isText && this.#acknowledged) {
        this.#acknowledged();
        this.#acknowledged = undefined;
      }
      if (isText && length > 60) {
        this.#received.frames++;
        this.#received.bytes += headerBytes + length;
        if (this.#received.frames % SAMPLE_EVERY === 0) {
          if (data.length - at - headerBytes < length) {
            this.#rest = data.subarray(at);
            this.#received.frames--;
            this.#received.bytes -= headerBytes + length;
            return;
          }
          this.#sample(data.toString('utf8', at + headerBytes, at + headerBytes + length));
        }
      }
      const end = at + headerBytes + length;
      this.#skip = Math.max(0, end - data.length);
      at = Math.min(end, data.length);
    }
  }

  /** Answers a ping, as a server expects of a client that it shall not close. */
  #pong(payload: Buffer): void {
    this.#socket.write(masked(PONG, payload));
  }

  #sample(text: string): void {
    const price = /"last_?[pP]rice":\s*"?(\d{16})/.exec(text)?.[1];
    const nowUs = (performance.timeOrigin + performance.now()) * 1_000;
    try {
      JSON.parse(text);
      if (!text.includes(this.#needle)) this.#received.wrong++;
    } catch {
      this.#received.wrong++;
    }
    // States that were known when the client subscribed are old and tell nothing of the latency.
    if (price && nowUs - Number(price) < 10e6)
      this.#received.latenciesMs.push((nowUs - Number(price)) / 1_000);
  }
}

/** One frame as a client sends it, at most 64 KiB long. Source: RFC 6455, section 5.2. */
function masked(opcode: number, payload: Buffer): Buffer {
  const first = FIN | opcode;
  const header =
    payload.length < 126
      ? Buffer.from([first, 0x80 | payload.length])
      : Buffer.from([first, 0xfe, payload.length >>> 8, payload.length & 0xff]);
  // A mask of zeros is a valid mask and leaves the payload as it is.
  return Buffer.concat([header, Buffer.alloc(4), payload]);
}

/** A group of raw clients of one server. */
export class Load {
  readonly received: Received = { frames: 0, bytes: 0, latenciesMs: [], wrong: 0 };
  readonly #clients: RawClient[] = [];

  /** Connects `count` clients; `query` gives each its subscription, none for a relay. */
  async open(
    port: number,
    count: number,
    query: ((client: number) => { query: string; variables?: object }) | undefined,
    protocol: string,
  ): Promise<void> {
    for (let from = 0; from < count; from += 100) {
      const opening = Array.from({ length: Math.min(100, count - from) }, (_, at) => {
        const client = new RawClient(
          port,
          this.received,
          query ? '"contractUpdates"' : '"contractName"',
        );
        this.#clients.push(client);
        if (query === undefined) return client.open('/', undefined, []);
        const subscribe = protocol === 'graphql-ws' ? 'start' : 'subscribe';
        return client.open('/graphql', protocol, [
          { type: 'connection_init', payload: {} },
          { id: randomBytes(18).toString('hex'), type: subscribe, payload: query(from + at) },
        ]);
      });
      await Promise.all(opening);
    }
  }

  /** The client at a place stops reading, or reads on. */
  pause(place: number, isPaused: boolean): void {
    this.#clients[place]?.pause(isPaused);
  }

  /** Forgets what was received so far. */
  reset(): void {
    Object.assign(this.received, { frames: 0, bytes: 0, latenciesMs: [], wrong: 0 });
  }

  close(): void {
    for (const client of this.#clients) client.close();
  }
}
