import { type Client, createClient } from 'graphql-ws/client';
import {
  BOARD,
  type BoardSubscription,
  type BoardSubscriptionVariables,
  CONTRACTS,
  type ContractsQuery,
  GATEWAY,
  type GatewayQuery,
} from './operations.ts';

/** A contract as the board shows it. */
export type Contract = BoardSubscription['contractUpdates'];

/** A contract's place on the board: its latest state, and what was seen of its price. */
export interface Row {
  readonly key: string;
  contract: Contract;
  /** Whether the last price went up (1) or down (-1) with the last change, and how often it has changed. */
  direction: number;
  changes: number;
  /** Seconds since the epoch, and last prices as numbers: for drawing only. */
  readonly times: number[];
  readonly prices: number[];
}

/** How the board is connected to the gateway. */
export type Connection =
  | 'connecting'
  | 'connected'
  | 'reconnecting'
  | 'tokenNeeded'
  | 'tokenRefused';

const FORBIDDEN = 4403;
/** Contracts of one subscription. */
const CHUNK = 100;
const LOOK_INTERVAL_MS = 10_000;
const MOST_POINTS = 3_000;

/**
 * What the board knows, kept up to date by an ordinary client of the gateway. Changes are told once a
 * frame at most, row by row.
 */
export class Market {
  readonly rows = new Map<string, Row>();
  connection: Connection = 'connecting';
  status: GatewayQuery['status'] | undefined;
  readonly #url: string;
  readonly #wanted = new Set<string>();
  readonly #dirty = new Set<string>();
  readonly #rowListeners = new Map<string, Set<() => void>>();
  readonly #listeners = new Set<() => void>();
  #token: string | undefined;
  #client: Client | undefined;
  #frame = 0;
  #looking: ReturnType<typeof setInterval> | undefined;

  /** @param url of the gateway's WebSocket */
  constructor(url: string, token: string | undefined) {
    this.#url = url;
    this.#token = token;
  }

  /** Connects; with a token, where one is needed. */
  connect(token = this.#token): void {
    this.#token = token;
    this.#setConnection(this.rows.size > 0 ? 'reconnecting' : 'connecting');
    const last = this.#client;
    this.#client = undefined;
    if (last !== undefined) end(last);
    const wanted = [...this.#wanted];
    this.#wanted.clear();
    const client: Client = createClient({
      url: this.#url,
      lazy: false,
      retryAttempts: Number.POSITIVE_INFINITY,
      shouldRetry: (): boolean => client === this.#client,
      keepAlive: 10_000,
      connectionParams: () => (this.#token ? { authorization: `Bearer ${this.#token}` } : {}),
      onNonLazyError: () => {},
      on: {
        connected: () => {
          if (client !== this.#client) return;
          this.#setConnection('connected');
          void this.#look(client);
        },
        closed: (event) => {
          if (client !== this.#client) return;
          if ((event as CloseEvent).code === FORBIDDEN) this.#refused(client);
          else this.#setConnection('reconnecting');
        },
      },
    });
    this.#client = client;
    clearInterval(this.#looking);
    this.#looking = setInterval(() => void this.#look(client), LOOK_INTERVAL_MS);
    this.#subscribe(wanted);
  }

  /** Adds contracts to the board, by their keys. */
  add(keys: readonly string[]): void {
    this.#subscribe(keys.filter((key) => !this.#wanted.has(key)));
  }

  /** `changed` is called when the row has changed. @returns forgets it */
  watchRow(key: string, changed: () => void): () => void {
    const listeners = this.#rowListeners.get(key) ?? new Set();
    this.#rowListeners.set(key, listeners.add(changed));
    return () => listeners.delete(changed);
  }

  /** `changed` is called when rows come, or anything beside rows changes. @returns forgets it */
  watch(changed: () => void): () => void {
    this.#listeners.add(changed);
    return () => this.#listeners.delete(changed);
  }

  #refused(client: Client): void {
    const hadToken = this.#token !== undefined;
    this.#client = undefined;
    clearInterval(this.#looking);
    end(client);
    this.#setConnection(hadToken ? 'tokenRefused' : 'tokenNeeded');
  }

  /** Looks what else there is to see, and how the gateway is. */
  async #look(client: Client): Promise<void> {
    try {
      for await (const { data } of client.iterate<GatewayQuery>({ query: GATEWAY })) {
        if (data) this.status = data.status;
      }
      for await (const { data } of client.iterate<ContractsQuery>({ query: CONTRACTS })) {
        this.add((data?.contracts ?? []).flatMap((contract) => (contract ? [contract.id] : [])));
      }
      this.#tell();
    } catch {
      // The connection was lost meanwhile: the client tells that by itself.
    }
  }

  #subscribe(keys: readonly string[]): void {
    const client = this.#client;
    if (client === undefined) return;
    for (const key of keys) this.#wanted.add(key);
    for (let from = 0; from < keys.length; from += CHUNK) {
      const chunk = keys.slice(from, from + CHUNK);
      const of = (space: string) =>
        chunk.filter((key) => key.startsWith(space)).map((key) => key.slice(space.length));
      const [names, ids] = [of('name:'), of('id:')];
      client.subscribe<BoardSubscription, BoardSubscriptionVariables & Record<string, unknown>>(
        {
          query: BOARD,
          variables: { ...(names.length ? { names } : {}), ...(ids.length ? { ids } : {}) },
        },
        {
          next: ({ data }) => {
            if (data) this.#take(data.contractUpdates);
          },
          // One that ends may be asked for again, by the next look or by hand.
          error: () => this.#forget(client, chunk),
          complete: () => {},
        },
      );
    }
  }

  #forget(client: Client, keys: readonly string[]): void {
    if (client !== this.#client) return;
    for (const key of keys) this.#wanted.delete(key);
  }

  #take(contract: Contract): void {
    const key = contract.id;
    const last = contract.snapshot?.aggregate?.lastPrice;
    const row = this.rows.get(key);
    if (row === undefined) {
      const made: Row = { key, contract, direction: 0, changes: 0, times: [], prices: [] };
      this.rows.set(key, made);
      draw(made, last);
      this.#tell();
      return;
    }
    const before = row.contract.snapshot?.aggregate?.lastPrice;
    if (last && before && last !== before) {
      row.direction = Math.sign(Number(last) - Number(before));
      row.changes++;
    }
    row.contract = contract;
    draw(row, last);
    this.#dirty.add(key);
    this.#schedule();
  }

  #setConnection(connection: Connection): void {
    if (this.connection === connection) return;
    this.connection = connection;
    this.#tell();
  }

  #tell(): void {
    this.#dirty.add('');
    this.#schedule();
  }

  #schedule(): void {
    if (this.#frame !== 0) return;
    this.#frame = requestAnimationFrame(() => {
      this.#frame = 0;
      const dirty = [...this.#dirty];
      this.#dirty.clear();
      for (const key of dirty) {
        const listeners = key === '' ? this.#listeners : this.#rowListeners.get(key);
        for (const listener of listeners ?? []) listener();
      }
    });
  }
}

/** Ends a client for good, whatever its connection is doing. */
function end(client: Client): void {
  client.terminate();
  Promise.resolve(client.dispose()).catch(() => {});
}

function draw(row: Row, last: string | null | undefined): void {
  if (!last) return;
  row.times.push(Date.now() / 1000);
  row.prices.push(Number(last));
  if (row.times.length <= MOST_POINTS) return;
  row.times.splice(0, MOST_POINTS / 2);
  row.prices.splice(0, MOST_POINTS / 2);
}
