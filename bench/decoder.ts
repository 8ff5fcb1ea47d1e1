/** Times how long builds of the gateway take to decode IME's frames, and `JSON.parse` to read them. */

import { contractKey } from '../src/contract/key.ts';
import type * as Decode from '../src/ime/protocol/decode.ts';
import { encodeMessage, type NumberStyle } from '../src/ime/protocol/encode.ts';
import { SimulatedMarket } from '../src/simulator/market.ts';

const FRAMES = 4_000;
const ROUNDS = 60;
/** The first rounds are not counted: what is timed becomes warm in them. */
const UNCOUNTED_ROUNDS = 20;

/** Frames of the simulated market, a millisecond apart. */
function framesOf(numbers: NumberStyle): Buffer[] {
  const market = new SimulatedMarket(1);
  return Array.from({ length: FRAMES }, (_, at) => {
    const second = String(10 + Math.floor(at / 1_000));
    const time = `2026-05-23T15:10:${second}.${String(at % 1_000).padStart(3, '0')}000`;
    const place = market.step();
    const key = contractKey('name', market.contracts[place]?.name ?? '');
    return Buffer.from(encodeMessage(key, 'name', time, market.state(place, time), numbers));
  });
}

const frames = [...framesOf('plain'), ...framesOf('python')];
const texts = frames.map((frame) => frame.toString());

function parseAll(): number {
  let read = 0;
  for (const text of texts) if ((JSON.parse(text) as { data?: object }).data) read++;
  return read;
}

/** @param folder of a build, with its `dist` */
async function decodeAll(folder: string): Promise<() => number> {
  const { decodeMessage } = (await import(
    `${folder}/dist/ime/protocol/decode.js`
  )) as typeof Decode;
  return () => {
    let read = 0;
    for (const frame of frames) {
      const decoded = decodeMessage(frame, false, 'name', 0);
      if (decoded.ok && decoded.missingFields === 0) read++;
    }
    return read;
  };
}

/** The builds' folders follow the script's name; the answer has their times in that order, then `JSON.parse`'s. */
const timed = [...(await Promise.all(process.argv.slice(2).map(decodeAll))), parseAll];
const spentUs = timed.map((): number[] => []);
for (let round = 0; round < ROUNDS; round++) {
  for (const [place, readAll] of timed.entries()) {
    const startedAtMs = performance.now();
    const read = readAll();
    const us = ((performance.now() - startedAtMs) * 1_000) / frames.length;
    if (read !== frames.length) throw new Error(`read ${read} of ${frames.length} frames`);
    if (round >= UNCOUNTED_ROUNDS) spentUs[place]?.push(us);
  }
}
process.send?.(spentUs.map((all) => all.sort((a, b) => a - b)[all.length >> 1]));
process.disconnect();
