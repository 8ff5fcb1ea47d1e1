import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { extname } from 'node:path';
import { Page } from './page.ts';

/** Where `npm run build` puts the board, seen from the sources and from what is built alike. */
const FOLDER = new URL('../../dist/board/', import.meta.url);
const PREFIX = '/board/';

const TYPES: Readonly<Record<string, string>> = {
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.woff2': 'font/woff2',
};

const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "font-src 'self'",
  "img-src 'self' data:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

const ICON = `data:image/svg+xml,${encodeURIComponent(
  '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16"><rect width="16" height="16" rx="3" fill="#1d5fd1"/><path d="M3 11l3-4 3 2 4-5" stroke="#fff" stroke-width="2" fill="none"/></svg>',
)}`;

/**
 * The market board's files by the paths that they are served at; the page itself is at `/`.
 *
 * @returns `undefined` where the board is not built
 */
export function boardPages(): ReadonlyMap<string, Page> | undefined {
  if (!existsSync(new URL('board.js', FOLDER))) return undefined;
  const pages = new Map<string, Page>();
  for (const name of readdirSync(FOLDER)) {
    const type = TYPES[extname(name)];
    if (type !== undefined) {
      pages.set(`${PREFIX}${name}`, new Page(readFileSync(new URL(name, FOLDER)), type));
    }
  }
  const html = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>IME market board</title>
<link rel="icon" href="${ICON}">
<link rel="stylesheet" href="${PREFIX}board.css">
<script type="module" src="${PREFIX}board.js"></script>
</head>
<body>
<div id="board"></div>
<noscript>The board needs JavaScript.</noscript>
</body>
</html>
`;
  pages.set('/', new Page(Buffer.from(html), 'text/html; charset=utf-8', POLICY));
  return pages;
}
