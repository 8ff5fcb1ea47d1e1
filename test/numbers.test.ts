import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { LocalTimeZone } from '../src/contract/local-time.ts';
import { decodeMessage } from '../src/ime/protocol/decode.ts';
import {
  AGGREGATE,
  ALLOWED_PRICE_RANGE,
  BEST_LIMIT,
  CONTRACT_INFO,
  OPTIONAL_FIELDS,
} from '../src/ime/protocol/fields.ts';
import { decimalDigits, wholeDigits } from '../src/ime/protocol/numbers.ts';

describe('a whole number', () => {
  test.each([
    ['1000.0', '1000'],
    ['1.5e3', '1500'],
    ['1e+16', '10000000000000000'],
    ['-0.0', '0'],
    ['100e-2', '1'],
    ['-12.000', '-12'],
    ['0e999999999', '0'],
  ])('written %s is %s', (literal, digits) => expect(wholeDigits(literal)).toBe(digits));

  test.each(['2.5', '1e-1', '1e999999999', '1e-999999999', '.5', '01', '+1', 'NaN', '', ' 1'])(
    'is not %j',
    (literal) => expect(wholeDigits(literal)).toBeNull(),
  );

  test('keeps its value, wherever the point and the exponent stand', () => {
    const places = fc.integer({ min: 0, max: 30 });
    fc.assert(
      fc.property(fc.bigInt({ min: -(10n ** 40n), max: 10n ** 40n }), places, (value, zeros) => {
        const digits = String(value);
        expect(wholeDigits(`${digits}.${'0'.repeat(zeros + 1)}`)).toBe(digits);
        const shifted = value === 0n ? digits : digits + '0'.repeat(zeros);
        expect(wholeDigits(`${shifted}e-${zeros}`)).toBe(digits);
        expect(wholeDigits(`${digits}E+${zeros}`)).toBe(String(value * 10n ** BigInt(zeros)));
      }),
    );
  });
});

test('a decimal keeps its literal', () => {
  for (const literal of ['12100.0', '1E5', '-0.50']) expect(decimalDigits(literal)).toBe(literal);
  for (const literal of ['.5', '1.', 'Infinity', '']) expect(decimalDigits(literal)).toBeNull();
});

test('a message may have numbers in quotes, floats for counts and a number for its ContractId', () => {
  const frame =
    '{"ContractId":12345.0,"timestamp":"2026-05-23T15:10:00","data":{"ContractInfo":{"open_interest":"800","open_interest_changes":-2.0},"AllowedPriceRange":{"minAllowedPrice":"1.50","maxAllowedPrice":12100.0}}}';
  expect(decodeMessage(Buffer.from(frame), false, 'id', 1)).toMatchObject({
    ok: true,
    key: 'id:12345',
    missingFields: 0,
    snapshot: {
      contractInfo: { openInterest: '800', openInterestChanges: '-2' },
      allowedPriceRange: { minAllowedPrice: '1.50', maxAllowedPrice: '12100.0' },
    },
  });
});

test.each(['NaN', 'Infinity', '-Infinity'])('%s costs its field and not the frame', (token) => {
  const frame = `{"contractName":"NaN \\" Infinity","timestamp":"2026-05-23T15:10:00","data":{"ContractInfo":{"open_interest":${token},"open_interest_changes":3}}}`;
  expect(decodeMessage(Buffer.from(frame), false, 'name', 1)).toMatchObject({
    ok: true,
    key: 'name:NaN " Infinity',
    missingFields: 1,
    snapshot: { contractInfo: { openInterest: null, openInterestChanges: '3' } },
  });
});

test('a frame of nothing but escaped quotes is dropped in linear time', () => {
  const frame = Buffer.from(`{"contractName":"${'\\"'.repeat(500_000)}`);
  expect(decodeMessage(frame, false, 'name', 1)).toEqual({ ok: false, fault: 'json' });
});

test('of equal keys the last one counts', () => {
  const frame =
    '{"contractName":"A","contractName":"B","timestamp":"2026-05-23T15:10:00","data":{"ContractInfo":{"open_interest":1,"open_interest":2}}}';
  expect(decodeMessage(Buffer.from(frame), false, 'name', 1)).toMatchObject({
    key: 'name:B',
    snapshot: { contractInfo: { openInterest: '2' } },
  });
});

test('a message that cannot be read says whose it is', () => {
  for (const [rest, fault] of [
    ['"timestamp":"soon","data":{}', 'timestamp'],
    ['"timestamp":"2026-05-23T15:10:00","data":7', 'data'],
  ]) {
    const frame = Buffer.from(`{"contractName":"A",${rest}}`);
    expect(decodeMessage(frame, false, 'name', 1)).toEqual({ ok: false, fault, key: 'name:A' });
  }
});

