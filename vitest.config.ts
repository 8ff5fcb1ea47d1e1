import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

export default defineConfig({
  resolve: {
    // Otherwise Vite takes graphql's ESM build while Node's own loader takes the CommonJS one.
    alias: { graphql: fileURLToPath(new URL('node_modules/graphql/index.js', import.meta.url)) },
  },
  test: {
    include: ['test/**/*.test.ts'],
    testTimeout: 30_000,
    hookTimeout: 30_000,
    // Most tests wait for sockets and timers, so more of them than cores can run at once.
    maxWorkers: 4,
  },
});
