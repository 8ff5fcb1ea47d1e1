import { request } from 'node:http';
import { WebSocket } from 'ws';

/** What a walker follows, and how. */
export interface WalkerWish {
  readonly transport: 'websocket' | 'compressed' | 'events';
  /** The contracts; `undefined` for all of them. */
  readonly names: readonly string[] | undefined;
  readonly batches: boolean;
  /** Updates a second; 0: all. */
  readonly pace: number;
  readonly changesOnly: boolean;
  /** Whether it says `initial: false` whenever it resumes. */
  readonly withoutInitial: boolean;
}

/** A contract as a walker sees it. */
export interface SeenState {
  readonly id: string;
  readonly cursor: string;
  readonly status: string;
  readonly statusCode: string | null;
  readonly snapshot: {
    readonly sequence: string;
    readonly aggregate: { readonly lastPrice: string };
  } | null;
}

export const SEEN = 'id cursor status statusCode snapshot { sequence aggregate { lastPrice } }';

/** What of a state counts as a change. */
export function readingOf({ id, status, statusCode, snapshot }: SeenState): string {
  return JSON.stringify([id, status, statusCode, snapshot?.aggregate.lastPrice]);
}

/**
 * A client whose connections break: it comes back with the cursor of the last state that it has read, and finds
 * fault with what is older than it should be, or comes twice.
 */
export class ResumeWalker {
  readonly states = new Map<string, SeenState>();
  readonly faults: string[] = [];
  /** Connections that were broken after they had brought something. */
  cuts = 0;
  told = 0;
  readonly #url: string;
  #last: string | undefined;
  /** What this connection has brought of each contract. */
  #brought = new Map<string, SeenState>();
  #since: string | undefined;
  #epoch = '';
  #isStopped = false;
  #end: () => void = () => {};

  constructor(
    url: string,
    readonly wish: WalkerWish,
  ) {
    this.#url = url;
  }

  /** Connects again and again. */
  async run(): Promise<void> {
    while (!this.#isStopped) {
      this.#brought = new Map();
      this.#since = this.#last;
      if (this.wish.transport === 'events') await this.#readEvents();
      else await this.#readMessages();
      if (this.#brought.size > 0) this.cuts++;
    }
  }

  /** Breaks the connection: by the next one it resumes. */
  cut(): void {
    this.#end();
  }

  stop(): void {
    this.#isStopped = true;
    this.#end();
  }

  #query(since: string | undefined): string {
    const { names, batches, pace, changesOnly, withoutInitial } = this.wish;
    const args = [
      names === undefined ? 'all: true' : `names: ${JSON.stringify(names)}`,
      batches ? `everyMs: ${pace === 0 ? 0 : Math.round(1_000 / pace)}` : '',
      !batches && pace > 0 ? `maxUpdatesPerSecond: ${pace}` : '',
      changesOnly ? 'changesOnly: true' : '',
      since === undefined ? '' : `since: "${since}"`,
      since !== undefined && withoutInitial ? 'initial: false' : '',
    ];
    return `subscription { told: ${batches ? 'contractBatches' : 'contractUpdates'}(${args.join(' ')}) { ${SEEN} } }`;
  }

  #readMessages(): Promise<void> {
    return new Promise((resolve) => {
      const socket = new WebSocket(
        `${this.#url.replace('http', 'ws')}/graphql`,
        'graphql-transport-ws',
        { perMessageDeflate: this.wish.transport === 'compressed' },
      );
      this.#end = () => socket.terminate();
      socket.on('error', () => {});
      socket.on('close', () => resolve());
      socket.on('open', () => socket.send('{"type":"connection_init"}'));
      socket.on('message', (data) => {
        const message = JSON.parse(String(data));
        if (message.type === 'connection_ack') {
          const query = this.#query(this.#since);
          socket.send(JSON.stringify({ id: '1', type: 'subscribe', payload: { query } }));
        } else if (message.type === 'next') {
          this.#take(message.payload);
        } else {
          this.faults.push(`it is told ${JSON.stringify(message)}`);
          socket.terminate();
        }
      });
    });
  }

  #readEvents(): Promise<void> {
    return new Promise((resolve) => {
      const query = this.#query(undefined);
      const resumes = this.#since === undefined ? {} : { 'last-event-id': this.#since };
      const asking = request(`${this.#url}/graphql?${new URLSearchParams({ query })}`, {
        headers: { accept: 'text/event-stream', ...resumes },
        agent: false,
      });
      this.#end = () => asking.destroy();
      asking.on('error', () => resolve());
      asking.on('close', () => resolve());
      asking.on('response', (response) => {
        response.setEncoding('utf8');
        response.on('error', () => resolve());
        response.on('close', () => resolve());
        let text = '';
        response.on('data', (chunk: string) => {
          text += chunk;
          const blocks = text.split('\n\n');
          text = blocks.pop() ?? '';
          for (const block of blocks) {
            const [, id, json] = /^id: (\S+)\nevent: next\ndata: (.*)$/.exec(block) ?? [];
            if (json !== undefined) this.#take(JSON.parse(json), id);
            else if (block !== ':') this.faults.push(`it is told ${block}`);
          }
        });
      });
      asking.end();
    });
  }

  #take(result: { data?: { told: SeenState | SeenState[] } }, eventId?: string): void {
    const told = result.data?.told;
    if (told === undefined || (Array.isArray(told) && told.length === 0)) {
      this.faults.push(`it is told ${JSON.stringify(result)}`);
      return;
    }
    const states = Array.isArray(told) ? told : [told];
    for (const state of states) this.#see(state);
    if (eventId !== undefined && eventId !== states.at(-1)?.cursor) {
      this.faults.push(`the id ${eventId} is not ${states.at(-1)?.cursor}`);
    }
    // Only now: of a message that has not come whole nothing has been read.
    this.#last = states.at(-1)?.cursor;
  }

  #see(state: SeenState): void {
    this.told++;
    // In another epoch everything begins anew.
    if (this.#epoch !== state.cursor.slice(0, 8)) {
      if (this.#brought.size > 0) this.#fault(state, 'another epoch within a connection');
      this.#epoch = state.cursor.slice(0, 8);
      this.#since = undefined;
      this.states.clear();
    }
    const { pace, batches, changesOnly } = this.wish;
    const before = this.states.get(state.id);
    const here = this.#brought.get(state.id);
    const last = [...this.#brought.values()].at(-1)?.cursor ?? this.#since;
    if (pace === 0 || batches) {
      if (last !== undefined && state.cursor <= last) this.#fault(state, `not after ${last}`);
    } else if (before !== undefined && state.cursor < before.cursor) {
      this.#fault(state, `older than ${before.cursor}`);
    } else if (before !== undefined && state.cursor === before.cursor) {
      const since = Number(this.#since?.split(':')[1] ?? Number.NaN);
      const isWithin = Number(state.cursor.split(':')[1]) > since - 1_000_000 / pace - 1;
      if (here !== undefined || !isWithin) this.#fault(state, `twice, since ${this.#since}`);
    }
    if (changesOnly && here !== undefined && readingOf(here) === readingOf(state)) {
      this.#fault(state, 'no change');
    }
    this.states.set(state.id, state);
    this.#brought.delete(state.id);
    this.#brought.set(state.id, state);
  }

  #fault(state: SeenState, what: string): void {
    this.faults.push(
      `${JSON.stringify(this.wish)}: ${state.cursor} of ${readingOf(state)}: ${what}`,
    );
  }
}
