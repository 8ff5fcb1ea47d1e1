import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { contractKey, type KeySpace } from '../src/contract/key.ts';
import type { MarketState } from '../src/contract/snapshot.ts';
import { dataText } from '../src/ime/protocol/data-text.ts';
import { decodeMessage } from '../src/ime/protocol/decode.ts';
import { encodeMessage } from '../src/ime/protocol/encode.ts';
import {
  contractTargetBytes,
  emptyTargetBytes,
  imeBaseUrl,
  parseSubscriptionTarget,
  subscriptionUrl,
} from '../src/ime/protocol/endpoints.ts';

const TIMESTAMP = '2026-05-23T15:10:00.000000';
const space = fc.constantFrom<KeySpace>('name', 'id');
const contractText = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 40 });
const integer = fc.bigInt({ min: -(10n ** 30n), max: 10n ** 30n }).map(String);
const decimal = fc
  .tuple(integer, fc.stringMatching(/^(\.\d{1,20})?([eE][+-]?\d{1,3})?$/))
  .map(([whole, rest]) => whole + rest);
const maybe = <T>(values: fc.Arbitrary<T>) => fc.option(values, { nil: null });
const text = maybe(fc.string());
const marketState: fc.Arbitrary<MarketState> = fc.record({
  bestLimits: maybe(
    fc.array(
      fc.record({
        buyQuantity: maybe(integer),
        buyPrice: maybe(decimal),
        sellQuantity: maybe(integer),
        sellPrice: maybe(decimal),
      }),
      { maxLength: 3 },
    ),
  ).map((limits) => limits?.map((limit, place) => ({ level: place + 1, ...limit })) ?? null),
  aggregate: maybe(
    fc.record({
      date: text,
      time: text,
      tradeCount: maybe(integer),
      totalVolume: maybe(integer),
      totalValue: maybe(decimal),
      closingPrice: maybe(decimal),
      lastPrice: maybe(decimal),
      lowPrice: maybe(decimal),
      highPrice: maybe(decimal),
      openPrice: maybe(decimal),
      previousClose: maybe(decimal),
    }),
  ),
  allowedPriceRange: maybe(
    fc.record({ minAllowedPrice: maybe(decimal), maxAllowedPrice: maybe(decimal) }),
  ),
  contractInfo: maybe(
    fc.record({ openInterest: maybe(integer), openInterestChanges: maybe(integer) }),
  ),
});

const decode = (frame: string, of: KeySpace = 'name') =>
  decodeMessage(Buffer.from(frame), false, of, 1);

