import { readable } from './setting-kinds.ts';

function readWebUrl(given: string): URL {
  const url = new URL(given);
  if (!['http:', 'https:'].includes(url.protocol)) throw new TypeError(given);
  return url;
}

/** Where something is that is asked for over HTTP. */
export const webUrl = readable(readWebUrl, 'an http or https URL');