describe('a timestamp', () => {
  const read = (timestamp: string) => {
    const frame = `{"contractName":"A","timestamp":${JSON.stringify(timestamp)},"data":{}}`;
    const decoded = decodeMessage(
      Buffer.from(frame),
      false,
      'name',
      1,
      new LocalTimeZone('Asia/Tehran'),
    );
    return decoded.ok ? decoded.snapshot.timestamp : decoded.fault;
  };

  test.each([
    ['2026-05-23T15:10:00', '2026-05-23T15:10:00'],
    ['2026-05-23 15:10:00.5', '2026-05-23 15:10:00.5'],
    ['2026-05-23T15:10:00.123456789', '2026-05-23T15:10:00.123456789'],
    ['2026-05-23T11:40:00Z', '2026-05-23T15:10:00'],
    ['2026-05-23T11:40:00.123456Z', '2026-05-23T15:10:00.123456'],
    ['2026-05-23T15:10:00.000001+03:30', '2026-05-23T15:10:00.000001'],
    ['2026-05-23T23:40:00-0500', '2026-05-24T08:10:00'],
    ['2026-05-23T15:10', 'timestamp'],
    ['2026-05-23T15:10:00+99:00', 'timestamp'],
    ['2026-02-31T15:10:00Z', 'timestamp'],
    ['', 'timestamp'],
  ])('%j is read as %j', (written, local) => {
    expect(read(written)).toBe(local);
  });
});

test('what the sister service has besides is read where it is there, and not missed where not', () => {
  const limit = '"1":{"buy_quantity":1,"buy_price":2,"sell_quantity":3,"sell_price":4';
  const decode = (more: string, info: string) =>
    decodeMessage(
      Buffer.from(
        `{"contractName":"A","timestamp":"2026-05-23T15:10:00","data":{"BestLimit":{${limit}${more}}},"ContractInfo":{"open_interest":1,"open_interest_changes":0${info}}}}`,
      ),
      false,
      'name',
      1,
    );
  const full = decode(
    ',"buy_order_count":7,"sell_order_count":8.0',
    ',"initial_margin":1500.50,"required_margin":"9"',
  );
  expect(full.ok && full.snapshot.bestLimits?.[0]).toMatchObject({
    buyOrderCount: '7',
    sellOrderCount: '8',
  });
  expect(full.ok && full.snapshot.contractInfo).toMatchObject({
    initialMargin: '1500.50',
    requiredMargin: '9',
  });
  const plain = decode('', '');
  expect(plain.ok && plain.missingFields).toBe(0);
  expect(plain.ok && plain.snapshot.raw).toContain('"BestLimit"');
});

