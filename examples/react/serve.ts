/** Builds the watchlist and serves it at http://127.0.0.1:4001 (`PORT`). */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const { outputFiles } = await build({
  entryPoints: [fileURLToPath(new URL('main.tsx', import.meta.url))],
  bundle: true,
  write: false,
  format: 'esm',
  jsx: 'automatic',
  define: { 'process.env.NODE_ENV': '"production"' },
});
const script = outputFiles[0]?.text ?? '';
const page =
  '<!doctype html><meta charset="utf-8"><title>Watchlist</title><div id="watchlist"></div><script type="module" src="/main.js"></script>';
const server = createServer((request, response) => {
  const isScript = request.url === '/main.js';
  response.setHeader('content-type', isScript ? 'text/javascript' : 'text/html');
  response.end(isScript ? script : page);
});
server.listen(Number(process.env['PORT'] ?? 4001), '127.0.0.1', () => {
  const { port } = server.address() as AddressInfo;
  process.stdout.write(`http://127.0.0.1:${port}\n`);
});
