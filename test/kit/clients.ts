import { createClient as createSseClient } from 'graphql-sse';
import { type Client, type ClientOptions, createClient } from 'graphql-ws';
import { onTestFinished } from 'vitest';
import { WebSocket } from 'ws';
import type { Gateway } from '../../src/app/gateway.ts';

/** What a GraphQL request was answered with. */
export interface Answer<Data> {
  readonly status: number;
  readonly data?: Data;
  readonly errors?: readonly {
    readonly message: string;
    readonly path?: readonly (string | number)[];
    readonly extensions?: Readonly<Record<string, unknown>>;
  }[];
}

/** Asks a query over HTTP. */
export async function ask<Data = Record<string, unknown>>(
  gateway: Gateway,
  query: string,
  variables: Record<string, unknown> = {},
  headers: Record<string, string> = {},
): Promise<Answer<Data>> {
  const response = await fetch(`${gateway.url}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify({ query, variables }),
  });
  return { status: response.status, ...((await response.json()) as object) };
}

/** A graphql-ws client of this test's own; closed with the test. */
export function wsClient(gateway: Gateway, options: Partial<ClientOptions> = {}): Client {
  const client = createClient({
    url: `${gateway.url.replace('http', 'ws')}/graphql`,
    webSocketImpl: WebSocket,
    ...options,
  });
  onTestFinished(() => Promise.resolve(client.dispose()).catch(() => {}));
  return client;
}

/** A graphql-sse client of this test's own; closed with the test. */
export function sseClient(gateway: Gateway, headers: Record<string, string> = {}) {
  const client = createSseClient({
    headers,
    url: `${gateway.url}/graphql`,
    retryAttempts: 0,
  });
  onTestFinished(() => client.dispose());
  return client;
}

/** What can subscribe: the clients of graphql-ws and graphql-sse. */
interface Subscriber {
  subscribe<Data>(
    payload: { query: string; variables?: Record<string, unknown> },
    sink: {
      next(value: {
        data?: Data | null | undefined;
        errors?: readonly unknown[] | undefined;
      }): void;
      error(error: unknown): void;
      complete(): void;
    },
  ): () => void;
}

/** Keeps what a subscription delivers, for a test to wait for. */
export class Inbox<Data> {
  readonly values: Data[] = [];
  readonly errors: unknown[] = [];
  completed = false;
  readonly unsubscribe: () => void;
  #wake: () => void = () => {};

  constructor(client: Subscriber, query: string, variables: Record<string, unknown> = {}) {
    this.unsubscribe = client.subscribe<Data>(
      { query, variables },
      {
        next: ({ data, errors }) => {
          if (errors) this.errors.push(...errors);
          if (data) this.values.push(data);
          this.#wake();
        },
        error: (error) => {
          this.errors.push(...(Array.isArray(error) ? error : [error]));
          this.#wake();
        },
        complete: () => {
          this.completed = true;
          this.#wake();
        },
      },
    );
  }

  /** Waits until what has arrived satisfies `holds`. */
  async until(holds: (inbox: this) => boolean, what: string, withinMs = 20_000): Promise<void> {
    const deadline = performance.now() + withinMs;
    while (!holds(this)) {
      const leftMs = deadline - performance.now();
      if (leftMs <= 0) {
        const last = JSON.stringify({ last: this.values.at(-1), errors: this.errors });
        throw new Error(
          `waited ${withinMs} ms until ${what}; ${this.values.length} values, ${last}`,
        );
      }
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, leftMs);
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  }
}

/** The part of a contract that most tests select. */
export interface ContractUpdate {
  readonly contractUpdates: {
    readonly id: string;
    readonly status: string;
    readonly statusReason: string | null;
    readonly snapshot: {
      readonly sequence: string;
      readonly aggregate: { readonly lastPrice: string } | null;
    } | null;
  };
}

export const UPDATES = `subscription Updates($names: [String!], $ids: [ID!], $initial: Boolean! = true) {
  contractUpdates(names: $names, ids: $ids, initial: $initial) {
    id
    status
    statusReason
    snapshot { sequence aggregate { lastPrice } }
  }
}`;

/** The last prices that an inbox of {@link UPDATES} has got, in order. */
export function pricesOf(inbox: Inbox<ContractUpdate>, id?: string): string[] {
  return inbox.values.flatMap(({ contractUpdates: { id: from, snapshot } }) =>
    (id === undefined || from === id) && snapshot?.aggregate ? [snapshot.aggregate.lastPrice] : [],
  );
}
