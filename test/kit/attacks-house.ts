import { writeFileSync } from 'node:fs';
import { LocalTimeZone } from '../../src/contract/local-time.ts';
import { encodeMessage } from '../../src/ime/protocol/encode.ts';
import type { SeededRandom } from '../../src/simulator/random.ts';
import type { Attack, Traffic } from './attack.ts';
import { type AttackGround, fullState } from './attack-ground.ts';

const ZONE = new LocalTimeZone('Asia/Tehran');
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
const NOTHING: Traffic = { messages: 1, bytesIn: 0, bytesOut: 0 };

/** The token that IME wants. */
export const GOOD_TOKEN = 'good';

/** @throws where the gateway computes all the time, although nothing happens */
async function doesNotSpin(ground: AttackGround, ms: number): Promise<void> {
  await ground.quietly(async () => {
    const before = await ground.gateway.usage();
    const atMs = performance.now();
    await pause(ms);
    const core = ((await ground.gateway.usage()).cpuMs - before.cpuMs) / (performance.now() - atMs);
    if (core > 0.4) throw new Error(`it takes ${core.toFixed(2)} of a core to do nothing`);
  });
}

/** @throws where the witness is not told what is published from now on */
async function isServed(ground: AttackGround, withinMs: number): Promise<void> {
  ground.forgive();
  await ground.until(
    'the witness is told something',
    async () => ground.witness.prices.length > 0,
    withinMs,
  );
}

/** A frame as IME sends it, with something in it that a parser may not expect. */
/** Places of those of the odd frames that cannot be read as what they were. */
const SAYS_NOTHING = [7, 9, 13, 15, 16];

function oddFrame(
  random: SeededRandom,
  name: string,
  price: number,
): { readonly text: string; readonly isTaken: boolean } {
  const text = encodeMessage(`name:${name}`, 'name', ZONE.toLocal(Date.now()), fullState(price));
  const odd: readonly ((text: string) => string)[] = [
    (one) => one.replace('"1240000"', 'NaN').replace('1240000', 'NaN'),
    (one) => one.replace('1240000', '-Infinity'),
    (one) => one.replace('1240000', '"1240000"'),
    (one) => one.replace('1240000', `1${'0'.repeat(random.integer(1, 5_000))}`),
    (one) => one.replace('1240000', `1e${random.integer(1, 99_999)}`),
    (one) => one.replace(/"timestamp":"([^"]*)"/, `"timestamp":"${new Date().toISOString()}"`),
    (one) => one.replace(/"timestamp":"([^"]*)"/, '"timestamp":"$1+03:30"'),
    (one) => one.replace(/"timestamp":"([^"]*)"/, '"timestamp":12'),
    (one) => one.replace('"data":', `"data":{"Aggregate":null},"data":`),
    (one) => one.replace('"channel":', `"contractName":"other","channel":`),
    (one) => one.replace('"data":{', `"data":{"More":${'['.repeat(3_000)}${']'.repeat(3_000)},`),
    (one) => one.replace('"data":{', `"data":{"More":"${'x'.repeat(random.integer(1, 900_000))}",`),
    (one) => one.replace('"data":{', '"data":{"__proto__":{"Aggregate":1},"constructor":7,'),
    (one) => one.replace('"Aggregate":{', '"Aggregate":[{').replace('},"Allowed', '}],"Allowed'),
    (one) => one.replace('"BestLimit":{', '"BestLimit":{"x":{},"-1":null,"1e3":[],'),
    (one) => one.replace(`"${name}"`, '7'),
    (one) => one.slice(0, random.integer(0, one.length)),
    (one) => `\ufeff${one}`,
  ];
  const at = random.integer(0, odd.length - 1);
  // One that names no contract, or whose time or section cannot be known, says nothing.
  const isTaken = !SAYS_NOTHING.includes(at);
  return { text: (odd[at] as (text: string) => string)(text), isTaken };
}

