import type { Client } from 'graphql-ws';

/**
 * A graphql-ws client whose subscriptions resume: when it connects again, each of them says by `$since` what
 * it has. The documents declare `$since: Cursor`, hand it on as `since: $since`, and select `cursor`.
 */
export function resuming(client: Client): Client {
  return {
    ...client,
    subscribe: (payload, sink) => {
      // graphql-ws sends the same object again: what stands in it by then.
      const variables: Record<string, unknown> = { ...payload.variables };
      return client.subscribe<Record<string, unknown>, unknown>(
        { ...payload, variables },
        {
          ...sink,
          next: (result) => {
            const told = Object.values(result.data ?? {})[0] as { cursor?: string } | undefined;
            // A bundle's last contract has its largest cursor.
            const last = Array.isArray(told) ? told.at(-1) : told;
            if (last?.cursor !== undefined) variables['since'] = last.cursor;
            sink.next(result as never);
          },
        },
      );
    },
  };
}
