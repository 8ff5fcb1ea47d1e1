import { connect, type Socket } from 'node:net';
import { WebSocket } from 'ws';
import type { SeededRandom } from '../../src/simulator/random.ts';
import { ODD_OPERATIONS } from './odd-operations.ts';
import { LETTERS, type Shown, type WalkCredentials } from './walk-credentials.ts';

/** The kinds of steps. */
const KINDS = ['segment', 'renewal', 'request', 'stream', 'vanishing'] as const;

/** How long those stay who see their rights change, in milliseconds. */
const STAY_MS = 5_000;

/** How many steps were taken, and states that somebody got who may not see their contract. */
export interface WalkOutcome {
  readonly kind: (typeof KINDS)[number];
  readonly steps: number;
  readonly leaks: readonly string[];
}

/**
 * A step of a walk: one client with one request, or with a segment of messages, that does not wait for long.
 * What it does is drawn from a generator of its own, so that its number repeats it whatever else happens.
 */
export class WalkOperation {
  readonly #url: string;
  readonly #credentials: WalkCredentials;
  readonly #random: SeededRandom;
  readonly #leaks: string[] = [];
  #steps = 0;

  /** @param url of the gateway */
  constructor(url: string, credentials: WalkCredentials, random: SeededRandom) {
    this.#url = url;
    this.#credentials = credentials;
    this.#random = random;
  }

  async run(): Promise<WalkOutcome> {
    const kind = this.#pick(KINDS);
    switch (kind) {
      case 'segment':
        await this.#segment(false);
        break;
      case 'renewal':
        await this.#segment(true);
        break;
      case 'request':
        await this.#request('application/json', true);
        break;
      case 'stream':
        await this.#request(
          this.#pick(['text/event-stream', 'multipart/mixed;subscriptionSpec=1.0']),
          true,
        );
        break;
      case 'vanishing':
        await this.#request(this.#pick(['application/json', 'text/event-stream']), false);
        break;
    }
    return { kind, steps: this.#steps, leaks: this.#leaks };
  }

