import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { extname } from 'node:path';
import { Page } from './page.ts';

const TYPES: Readonly<Record<string, string>> = {
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.ico': 'image/x-icon',
  '.woff2': 'font/woff2',
};

/** Where `npm run build` puts what browsers get, seen from the sources and from what is built alike. */
export const BUILT = new URL('../../dist/', import.meta.url);

/**
 * The files of a folder of {@link BUILT} by the paths that they are served at. What the build has compressed
 * is served compressed.
 *
 * @returns `undefined` where `npm run build` has not made it yet
 */
export function builtFiles(folder: string): ReadonlyMap<string, Page> | undefined {
  const at = new URL(`${folder}/`, BUILT);
  if (!existsSync(at)) return undefined;
  const pages = new Map<string, Page>();
  for (const name of readdirSync(at)) {
    const type = TYPES[extname(name)];
    if (type === undefined) continue;
    const read = (ending: string) => {
      const file = new URL(`${name}${ending}`, at);
      return existsSync(file) ? readFileSync(file) : undefined;
    };
    const identity = readFileSync(new URL(name, at));
    const bodies = { identity, br: read('.br'), gzip: read('.gz') };
    pages.set(`/${folder}/${name}`, new Page(bodies, type));
  }
  return pages.size === 0 ? undefined : pages;
}