/** What IME, the machine and its operator may do to a gateway, with {@link GOOD_TOKEN} in `tokenFile`. */
export function houseFaults(tokenFile: string, imePort: () => number): readonly Attack[] {
  return [
    {
      name: 'frames that are valid and odd',
      async run(ground, random, ms) {
        const endsAtMs = performance.now() + ms;
        let bytesIn = 0;
        let messages = 0;
        for (let price = 1_000; performance.now() < endsAtMs; price++) {
          const name = `c${random.integer(0, 99)}`;
          const { text, isTaken } = oddFrame(random, name, price);
          bytesIn += text.length;
          messages++;
          ground.exchange.broadcast(text);
          // What comes behind it on the same connections has been read after it.
          const before = ground.witness.prices.length;
          ground.publishWitnessed();
          await ground.until('it is read', async () => ground.witness.prices.length > before);
          const isCut = !text.endsWith('}');
          if (isCut) continue;
          const state = await ground.ask(
            `{contract(name:"${name}"){status snapshot{aggregate{lastPrice}}}}`,
          );
          const isThere = state.includes(`"${price}"`);
          // A time that cannot be read is said of its contract.
          const isSaid = !text.includes('"timestamp":12') || !state.includes('"LIVE"');
          if ((isTaken && !isThere) || !isSaid)
            throw new Error(`${text.slice(0, 900)} is answered by ${state}`);
        }
        return { messages, bytesIn, bytesOut: 0 };
      },
    },
    {
      name: 'frames of 10 MB after good ones',
      async run(ground, _random, ms) {
        const before = ground.exchange.dials;
        const carriers = ground.exchange.subscriptions.length;
        const frame = Buffer.alloc(10_000_000, 0x20).toString();
        const spanMs = ms < 10_000 ? 6_000 : 8_000;
        const endsAtMs = performance.now() + spanMs;
        while (performance.now() < endsAtMs) {
          ground.publishWitnessed();
          ground.publish('c1', 1);
          ground.exchange.broadcast(frame);
          await pause(100);
        }
        ground.forgive();
        const dials = (ground.exchange.dials - before) / Math.max(1, carriers);
        // At most 9 in 8 s; most of them come first.
        if (dials > 9)
          throw new Error(`${dials} dials of each connection in ${spanMs} ms, at most 9`);
        await ground.until(
          'all is carried again',
          async () =>
            new Set(ground.exchange.subscriptions.flatMap((keys) => [...keys])).size > 100,
          40_000,
        );
        await isServed(ground, 10_000);
        return { messages: 60, bytesIn: 0, bytesOut: 0 };
      },
    },
    {
      name: 'rubbish in the token file',
      async run(ground) {
        const rubbish = ['', '\n', 'a\nb', 'a\u0000b', 'توکن', '😀', 'x'.repeat(2_000_000), ' '];
        for (const [at, text] of rubbish.entries()) {
          writeFileSync(tokenFile, text);
          await ground.gateway.reload();
          // A newcomer is dialed for meanwhile, with the old token still.
          void ground.ask(`{contract(name:"newcomer${at}",waitMs:300){status}}`).catch(() => {});
          await pause(400);
        }
        writeFileSync(tokenFile, `${GOOD_TOKEN}\n`);
        await ground.gateway.reload();
        await isServed(ground, 5_000);
        const { faults } = await ground.gateway.usage();
        const told = faults.filter((line) => /token/i.test(line));
        ground.expectFaults(told);
        return NOTHING;
      },
    },
    {
      name: 'a clock that is set',
      async run(ground) {
        const socket = await ground.webSocket();
        for (const aheadMs of [-HOUR_MS, -30 * DAY_MS, 30 * DAY_MS, HOUR_MS, 0]) {
          const name = `quiet${aheadMs}`;
          // It is asked of IME before the clock is set, and waited for afterwards.
          const query = `subscription{contractUpdates(names:["${name}"]){id}}`;
          socket.send(JSON.stringify({ id: name, type: 'subscribe', payload: { query } }));
          await pause(50);
          await ground.gateway.setClock(aheadMs);
          const askedMs = performance.now();
          await Promise.race([
            ground.ask(`{contract(name:"${name}",waitMs:300){status}}`),
            pause(4_000),
          ]);
          const tookMs = performance.now() - askedMs;
          if (tookMs > 3_000) throw new Error(`a wait of 300 ms took ${tookMs} ms`);
          await doesNotSpin(ground, 300);
          await isServed(ground, 5_000);
        }
        return NOTHING;
      },
    },
    {
      name: 'IME down during a search',
      async run(ground, _random, ms) {
        const names = Array.from({ length: 40 }, (_, at) => `unknown${at}`);
        void ground
          .ask(`{contracts(names:${JSON.stringify(names)},waitMs:10000){id}}`)
          .catch(() => {});
        await pause(500);
        const port = imePort();
        await ground.exchange.close();
        await pause(2_500);
        await doesNotSpin(ground, 500);
        await ground.exchange.listen(port);
        const backMs = performance.now();
        await ground.until(
          'its contracts are carried',
          async () => {
            ground.publishWitnessed();
            const carried = ground.exchange.subscriptions.flatMap((keys) => [...keys]);
            return carried.includes('name:A');
          },
          20_000,
        );
        await isServed(ground, 5_000);
        const seconds = (performance.now() - backMs) / 1_000;
        // A machine that does other things is given twice the time.
        if (seconds > (ms < 10_000 ? 12 : 5))
          throw new Error(`data comes ${seconds.toFixed(1)} s after IME is back, at most 5`);
        return NOTHING;
      },
    },
    {
      name: 'a Retry-After of a month',
      leavesNothingWhole: true,
      async run(ground) {
        ground.exchange.faults.answer = { status: 429, headers: { 'retry-after': '2592000' } };
        ground.exchange.drop();
        const before = ground.exchange.dials;
        await pause(1_500);
        await doesNotSpin(ground, 1_000);
        ground.exchange.faults.answer = undefined;
        const dials = ground.exchange.dials - before;
        if (dials > 8) throw new Error(`${dials} dials of who is told to stay away`);
        return NOTHING;
      },
    },
  ];
}
