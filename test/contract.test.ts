import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  lastPriceChange,
  lastPriceChangePercent,
  midPrice,
  spread,
} from '../src/contract/derived.ts';
import { contractTextFault } from '../src/contract/key.ts';
import { isLocalDateTime, LocalTimeZone } from '../src/contract/local-time.ts';
import type { Aggregate, BestLimit } from '../src/contract/snapshot.ts';

describe('a contract text', () => {
  test.each(['A', '007', 'سکه', 'نیم\u200cسکه', 'a&b=c%', ' ', 'x'.repeat(256), '😀'.repeat(256)])(
    'can be %j',
    (text) => expect(contractTextFault(text)).toBeUndefined(),
  );

  test.each([
    ['', 'empty'],
    ['x'.repeat(257), 'got 257'],
    ['😀'.repeat(257), 'got 257'],
    ['a\nb', 'control'],
    ['\u0000', 'control'],
    ['\ud800', 'surrogate'],
  ])('cannot be %j', (text, fault) => expect(contractTextFault(text)).toContain(fault));
});

describe('a local time', () => {
  const tehran = new LocalTimeZone('Asia/Tehran');

  test('becomes an instant with the offset of its zone and six digits', () => {
    expect(tehran.toInstant('2026-05-23T15:10:00.123456')).toBe('2026-05-23T15:10:00.123456+03:30');
    expect(tehran.toInstant('2026-05-23T15:10:00')).toBe('2026-05-23T15:10:00.000000+03:30');
    expect(tehran.toInstant('2026-05-23 15:10:00.5')).toBe('2026-05-23T15:10:00.500000+03:30');
  });

  test('knows the daylight saving that its zone once had', () => {
    expect(tehran.toInstant('2020-07-01T12:00:00')).toBe('2020-07-01T12:00:00.000000+04:30');
    const newYork = new LocalTimeZone('America/New_York');
    expect(newYork.toInstant('2026-01-01T12:00:00')).toContain('-05:00');
  });

  test('comes back from the instant it was made of, to the millisecond', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: Date.UTC(2023, 0, 1), max: Date.UTC(2040, 0, 1) }),
        (epochMs) => {
          expect(tehran.toEpochMs(tehran.toLocal(epochMs))).toBe(epochMs);
          expect(Date.parse(tehran.toInstant(tehran.toLocal(epochMs)))).toBe(epochMs);
        },
      ),
    );
  });

  test.each([
    '',
    'yesterday',
    '2026-02-30T00:00:00',
    '2026-05-23T25:00:00',
    '2026-05-23T15:10:00Z',
  ])('is not %j', (text) => expect(isLocalDateTime(text)).toBe(false));
});

describe('derived numbers', () => {
  const book = (buyPrice: string | null, sellPrice: string | null): BestLimit[] => [
    { level: 1, buyQuantity: '1', buyPrice, sellQuantity: '1', sellPrice },
  ];
  const traded = (lastPrice: string | null, previousClose: string | null) =>
    ({ lastPrice, previousClose }) as Aggregate;

  test('are exact where binary floats are not', () => {
    expect(spread(book('0.1', '0.3'))).toBe('0.2');
    expect(midPrice(book('12345678901234567890.1', '12345678901234567890.2'))).toBe(
      '12345678901234567890.15',
    );
    expect(lastPriceChange(traded('0.3', '0.1'))).toBe('0.2');
  });

  test('of whole floats are written as whole numbers', () => {
    expect(midPrice(book('12100.0', '12100.0'))).toBe('12100');
    expect(lastPriceChange(traded('12100.0', '12000.0'))).toBe('100');
  });

  test('round a percentage to four places, half away from zero', () => {
    expect(lastPriceChangePercent(traded('110', '100'))).toBe('10');
    expect(lastPriceChangePercent(traded('4', '3'))).toBe('33.3333');
    expect(lastPriceChangePercent(traded('1.0000005', '1'))).toBe('0.0001');
    expect(lastPriceChangePercent(traded('0.9999995', '1'))).toBe('-0.0001');
  });

  test.each([
    [book(null, '1')],
    [book('0', '1')],
    [book('1', '0.00')],
    [book('1e999999999', '1')],
    [[]],
    [null],
  ])('are null for the book %j', (limits) => {
    expect(spread(limits)).toBeNull();
    expect(midPrice(limits)).toBeNull();
  });

  test('are null without a trade or a previous close', () => {
    for (const aggregate of [traded('0', '80'), traded('80', '0'), traded(null, '80'), null]) {
      expect(lastPriceChange(aggregate)).toBeNull();
      expect(lastPriceChangePercent(aggregate)).toBeNull();
    }
  });
});
