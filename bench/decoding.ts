import { fork } from 'node:child_process';
import { resolve as absolute } from 'node:path';
import { fileURLToPath } from 'node:url';
import { previous } from './options.ts';
import { outcomeOf, type Row } from './row.ts';
import { usedNode } from './servers.ts';

const PARSE = 'JSON.parse, of the text';
/** The builds that decode, by name. */
const folders = new Map([['gateway', fileURLToPath(new URL('..', import.meta.url))]]);
if (previous !== undefined) folders.set('previous', absolute(previous));
const names = [...folders.keys(), PARSE];

/** A frame's way from bytes to a snapshot, in a process that does nothing else. */
export const DECODING: Row = {
  title: 'Decoding a frame of IME, one by one, warm',
  unit: 'µs',
  subjects: names.map((name) => ({ name, isBaseline: name !== 'gateway' })),
  measure: async (report) => {
    const medians = await outcomeOf(decoderMedians());
    for (const [place, name] of names.entries()) {
      if (medians instanceof Error) report(name, medians);
      else report(name, { value: medians[place] ?? Number.NaN });
    }
  },
};

/** Median times in microseconds, in the order of {@link names}. */
function decoderMedians(): Promise<number[]> {
  const script = fileURLToPath(new URL('decoder.ts', import.meta.url));
  const child = fork(script, [...folders.values()], {
    execPath: usedNode(),
    execArgv: ['--import', 'tsx'],
  });
  return new Promise((resolve, reject) => {
    child.once('message', (message) => resolve(message as number[]));
    child.once('error', reject);
    child.once('exit', (code) => reject(new Error(`the decoder ended with ${code}`)));
  });
}
