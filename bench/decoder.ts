/** Times how long builds of the gateway take to decode IME's frames, and `JSON.parse` to read them. */

import { contractKey } from '../src/contract/key.ts';
import type * as Decode from '../src/ime/protocol/decode.ts';
import { encodeMessage, type NumberStyle } from '../src/ime/protocol/encode.ts';
import { SimulatedMarket } from '../src/simulator/market.ts';

const FRAMES = 4_000;
/** Few enough that most blocks are read without the scheduler giving the core to somebody else. */
const BLOCK = 200;
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

/** Reads the frames of one block. @returns how many could be read */
type ReadBlock = (from: number, to: number) => number;

function parse(from: number, to: number): number {
  let read = 0;
  for (let at = from; at < to; at++) {
    if ((JSON.parse(texts[at] ?? '') as { data?: object }).data) read++;
  }
  return read;
}

/** @param folder of a build, with its `dist` */
async function decoderOf(folder: string): Promise<ReadBlock> {
  const { decodeMessage } = (await import(
    `${folder}/dist/ime/protocol/decode.js`
  )) as typeof Decode;
  return (from, to) => {
    let read = 0;
    for (let at = from; at < to; at++) {
      const decoded = decodeMessage(frames[at] as Buffer, false, 'name', 0);
      if (decoded.ok && decoded.missingFields === 0) read++;
    }
    return read;
  };
}

/** The builds' folders follow the script's name; the answer has their times in that order, then `JSON.parse`'s. */
const timed = [...(await Promise.all(process.argv.slice(2).map(decoderOf))), parse];
const spentUs = timed.map((): number[] => []);
for (let round = 0; round < ROUNDS; round++) {
  for (let from = 0; from < frames.length; from += BLOCK) {
    for (const [place, read] of timed.entries()) {
      const startedAtMs = performance.now();
      const count = read(from, from + BLOCK);
      const us = ((performance.now() - startedAtMs) * 1_000) / BLOCK;
      if (count !== BLOCK) throw new Error(`read ${count} of ${BLOCK} frames`);
      if (round >= UNCOUNTED_ROUNDS) spentUs[place]?.push(us);
    }
  }
}
process.send?.(spentUs.map((all) => all.sort((a, b) => a - b)[all.length >> 1]));
process.disconnect();
