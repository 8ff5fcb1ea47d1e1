import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { contractKey, type KeySpace } from '../src/contract/key.ts';
import { encodeMessage, type NumberStyle } from '../src/ime/protocol/encode.ts';
import type { FrameReading } from '../src/ime/protocol/frame-reading.ts';
import { readLossless } from '../src/ime/protocol/lossless.ts';
import { readInOnePass } from '../src/ime/protocol/one-pass.ts';
import { SimulatedMarket } from '../src/simulator/market.ts';

const TIMESTAMP = '2026-05-23T15:10:00.000000';
const space = fc.constantFrom<KeySpace>('name', 'id');

/** Frames as the simulator sends them. */
function simulated(of: KeySpace, numbers: NumberStyle, seed: number): string[] {
  const market = new SimulatedMarket(seed);
  return Array.from({ length: 50 }, () => {
    const place = market.step();
    const { name = '', id = '' } = market.contracts[place] ?? {};
    const key = contractKey(of, of === 'id' ? id : name);
    return encodeMessage(key, of, TIMESTAMP, market.state(place, TIMESTAMP), numbers);
  });
}

/** As Python's `json.dumps` writes it: a space behind commas and colons, no letter beyond ASCII. */
function asPython(frame: string): string {
  return frame
    .replace(/"[^"]*"|[,:]/g, (token) => (token.startsWith('"') ? token : `${token} `))
    .replace(/[^ -~]/g, (letter) => `\\u${letter.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

/** The same with the members of each object in the opposite order, indented, and its numbers in quotes. */
function backwards(frame: string): string {
  const turned = (_key: string, value: unknown) =>
    typeof value === 'object' && value !== null
      ? Object.fromEntries(Object.entries(value).reverse())
      : typeof value === 'number'
        ? String(value)
        : value;
  return JSON.stringify(JSON.parse(frame), turned, 4);
}

/** Both readings, to be the same, order of the fields included; whether the text was read in one pass. */
function isReadAlike(text: string, of: KeySpace): boolean {
  const reading = readInOnePass(text, of);
  if (reading === undefined) return false;
  expect(JSON.stringify(reading)).toBe(JSON.stringify(readLossless(text, of)));
  return true;
}

const number = fc.oneof(
  fc.integer().map(String),
  fc.bigInt({ min: -(10n ** 40n), max: 10n ** 40n }).map(String),
  fc.stringMatching(/^-?(0|[1-9]\d{0,20})(\.\d{1,20})?([eE][+-]?\d{1,4})?$/),
  fc.constantFrom('0', '-0', '-0.0', '1000.0', '1.5e3', '1e999', '2.5', '12100.0', '100E-2'),
);
const text = fc.oneof(
  fc.string({ unit: 'binary' }).map((value) => JSON.stringify(value)),
  number.map((literal) => `"${literal}"`),
  fc.constantFrom('""', '"\\u0041\\n\\/"', '"\\ud800"', '"}\\"{"', '"\u2028\u007f"', '"قیمت"'),
);
const oddity = fc.constantFrom(
  ...['null', 'true', 'false', 'NaN', 'Infinity', '-Infinity', '[]', '{}', '[ 1 , {"a":[]} ]'],
  ...['nul', 'NaNNaN', '-NaN', '01', '1.', '.5', '+1', '-', '1e', '"', '"\\x"', '"\\u12"', '"\n"'],
  ...['[1,]', '[,1]', '{"a":1,}', '{,}', '{a:1}', '[1 2]', '\u00a01', '', `${'['.repeat(40)}1`],
  ...[`${'['.repeat(40)}${']'.repeat(40)}`, '{"a":'.repeat(20) + 1 + '}'.repeat(20)],
);
const value = fc.oneof(
  { weight: 6, arbitrary: number },
  { weight: 3, arbitrary: text },
  { weight: 2, arbitrary: oddity },
  fc.json(),
);
const blank = fc.constantFrom(...['', '', '', ' ', '\n', '\t\r '], '\u00a0', '\u000b');

/** An object with some of `keys`, in their order or another, some of them twice, and others. */
function object(keys: readonly string[], member: fc.Arbitrary<string>): fc.Arbitrary<string> {
  const key = fc.oneof(
    { weight: 12, arbitrary: fc.constantFrom(...keys) },
    fc.constantFrom('__proto__', 'constructor', 'x', '', keys[0]?.slice(1) ?? '', `${keys[0]} `),
  );
  const written = fc.oneof(
    { weight: 20, arbitrary: key.map((name) => JSON.stringify(name)) },
    key.map((name) => `"\\u${name.charCodeAt(0).toString(16).padStart(4, '0')}${name.slice(1)}"`),
  );
  const inOrder = fc.subarray([...keys]).map((some) => some.map((name) => JSON.stringify(name)));
  return fc
    .oneof({ weight: 3, arbitrary: inOrder }, fc.array(written, { maxLength: keys.length + 2 }))
    .chain((names) =>
      fc.tuple(fc.constant(names), fc.array(fc.tuple(member, blank), rows(names.length)), blank),
    )
    .map(([names, members, end]) => {
      const entries = members.map(([its, space], at) => `${space}${names[at]}${space}:${its}`);
      return `{${entries.join(`${end},`)}${end}}`;
    });
}

function rows(length: number): fc.ArrayConstraints {
  return { minLength: length, maxLength: length };
}

const FIELDS = ['buy_quantity', 'buy_price', 'sell_quantity', 'sell_price', 'buy_order_count'];
const AGGREGATE = ['date', 'time', 'trade_count', 'total_volume', 'total_value', 'last_price'];
const INFO = ['open_interest', 'open_interest_changes', 'initial_margin', 'minAllowedPrice'];
const sometimes = (section: fc.Arbitrary<string>) =>
  fc.oneof({ weight: 9, arbitrary: section }, value);
const levels = object(
  ['1', '2', '3', '10', '999', '0', '01', '1000'],
  sometimes(object(FIELDS, value)),
);
const section = fc.oneof(object(AGGREGATE, value), object(INFO, value), levels);
const data = object(
  ['BestLimit', 'Aggregate', 'AllowedPriceRange', 'ContractInfo'],
  sometimes(section),
);
const top = fc.oneof({ weight: 5, arbitrary: data }, { weight: 2, arbitrary: text }, value);
const oddFrame = object(['channel', 'contractName', 'ContractId', 'timestamp', 'data'], top);

describe('reading in one pass', () => {
  test('takes all that the simulator sends, and what others would make of it', () => {
    for (const of of ['name', 'id'] as const) {
      for (const frame of [...simulated(of, 'plain', 1), ...simulated(of, 'python', 2)]) {
        const others = [asPython(frame), frame.replaceAll(':0,', ':NaN,'), backwards(frame)];
        for (const written of [frame, ...others]) {
          expect(isReadAlike(written, of), written).toBe(true);
        }
      }
    }
  });

  test('reads whatever it reads as the library does', () => {
    let read = 0;
    fc.assert(
      fc.property(oddFrame, space, (frame, of) => {
        if (isReadAlike(frame, of)) read++;
      }),
      { numRuns: 3_000 },
    );
    expect(read).toBeGreaterThan(300);
  });

  test('reads what was damaged anywhere as the library does', () => {
    const frames = [
      ...simulated('name', 'plain', 3),
      ...simulated('name', 'python', 4).map(asPython),
    ];
    const damage = fc.constantFrom(
      ...'{}[]:,"\\ \n\x019-.eENtnI/u',
      '',
      '""',
      '{"',
      '"1"',
      'é',
      '\ud800',
    );
    let read = 0;
    fc.assert(
      fc.property(
        fc.constantFrom(...frames),
        fc.array(fc.tuple(fc.nat(1_000), fc.nat(3), damage), { minLength: 1, maxLength: 3 }),
        (frame, damages) => {
          let damaged = frame;
          for (const [at, cut, put] of damages) {
            damaged = damaged.slice(0, at) + put + damaged.slice(at + cut);
          }
          if (isReadAlike(damaged, 'name')) read++;
        },
      ),
      { numRuns: 3_000 },
    );
    expect(read).toBeGreaterThan(300);
  });

  test.each([
    ['{"contractName":"A","contractName":"B"}', { contract: 'B' }],
    ['{"contract\\u004eame":"A"}', { contract: 'A' }],
    [`{"contractName":"A","x":${'['.repeat(40)}${']'.repeat(40)}}`, { contract: 'A' }],
    ['{"data":{"Aggregate":{},"Aggregate":null,"ContractInfo":{}}}', { missingFields: 2 }],
    [
      '{"data":{"BestLimit":{"2":{},"1":{}}}}',
      { state: { bestLimits: [{ level: 1 }, { level: 2 }] } },
    ],
    ['[]', 'shape'],
    ['{"contractName":"A"', 'json'],
  ] as const)('leaves %s to the library', (frame, expected) => {
    expect(readInOnePass(frame, 'name')).toBeUndefined();
    const reading: FrameReading | string = readLossless(frame, 'name');
    if (typeof expected === 'string') expect(reading).toBe(expected);
    else expect(reading).toMatchObject(expected);
  });
});
