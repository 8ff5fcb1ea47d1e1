import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

/** Tests that keep the cores busy: browsers, a thousand clients, thousands of attacks. */
const BUSY = ['board', 'clients', 'examples', 'fuzz', 'graphiql', 'operation'].map(
  (name) => `test/${name}.test.ts`,
);

const resolve = {
  // Otherwise Vite takes graphql's ESM build while Node's own loader takes the CommonJS one.
  alias: { graphql: fileURLToPath(new URL('node_modules/graphql/index.js', import.meta.url)) },
};
const timeouts = { testTimeout: 30_000, hookTimeout: 30_000 };

export default defineConfig({
  test: {
    projects: [
      {
        resolve,
        test: {
          name: 'waiting',
          include: ['test/**/*.test.ts'],
          exclude: BUSY,
          ...timeouts,
          // Most tests wait for sockets and timers, so more of them than cores can run at once.
          maxWorkers: 4,
          sequence: { groupOrder: 0 },
        },
      },
      {
        resolve,
        test: {
          name: 'busy',
          include: BUSY,
          ...timeouts,
          maxWorkers: 2,
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
});
