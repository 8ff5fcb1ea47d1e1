import { builtFiles } from './built-files.ts';
import { Page } from './page.ts';

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
  const files = builtFiles('board');
  if (files === undefined) return undefined;
  const html = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>IME market board</title>
<link rel="icon" href="${ICON}">
<link rel="stylesheet" href="/board/board.css">
<script type="module" src="/board/board.js"></script>
</head>
<body>
<div id="board"></div>
<noscript>The board needs JavaScript.</noscript>
</body>
</html>
`;
  const page = new Page({ identity: Buffer.from(html) }, 'text/html; charset=utf-8', {
    policy: POLICY,
  });
  return new Map([...files, ['/', page]]);
}