  /** Many messages in one segment of a WebSocket, ids used again among them. */
  async #segment(renews: boolean): Promise<void> {
    const shown = await this.#credentials.somebody(this.#random);
    const narrowed = renews ? await this.#credentials.narrowed(this.#random, shown.sub) : undefined;
    const messages = this.#messages(narrowed?.token);
    // A few stay for longer than what they may see does.
    const patienceMs = this.#random.chance(1 / 50) ? STAY_MS : this.#below(60);
    const breaksOff = this.#below(2) === 0;
    const socket = new WebSocket(
      `${this.#url.replace('http', 'ws')}/graphql`,
      'graphql-transport-ws',
      { headers: { authorization: `Bearer ${shown.token}` } },
    );
    socket.on('error', () => {});
    let allowed = shown;
    socket.on('message', (data) => {
      const message = JSON.parse(String(data)) as { id?: string; type: string; payload?: unknown };
      if (message.type === 'connection_ack') sendTogether(socket, messages);
      if (message.type !== 'next') return;
      const text = JSON.stringify(message.payload);
      if (message.id === 'renewal' && narrowed !== undefined && !text.includes('errors')) {
        allowed = narrowed;
      }
      this.#look(text, allowed);
    });
    const gone = new Promise<void>((resolve) => socket.once('close', () => resolve()));
    socket.on('open', () => socket.send('{"type":"connection_init"}'));
    await Promise.race([gone, pause(patienceMs)]);
    if (breaksOff) socket.terminate();
    else socket.close();
    await Promise.race([gone, pause(500)]);
    socket.terminate();
  }

  #messages(renewal: string | undefined): object[] {
    const messages: object[] = [];
    const count = 2 + this.#below(8);
    for (let sent = 0; sent < count; sent++) {
      this.#steps++;
      const id = String(this.#below(3));
      const kind = this.#below(10);
      if (kind < 4) messages.push({ id, type: 'complete' });
      const isOdd = kind === 9;
      const payload = isOdd ? this.#pick(ODD_OPERATIONS).payload : { query: this.#operation() };
      messages.push({ id: isOdd ? `odd ${sent}` : id, type: 'subscribe', payload });
      if (kind === 8) messages.push({ id, type: 'complete' });
      if (renewal !== undefined && sent === 1) {
        const query = `mutation { renewAuthorization(token: "${renewal}") { principal } }`;
        messages.push({ id: 'renewal', type: 'subscribe', payload: { query } });
      }
    }
    return messages;
  }

  /** A request whose client may vanish anywhere: in its headers, in its body, while it is answered. */
  async #request(accept: string, sendsAll: boolean): Promise<void> {
    this.#steps++;
    const shown = await this.#credentials.somebody(this.#random);
    const isOdd = this.#below(5) === 0;
    const payload = isOdd ? this.#pick(ODD_OPERATIONS).payload : { query: this.#operation() };
    const body = JSON.stringify(payload);
    const isPost = this.#below(3) > 0 || typeof payload['query'] !== 'string';
    const head = isPost
      ? `POST /graphql HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}`
      : `GET /graphql?query=${encodeURIComponent(String(payload['query']).toWellFormed())} HTTP/1.1`;
    const text = `${head}\r\nHost: x\r\nAccept: ${accept}\r\nAuthorization: Bearer ${shown.token}\r\n\r\n`;
    const bytes = Buffer.from(isPost ? text + body : text);
    const cutAt = sendsAll ? bytes.length : this.#below(bytes.length);
    const splitAt = this.#below(cutAt + 1);
    const reads = this.#below(5) > 0;
    const [firstMs, secondMs] = [this.#below(20), this.#below(50)];
    const socket = connect(Number(new URL(this.#url).port), '127.0.0.1');
    let read = '';
    socket.on('error', () => {});
    if (reads) socket.on('data', (chunk) => (read += chunk.toString('utf8')));
    const gone = new Promise<void>((resolve) => socket.once('close', () => resolve()));
    socket.write(bytes.subarray(0, splitAt));
    await Promise.race([gone, pause(firstMs)]);
    if (!socket.destroyed) socket.write(bytes.subarray(splitAt, cutAt));
    await Promise.race([gone, pause(secondMs)]);
    socket.destroy();
    await gone;
    this.#look(read, shown);
  }

  /** What came must be of contracts that the credential allows. */
  #look(text: string, shown: Shown): void {
    // What is refused is named as well, but not as an id.
    for (const [, letter = ''] of text.matchAll(/"id":"name:([abc])\d/g)) {
      if (!shown.allows(letter))
        this.#leaks.push(`${letter} to ${shown.sub}: ${text.slice(0, 300)}`);
    }
  }

  #operation(): string {
    const name = () => `"${this.#pick(LETTERS)}${this.#below(4)}"`;
    const names = Array.from({ length: 1 + this.#below(4) }, name).join(' ');
    const state = '{ id status snapshot { aggregate { lastPrice } } }';
    return this.#pick([
      `subscription { contractUpdates(names: [${names}]) ${state} }`,
      `subscription { contractUpdates(names: [${names}], initial: false) ${state} }`,
      `subscription { contractUpdates(names: [${names}], maxUpdatesPerSecond: 20) ${state} }`,
      `subscription { contractUpdates(names: [${names}], changesOnly: true) ${state} }`,
      `subscription { contractUpdates(names: ["unknown ${this.#below(50)}" ${names}]) ${state} }`,
      `{ contracts(names: [${names}], waitMs: ${this.#below(60)}) ${state} }`,
      `{ contract(name: "quiet ${this.#below(20)}", waitMs: 300) ${state} }`,
      `{ contracts ${state} }`,
      `{ contracts(search: "${this.#pick(LETTERS)}") ${state} }`,
      `{ contracts(ids: ["name:${this.#pick(LETTERS)}${this.#below(4)}"], waitMs: 0) ${state} }`,
      `{ node(id: "name:${this.#pick(LETTERS)}${this.#below(4)}") { ... on Contract ${state} } }`,
      `subscription { contractUpdates(all: true) ${state} }`,
      `subscription { contractUpdates(all: true, maxUpdatesPerSecond: 20, since: "00000000:0000000000000001") ${state} }`,
      `subscription { contractBatches(names: [${names}], everyMs: 10) ${state} }`,
      `subscription { contractBatches(all: true, everyMs: ${this.#below(2) * 20}, changesOnly: true) ${state} }`,
      `subscription { statusUpdates { ready subscriptions contracts { total } } }`,
    ]);
  }

  #below(bound: number): number {
    return this.#random.integer(0, bound - 1);
  }

  #pick<T>(items: readonly T[]): T {
    return items[this.#below(items.length)] as T;
  }
}

/** Sends messages in one segment. */
function sendTogether(socket: WebSocket, messages: readonly object[]): void {
  const tcp = (socket as unknown as { _socket?: Socket })._socket;
  tcp?.cork();
  for (const message of messages) socket.send(JSON.stringify(message));
  tcp?.uncork();
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