describe('a frame of any numbers that Python may write', () => {
  /** What stands in the frame for a field, and what is to be read there; a field that is left out has no text. */
  interface Written {
    readonly text: string | undefined;
    readonly whole: string | null;
    readonly decimal: string | null;
  }
  const sign = fc.constantFrom('', '-');
  const exponentSign = (shift: number) => (shift < 0 ? '' : '+');
  /** A whole number in every form, and its digits. */
  const whole = fc
    .tuple(fc.bigInt({ min: -(10n ** 25n), max: 10n ** 25n }), fc.nat(12), fc.nat(20))
    .chain(([value, zeros, places]) => {
      const digits = String(value);
      const point = digits.length - places;
      const mantissa =
        places > 0 && point > (value < 0n ? 1 : 0)
          ? `${digits.slice(0, point)}.${digits.slice(point)}`
          : digits;
      const shift = mantissa === digits ? 0 : places;
      return fc.constantFrom(
        [digits, digits],
        [`${digits}.${'0'.repeat(zeros + 1)}`, digits],
        [`${mantissa}e${exponentSign(shift)}${String(shift).padStart(2, '0')}`, digits],
        [`${mantissa}E${shift + zeros}`, String(value * 10n ** BigInt(zeros))],
      );
    })
    .map(([text = '', digits = '']): Written => ({ text, whole: digits, decimal: text }));
  const zero = fc
    .tuple(sign, fc.constantFrom('0', '0.0', '0e5', '0.00E-7', '0e999999999'))
    .map(([minus, text]): Written => ({ text: minus + text, whole: '0', decimal: minus + text }));
  /** A number with something behind the point that is not zero. */
  const fraction = fc
    .tuple(sign, fc.nat(10 ** 9), fc.integer({ min: 1, max: 9 }), fc.nat(8), fc.nat(8))
    .map(([minus, before, last, zeros, exponent]): Written => {
      const mantissa = `${minus}${before}.${'0'.repeat(zeros)}${last}`;
      const text = exponent > 4 ? `${mantissa}e-${String(exponent).padStart(2, '0')}` : mantissa;
      return { text, whole: null, decimal: text };
    });
  const number = fc.oneof(whole, zero, fraction);
  const quoted = number.map((one): Written => ({ ...one, text: JSON.stringify(one.text) }));
  const huge = fc
    .constantFrom('1e999999999', '-2.5E+400')
    .map((text): Written => ({ text, whole: null, decimal: text }));
  const none = fc
    .constantFrom(
      ...[
        'NaN',
        'Infinity',
        '-Infinity',
        'null',
        'true',
        '[1]',
        '{"a":1}',
        '""',
        '" 1"',
        '"1,000"',
      ],
      ...['"NaN"', '"Infinity"', '"+1"', '".5"', '"5."', '"0x10"', '"۱۲"', undefined],
    )
    .map((text): Written => ({ text, whole: null, decimal: null }));
  const written = fc.oneof(
    { weight: 6, arbitrary: number },
    { weight: 2, arbitrary: quoted },
    { weight: 1, arbitrary: huge },
    { weight: 3, arbitrary: none },
  );
  const sections = {
    BestLimit: BEST_LIMIT,
    Aggregate: AGGREGATE,
    AllowedPriceRange: ALLOWED_PRICE_RANGE,
    ContractInfo: CONTRACT_INFO,
  };
  const fields = Object.entries(sections).flatMap(([section, ofSection]) =>
    Object.entries(ofSection).flatMap(([ours, [theirs, kind]]) =>
      kind === 'text' ? [] : [{ section, ours, theirs, kind }],
    ),
  );
  const contract = fc.oneof(
    fc
      .bigInt({ min: 0n, max: 10n ** 18n })
      .chain((id) =>
        fc.constantFrom([`${id}`, `${id}`], [`${id}.0`, `${id}`], [`"${id}"`, `${id}`]),
      ),
    fc.string({ minLength: 1, maxLength: 20 }).map((id) => [JSON.stringify(id), id]),
  );
  const timestamp = fc.constantFrom(
    '2026-05-23T15:10:00',
    '2026-05-23T15:10:00.000001',
    '2026-05-23 15:10:00.5',
    '2026-05-23T11:40:00Z',
  );

  test('is never lost where it has contract and time; each field has its value, or is null and counted', () => {
    const zone = new LocalTimeZone('Asia/Tehran');
    const values = fc.array(written, { minLength: fields.length, maxLength: fields.length });
    fc.assert(
      fc.property(contract, timestamp, values, ([id = '', key], time, given) => {
        const bodies = Object.keys(sections).map((section) => {
          const members = fields.flatMap((field, place) => {
            const text = given[place]?.text;
            return field.section !== section || text === undefined
              ? []
              : [`"${field.theirs}": ${text}`];
          });
          if (section === 'Aggregate') members.push('"date": "2026-05-23"', '"time": "NaN"');
          const body = `{${members.join(', ')}}`;
          return `"${section}": ${section === 'BestLimit' ? `{"1": ${body}}` : body}`;
        });
        const frame = `{"channel": "IME Stream", "ContractId": ${id}, "timestamp": "${time}", "data": {${bodies.join(', ')}}}`;
        const decoded = decodeMessage(Buffer.from(frame), false, 'id', 1, zone);
        if (!decoded.ok) throw new Error(`lost (${decoded.fault}): ${frame}`);
        expect(decoded.key).toBe(`id:${key}`);
        const { snapshot } = decoded;
        const read: Record<string, object | null | undefined> = {
          BestLimit: snapshot.bestLimits?.[0],
          Aggregate: snapshot.aggregate,
          AllowedPriceRange: snapshot.allowedPriceRange,
          ContractInfo: snapshot.contractInfo,
        };
        let missing = 0;
        for (const [place, { section, ours, theirs, kind }] of fields.entries()) {
          const one = given[place];
          const expected = (kind === 'integer' ? one?.whole : one?.decimal) ?? null;
          const value = (read[section] as Record<string, unknown>)[ours];
          expect(value, `${theirs} of ${one?.text}`).toBe(expected);
          const isLeftOut = one?.text === undefined && OPTIONAL_FIELDS.has(theirs);
          if (expected === null && !isLeftOut) missing++;
        }
        expect(decoded.missingFields).toBe(missing);
        expect(snapshot.aggregate).toMatchObject({ date: '2026-05-23', time: 'NaN' });
      }),
      { numRuns: 500 },
    );
  });
});
