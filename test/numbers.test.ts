import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decodeMessage } from '../src/ime/protocol/decode.ts';
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
        expect(wholeDigits(`${digits}${'0'.repeat(zeros)}e-${zeros}`)).toBe(digits);
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
