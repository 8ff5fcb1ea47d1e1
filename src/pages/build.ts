/**
 * `npm run build:pages`: writes GraphiQL's files to `dist/graphiql`, and beside every file that browsers get
 * its compressed forms. Compressing them takes seconds of a core, which no client should wait for.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { promisify } from 'node:util';
import { brotliCompress, constants, gzip } from 'node:zlib';
import * as graphiql from '@graphql-yoga/render-graphiql/graphiql';
import { BUILT } from './built-files.ts';
import { graphiqlFiles } from './graphiql-page.ts';

const COMPRESSIBLE = /\.(js|css|ico)$/;

mkdirSync(new URL('graphiql/', BUILT), { recursive: true });
for (const [file, text] of Object.entries(graphiqlFiles(graphiql))) {
  const at = new URL(`graphiql/${file}`, BUILT);
  if (!existsSync(at) || readFileSync(at, 'utf8') !== text) writeFileSync(at, text);
}
await Promise.all(['graphiql/', 'board/'].flatMap((folder) => compressed(new URL(folder, BUILT))));

/** Compresses what has changed since it was compressed. */
function compressed(folder: URL): Promise<void>[] {
  const files = existsSync(folder) ? readdirSync(folder) : [];
  return files
    .filter((name) => COMPRESSIBLE.test(name))
    .map(async (name) => {
      const file = new URL(name, folder);
      const [br, gz] = [new URL(`${name}.br`, folder), new URL(`${name}.gz`, folder)];
      const isNewer = (made: URL) =>
        existsSync(made) && statSync(made).mtimeMs >= statSync(file).mtimeMs;
      if (isNewer(br) && isNewer(gz)) return;
      const body = readFileSync(file);
      const params = {
        [constants.BROTLI_PARAM_QUALITY]: constants.BROTLI_MAX_QUALITY,
        [constants.BROTLI_PARAM_LGWIN]: constants.BROTLI_MAX_WINDOW_BITS,
        [constants.BROTLI_PARAM_SIZE_HINT]: body.length,
      };
      writeFileSync(br, await promisify(brotliCompress)(body, { params }));
      writeFileSync(gz, await promisify(gzip)(body, { level: 9 }));
    });
}