describe('a message', () => {
  test('is read as it was written, every digit of it', () => {
    fc.assert(
      fc.property(space, contractText, marketState, (of, contract, state) => {
        const key = contractKey(of, contract);
        const decoded = decode(encodeMessage(key, of, TIMESTAMP, state), of);
        expect(decoded).toMatchObject({
          ok: true,
          key,
          snapshot: { timestamp: TIMESTAMP, receivedAtMs: 1, ...state },
        });
      }),
      { numRuns: 500 },
    );
  });

  test('of random bytes never throws', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), fc.boolean(), (bytes, isBinary) => {
        expect(decodeMessage(Buffer.from(bytes), isBinary, 'id', 1).ok).toBe(false);
      }),
      { numRuns: 2_000 },
    );
  });

  test('that was damaged anywhere never throws', () => {
    const whole = encodeMessage('name:A', 'name', TIMESTAMP, {
      bestLimits: [
        { level: 1, buyQuantity: '1', buyPrice: '2', sellQuantity: '3', sellPrice: '4' },
      ],
      aggregate: null,
      allowedPriceRange: null,
      contractInfo: { openInterest: '1', openInterestChanges: '2' },
    });
    fc.assert(
      fc.property(fc.nat(whole.length), fc.nat(5), fc.string({ maxLength: 5 }), (at, cut, put) => {
        const decoded = decode(whole.slice(0, at) + put + whole.slice(at + cut));
        expect(typeof decoded.ok).toBe('boolean');
      }),
      { numRuns: 2_000 },
    );
  });

  test('of any JSON shape never throws', () => {
    fc.assert(
      fc.property(fc.json(), fc.json(), (a, b) => {
        const frames = [a, `{"contractName":"A","timestamp":"${TIMESTAMP}","data":${b}}`];
        for (const frame of frames) expect(typeof decode(frame).ok).toBe('boolean');
      }),
      { numRuns: 1_000 },
    );
  });

  const around = (data: string) => `{"contractName":"A","timestamp":"${TIMESTAMP}","data":${data}}`;

  test.each([
    ['', 'json'],
    ['{', 'json'],
    ['['.repeat(100_000), 'json'],
    ['[]', 'shape'],
    ['12', 'shape'],
    [`{"timestamp":"${TIMESTAMP}","data":{}}`, 'contract'],
    [`{"contractName":5,"timestamp":"${TIMESTAMP}","data":{}}`, 'contract'],
    [`{"__proto__":{"contractName":"A"},"timestamp":"${TIMESTAMP}","data":{}}`, 'contract'],
    ['{"contractName":"A","timestamp":5,"data":{}}', 'timestamp'],
    ['{"contractName":"A","timestamp":"soon","data":{}}', 'timestamp'],
    [around('[]'), 'data'],
    [around('7'), 'data'],
    [around('{"BestLimit":5,"Aggregate":"x"}'), 'data'],
  ])('like %.60s is dropped as %s', (frame, fault) => {
    expect(decode(frame)).toMatchObject({ ok: false, fault });
  });

  test('that is binary or not UTF-8 is dropped', () => {
    expect(decodeMessage(Buffer.from('{}'), true, 'name', 1)).toEqual({
      ok: false,
      fault: 'binary',
    });
    const broken = Buffer.from([0x7b, 0xff, 0x7d]);
    expect(decodeMessage(broken, false, 'name', 1)).toEqual({ ok: false, fault: 'utf8' });
  });

  test('has null for a field of a wrong type and keeps the rest', () => {
    const decoded = decode(
      around(
        '{"ContractInfo":{"open_interest":true,"open_interest_changes":-2},"Aggregate":{"last_price":1.50,"trade_count":2.5,"date":7}}',
      ),
    );
    expect(decoded).toMatchObject({
      ok: true,
      partial: true,
      snapshot: {
        bestLimits: null,
        allowedPriceRange: null,
        contractInfo: { openInterest: null, openInterestChanges: '-2' },
        aggregate: { lastPrice: '1.50', tradeCount: null, date: null },
      },
    });
  });

  test('with empty data is partial, not rubbish', () => {
    expect(decode(around('{}'))).toMatchObject({ ok: true, partial: true });
  });

  test('has its levels in order, however they were sent', () => {
    const level = '{"buy_quantity":1,"buy_price":1,"sell_quantity":1,"sell_price":1}';
    const decoded = decode(around(`{"BestLimit":{"3":${level},"1":${level},"x":${level},"2":5}}`));
    expect(decoded.ok && decoded.snapshot.bestLimits?.map((limit) => limit.level)).toEqual([1, 3]);
  });

  test('has a data text that does not depend on what is around it', () => {
    const state = '{"Aggregate":{"date":"}\\"{","time":""}}';
    const one = `{"contractName":"data","timestamp":"${TIMESTAMP}","data": ${state}}`;
    const other = `{"data":${state} ,"contractName":"data","timestamp":"2026-05-23T15:10:01"}`;
    expect(dataText(one)).toBe(state);
    expect(dataText(other)).toBe(state);
  });
});

describe('a subscription URL', () => {
  const base = imeBaseUrl('https://core.hedgetech.ir/data-engine/ime/');

  test('is a WebSocket URL below the base', () => {
    expect(subscriptionUrl(base, 'id', ['id:007', 'id:12'])).toBe(
      'wss://core.hedgetech.ir/data-engine/ime/live/data/websocket/contract/id?contract_id=007&contract_id=12',
    );
    expect(imeBaseUrl('http://localhost:1').href).toBe('ws://localhost:1/');
  });

  test('brings every contract over untouched, and its length is known beforehand', () => {
    fc.assert(
      fc.property(
        space,
        fc.array(contractText, { minLength: 1, maxLength: 20 }),
        (of, contracts) => {
          const keys = contracts.map((contract) => contractKey(of, contract));
          const url = subscriptionUrl(base, of, keys);
          const target = url.slice('wss://core.hedgetech.ir'.length);
          const asked = parseSubscriptionTarget(target, '/data-engine/ime');
          expect(asked).toEqual({ space: of, keys });
          const bytes = keys.reduce((sum, key) => sum + contractTargetBytes(of, key), 0);
          expect(target.length).toBe(emptyTargetBytes(base, of) + bytes - 1);
        },
      ),
    );
  });

  test('keeps letters apart that look alike', () => {
    const keys = ['ي', 'ی', 'ك', 'ک', 'a b', 'a+b', 'نیم\u200cسکه', 'نیمسکه'].map((name) =>
      contractKey('name', name),
    );
    const url = subscriptionUrl(base, 'name', keys);
    expect(new Set(url.split('?')[1]?.split('&')).size).toBe(keys.length);
    expect(parseSubscriptionTarget(url.slice(23), '/data-engine/ime')?.keys).toEqual(keys);
  });
});
