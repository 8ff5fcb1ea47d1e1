import type { Socket } from 'node:net';
import { type LimitCode, LimitExceeded, type LimitName } from '../../access/limit.ts';

/** The length of what follows, in bytes, and what it is. */
const HEAD_BYTES = 5;
/** Longer is no frame of ours: what comes is out of step. */
const MOST_FRAME_BYTES = 512 * 1024 * 1024;
/** A frame of the channel itself; all other kinds are its users'. */
const CALL = 0;

/** Answers a call. @throws LimitExceeded, which is thrown at the other end again */
export type Answerer = (args: never) => unknown;

interface Call {
  readonly name: string;
  readonly args: unknown;
  /** To answer by; left out where nobody waits for an answer. */
  readonly call?: number;
}

interface Refusal {
  readonly limit?: LimitName;
  readonly code?: LimitCode;
  readonly message: string;
  readonly most?: number | undefined;
}

interface Reply {
  readonly answer: number;
  readonly value?: unknown;
  readonly refusal?: Refusal;
}

interface Waiting {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
}

/** A whole frame of one kind. */
export function frameOf(kind: number, ...parts: readonly Buffer[]): Buffer {
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  const head = Buffer.allocUnsafe(HEAD_BYTES);
  head.writeUInt32LE(length, 0);
  head[4] = kind;
  return Buffer.concat([head, ...parts], HEAD_BYTES + length);
}

/** Reads whole frames out of bytes. @returns how many bytes they took */
export function readFrames(bytes: Buffer, take: (kind: number, payload: Buffer) => void): number {
  let at = 0;
  while (bytes.length - at >= HEAD_BYTES) {
    const length = bytes.readUInt32LE(at);
    if (length > MOST_FRAME_BYTES) throw new RangeError(`a frame of ${length} bytes`);
    const end = at + HEAD_BYTES + length;
    if (end > bytes.length) break;
    take(bytes[at + 4] as number, bytes.subarray(at + HEAD_BYTES, end));
    at = end;
  }
  return at;
}

/**
 * One end of the local socket between the primary and a worker: frames in both directions, in order, and calls,
 * which may be answered.
 */
export class Channel {
  readonly #socket: Socket;
  readonly #answerers = new Map<string, (args: unknown) => unknown>();
  readonly #waiting = new Map<number, Waiting>();
  readonly #onClose: (() => void)[] = [];
  readonly #failed: (error: unknown) => void;
  #takes: (kind: number, payload: Buffer) => void = () => {};
  #chunks: Buffer[] = [];
  #buffered = 0;
  /** How many bytes there must be before it is worth looking. */
  #needed = HEAD_BYTES;
  #calls = 0;
  #state: 'open' | 'closed' = 'open';

  /** @param failed told of whatever is wrong with what comes; the channel is then closed */
  constructor(socket: Socket, failed: (error: unknown) => void) {
    this.#socket = socket;
    this.#failed = failed;
    socket.on('data', (chunk: Buffer) => this.#received(chunk));
    socket.on('error', () => socket.destroy());
    socket.on('close', () => this.#closed());
  }

  get isOpen(): boolean {
    return this.#state === 'open';
  }

  /** Bytes that were written and that the system has not taken yet. */
  get unsentBytes(): number {
    return this.#socket.writableLength;
  }

  /** `take` is given every frame that is no call. */
  onFrame(take: (kind: number, payload: Buffer) => void): void {
    this.#takes = take;
  }

  /** `drained` is called whenever everything that was written is taken. */
  onDrained(drained: () => void): void {
    this.#socket.on('drain', drained);
  }

  /** `closed` is called once, when nothing comes or goes any more. */
  onClose(closed: () => void): void {
    this.#onClose.push(closed);
  }

  /** Answers calls of a name. */
  answers(name: string, answer: Answerer): void {
    this.#answerers.set(name, answer as (args: unknown) => unknown);
  }

  /** Writes frames, in the order of writing. */
  write(frames: Buffer): void {
    if (this.isOpen) this.#socket.write(frames);
  }

  /** Tells the other end something that needs no answer. */
  tell(name: string, args: unknown): void {
    this.#send({ name, args } satisfies Call);
  }

  /**
   * Asks the other end.
   *
   * @param mostMs how long an answer is waited for, in milliseconds; without it for as long as the channel is open
   * @throws LimitExceeded where the other end does
   * @throws Error where it fails, where the channel closes before it answers, or where it takes too long
   */
  ask<Value>(name: string, args: unknown, mostMs?: number): Promise<Value> {
    if (!this.isOpen) return Promise.reject(new Error(`${name}: the other process is gone`));
    const call = ++this.#calls;
    return new Promise<Value>((resolve, reject) => {
      const timer =
        mostMs === undefined
          ? undefined
          : setTimeout(() => {
              this.#waiting.delete(call);
              reject(new Error(`${name}: not answered within ${mostMs} ms`));
            }, mostMs);
      this.#waiting.set(call, {
        resolve: (value) => {
          clearTimeout(timer);
          resolve(value as Value);
        },
        reject: (error) => {
          clearTimeout(timer);
          reject(error);
        },
      });
      this.#send({ name, args, call } satisfies Call);
    });
  }

