import { WebSocket } from 'ws';
import type { Gateway } from '../../src/app/gateway.ts';

/** What a GraphQL operation came to, whatever carried it. */
export interface Outcome {
  /** The status of the answer; 101 over a WebSocket. */
  readonly status: number;
  /** Whether results came as a stream. */
  readonly streams: boolean;
  /** `extensions.code` of every error, of the request and in results; `undefined` for one without. */
  readonly codes: readonly (string | undefined)[];
  readonly messages: readonly string[];
  /** The data of the first result. */
  readonly data: unknown;
  /** The answer's length, in characters. */
  readonly characters: number;
  /** The code that a WebSocket was closed with. */
  readonly closed?: number | undefined;
}

/** An operation as it is sent: an object that becomes JSON. */
export type Payload = Readonly<Record<string, unknown>>;

/** One way in. */
export interface Door {
  readonly name: string;
  /** Whether each of its requests is one of HTTP. */
  readonly isHttp: boolean;
  send(gateway: Gateway, payload: Payload, headers?: Record<string, string>): Promise<Outcome>;
}

interface Told {
  data?: unknown;
  errors?: readonly { message: string; extensions?: { code?: string } }[];
}

/** How long a stream is read that goes on, in milliseconds. */
const READ_MS = 5_000;

function outcome(
  status: number,
  streams: boolean,
  results: readonly Told[],
  characters: number,
  closed?: number,
): Outcome {
  const errors = results.flatMap((result) => result.errors ?? []);
  return {
    status,
    streams,
    codes: errors.map(({ extensions }) => extensions?.code),
    messages: errors.map(({ message }) => message),
    data: results.find((result) => result.data !== undefined)?.data,
    characters,
    closed,
  };
}

/** Reads a response to its end, or to its first result where it streams. */
export async function readOutcome(response: Response): Promise<Outcome> {
  const type = response.headers.get('content-type') ?? '';
  if (/json/.test(type) && !/multipart/.test(type)) {
    const text = await response.text();
    return outcome(response.status, false, [JSON.parse(text) as Told], text.length);
  }
  if (!/event-stream|multipart/.test(type)) {
    const text = await response.text();
    return outcome(response.status, false, [], text.length);
  }
  const reader = response.body?.getReader();
  const decoder = new TextDecoder();
  let text = '';
  let results: Told[] = [];
  const deadline = setTimeout(() => void reader?.cancel(), READ_MS);
  for (;;) {
    const { value, done } = (await reader?.read()) ?? { value: undefined, done: true };
    if (value) text += decoder.decode(value, { stream: true });
    results = /event-stream/.test(type) ? eventsIn(text) : partsIn(text);
    if (done || results.length > 0) break;
  }
  clearTimeout(deadline);
  await reader?.cancel();
  return outcome(response.status, true, results, text.length);
}

function eventsIn(text: string): Told[] {
  return [...text.matchAll(/event: next\ndata: (.*)\n\n/g)].map(([, json]) =>
    JSON.parse(json ?? ''),
  );
}

function partsIn(text: string): Told[] {
  return [...text.matchAll(/\r\n\r\n(\{.*\})\r\n--graphql/g)].flatMap(([, json]) => {
    const { payload, errors } = JSON.parse(json ?? '') as {
      payload?: Told | null;
      errors?: Told['errors'];
    };
    if (payload) return [payload];
    return errors ? [{ errors }] : [];
  });
}

function posting(name: string, accept: string): Door {
  return {
    name,
    isHttp: true,
    send: async (gateway, payload, headers = {}) =>
      readOutcome(
        await fetch(`${gateway.url}/graphql`, {
          method: 'POST',
          headers: { 'content-type': 'application/json', accept, ...headers },
          body: JSON.stringify(payload),
        }),
      ),
  };
}

function getting(name: string, accept: string): Door {
  return {
    name,
    isHttp: true,
    send: async (gateway, payload, headers = {}) => {
      const query = new URLSearchParams();
      for (const [key, value] of Object.entries(payload)) {
        if (value === undefined || value === null) continue;
        query.set(key, typeof value === 'string' ? value : JSON.stringify(value));
      }
      const url = `${gateway.url}/graphql?${query}`;
      return readOutcome(await fetch(url, { headers: { accept, ...headers } }));
    },
  };
}

/** The way in by graphql-transport-ws: a connection for each operation. */
const webSocket: Door = {
  name: 'WebSocket',
  isHttp: false,
  send: (gateway, payload, headers = {}) =>
    new Promise((resolve, reject) => {
      const socket = new WebSocket(
        `${gateway.url.replace('http', 'ws')}/graphql`,
        'graphql-transport-ws',
        { headers },
      );
      const results: Told[] = [];
      let characters = 0;
      const end = (closed?: number) => {
        clearTimeout(deadline);
        socket.terminate();
        resolve(
          outcome(
            101,
            results.some(({ data }) => data !== undefined),
            results,
            characters,
            closed,
          ),
        );
      };
      const deadline = setTimeout(() => end(), READ_MS);
      socket.on('error', reject);
      socket.on('open', () => socket.send('{"type":"connection_init"}'));
      socket.on('close', end);
      socket.on('message', (data) => {
        const text = String(data);
        const message = JSON.parse(text) as { type: string; payload?: unknown };
        if (message.type === 'connection_ack') {
          socket.send(JSON.stringify({ id: '1', type: 'subscribe', payload }));
          return;
        }
        characters += text.length;
        if (message.type === 'next') results.push(message.payload as Told);
        if (message.type === 'error') results.push({ errors: message.payload as never });
        end();
      });
    }),
};

/** Every way in. */
export const DOORS: readonly Door[] = [
  webSocket,
  posting('POST', 'application/json'),
  posting('POST, strict', 'application/graphql-response+json'),
  getting('GET', 'application/json'),
  posting('SSE by POST', 'text/event-stream'),
  getting('SSE by GET', 'text/event-stream'),
  posting('multipart', 'multipart/mixed;subscriptionSpec=1.0, application/json'),
];