  /** Closes the socket, whatever is unsent. */
  close(): void {
    this.#socket.destroy();
  }

  #send(message: Call | Reply): void {
    this.write(frameOf(CALL, Buffer.from(JSON.stringify(message))));
  }

  #received(chunk: Buffer): void {
    this.#chunks.push(chunk);
    this.#buffered += chunk.length;
    if (this.#buffered < this.#needed) return;
    const bytes = this.#chunks.length === 1 ? chunk : Buffer.concat(this.#chunks);
    try {
      const read = readFrames(bytes, (kind, payload) => this.#take(kind, payload));
      const left = bytes.subarray(read);
      this.#chunks = left.length > 0 ? [left] : [];
      this.#buffered = left.length;
      this.#needed = left.length < HEAD_BYTES ? HEAD_BYTES : HEAD_BYTES + left.readUInt32LE(0);
    } catch (error) {
      this.#failed(error);
      this.close();
    }
  }

  #take(kind: number, payload: Buffer): void {
    if (!this.isOpen) return;
    if (kind !== CALL) {
      this.#takes(kind, payload);
      return;
    }
    const message = JSON.parse(payload.toString()) as Call | Reply;
    if ('answer' in message) this.#answered(message);
    else void this.#called(message);
  }

  async #called({ name, args, call }: Call): Promise<void> {
    let reply: Omit<Reply, 'answer'>;
    try {
      const answer = this.#answerers.get(name);
      if (answer === undefined) throw new Error(`${name} is not known here`);
      const value = answer(args);
      reply = { value: value instanceof Promise ? await value : value };
    } catch (error) {
      if (call === undefined || !(error instanceof LimitExceeded)) this.#failed(error);
      reply = { refusal: refusalOf(error) };
    }
    if (call !== undefined) this.#send({ answer: call, ...reply });
  }

  #answered({ answer, value, refusal }: Reply): void {
    const waiting = this.#waiting.get(answer);
    if (waiting === undefined) return;
    this.#waiting.delete(answer);
    if (refusal === undefined) waiting.resolve(value);
    else waiting.reject(errorOf(refusal));
  }

  #closed(): void {
    if (!this.isOpen) return;
    this.#state = 'closed';
    this.#chunks = [];
    const waiting = [...this.#waiting.values()];
    this.#waiting.clear();
    for (const { reject } of waiting) reject(new Error('the other process is gone'));
    for (const closed of this.#onClose) closed();
  }
}

function refusalOf(error: unknown): Refusal {
  if (!(error instanceof LimitExceeded)) return { message: (error as Error).message };
  const { limit, code, message, most } = error;
  return { limit, code, message, most };
}

function errorOf({ limit, code, message, most }: Refusal): Error {
  if (limit === undefined || code === undefined) return new Error(message);
  return new LimitExceeded(limit, code, message, most);
}
