import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type ContractKey, contractKey } from '../src/contract/key.ts';
import { InvalidMemory } from '../src/ime/pool/invalid-memory.ts';
import { Overlap } from '../src/ime/pool/overlap.ts';
import { packShards, planCompaction, type ShardBounds } from '../src/ime/pool/shard-plan.ts';
import {
  afterProbe,
  isolate,
  isolationDialBound,
  nextProbe,
  withGood,
} from '../src/ime/refusals/isolation.ts';
import { AcceptanceClock } from '../src/ime/sockets/acceptance.ts';
import { DelayMeter } from '../src/ime/sockets/delay.ts';
import { classifyEnd, type FailureClass } from '../src/ime/sockets/failure.ts';
import type { SocketEnd } from '../src/ime/sockets/socket.ts';
import { backoffMs } from '../src/lib/backoff.ts';

const keysOf = (count: number): ContractKey[] =>
  Array.from({ length: count }, (_, place) => contractKey('name', String(place)));

describe('the search for refused contracts', () => {
  /** Plays the search against an exchange that refuses any batch with a bad contract. */
  function search(
    keys: readonly ContractKey[],
    bad: ReadonlySet<ContractKey>,
    known: ContractKey[] = [],
  ) {
    let isolation = withGood(isolate(keys), new Set(known));
    let dials = 1;
    let last: readonly ContractKey[] = [];
    for (let probe = nextProbe(isolation); probe; probe = nextProbe(isolation)) {
      dials++;
      last = probe;
      isolation = afterProbe(isolation, !probe.some((key) => bad.has(key)));
    }
    return { ...isolation, dials, last };
  }

  test('finds exactly the bad ones, within its bound of dials', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 300 }),
        fc.infiniteStream(fc.double({ min: 0, max: 1, noNaN: true })),
        fc.nat(6),
        (count, random, wish) => {
          const keys = keysOf(count);
          const bad = new Set<ContractKey>();
          const wanted = Math.min(count, wish + 1);
          for (const share of random) {
            const key = keys[Math.min(count - 1, Math.floor(share * count))];
            if (key) bad.add(key);
            if (bad.size >= wanted || bad.size >= count || random.next().done) break;
          }
          const found = search(keys, bad);
          expect(new Set(found.refused)).toEqual(bad);
          expect(new Set(found.good)).toEqual(new Set(keys.filter((key) => !bad.has(key))));
          expect(found.dials).toBeLessThanOrEqual(isolationDialBound(count, bad.size));
        },
      ),
      { numRuns: 500 },
    );
  });

  test.each([
    [1, 10],
    [2, 19],
    [5, 46],
  ])('of %i bad among 200 takes at most %i dials', (count, most) => {
    expect(isolationDialBound(200, count)).toBe(most);
  });

  test('ends with all that is good on one socket', () => {
    const keys = keysOf(100);
    const found = search(keys, new Set([keys[40] as ContractKey]));
    expect(new Set(found.last)).toEqual(new Set(found.good));
  });

  test('knows which ones it has never seen refused alone', () => {
    const keys = keysOf(4);
    expect([...search(keys, new Set([keys[3] as ContractKey])).inferred]).toEqual([keys[3]]);
    expect([...search(keys, new Set([keys[0] as ContractKey])).inferred]).toEqual([]);
    expect([...search(keysOf(1), new Set(keysOf(1))).inferred]).toEqual([]);
  });

  test('does not suspect the canary', () => {
    const keys = keysOf(2);
    expect(search(keys, new Set([keys[1] as ContractKey]), [keys[0] as ContractKey])).toMatchObject(
      {
        refused: [keys[1]],
        good: [keys[0]],
        dials: 1,
      },
    );
  });
});

describe('the plan of shards', () => {
  const bounds = (maxContracts: number, maxTargetBytes = 10_000): ShardBounds => ({
    maxContracts,
    maxTargetBytes,
    emptyTargetBytes: 10,
    contractBytes: (key) => key.length,
  });

  test('packs every contract once, within both bounds', () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(fc.stringMatching(/^[a-z]{1,60}$/), { maxLength: 200 }),
        fc.integer({ min: 1, max: 30 }),
        fc.integer({ min: 80, max: 400 }),
        (texts, most, bytes) => {
          const keys = texts.map((text) => contractKey('name', text));
          const shards = packShards(keys, bounds(most, bytes));
          expect(shards.flat().sort()).toEqual([...keys].sort());
          for (const shard of shards) {
            expect(shard.length).toBeLessThanOrEqual(most);
            expect(shard.reduce((sum, key) => sum + key.length, 10)).toBeLessThanOrEqual(bytes);
          }
        },
      ),
    );
  });

  test('brings any sockets back to at most one more than needed', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 10 }), { maxLength: 40 }), (sizes) => {
        let next = 0;
        const idle = sizes.map((size, id) => ({
          id,
          keys: Array.from({ length: size }, () => contractKey('name', `n${next++}`)),
        }));
        const all = idle.flatMap(({ keys }) => keys);
        const needed = packShards(all, bounds(10)).length;
        const plan = planCompaction(idle, 0, needed, bounds(10));
        const after = idle.length - (plan?.replaced.length ?? 0) + (plan?.open.length ?? 0);
        expect(after).toBeLessThanOrEqual(needed + 1);
        const kept = idle
          .filter(({ id }) => !plan?.replaced.includes(id))
          .flatMap(({ keys }) => keys);
        expect([...kept, ...(plan?.open.flat() ?? [])].sort()).toEqual([...all].sort());
      }),
    );
  });

  test('leaves sockets alone that are few enough', () => {
    const idle = [
      { id: 1, keys: keysOf(9) },
      { id: 2, keys: keysOf(1) },
    ];
    expect(planCompaction(idle, 0, 1, bounds(10))).toBeUndefined();
  });
});

describe('the overlap of two sockets', () => {
  const message = (value: number, stamp = value) => ({
    text: `{"timestamp":"${stamp}","data":{"v":${value}}}`,
    timestamp: `2026-05-23T15:10:${String(stamp).padStart(2, '0')}`,
    message: value,
  });
  const open = () => true;
  const values = (messages: { message: number }[]) => messages.map((one) => one.message);

  test('delivers each once, in order, however the two interleave', () => {
    fc.assert(
      fc.property(
        fc.array(fc.constantFrom(1, 2, 3), { minLength: 1, maxLength: 40 }),
        fc.nat(40),
        fc.infiniteStream(fc.boolean()),
        fc.boolean(),
        (states, joinAt, turns, stamped) => {
          // Prices come again and timestamps may all be equal: only the order tells states apart.
          const published = states.map((state, place) => ({
            ...message(state, stamped ? place : 0),
            message: place,
          }));
          const overlap = new Overlap<string, number>('old');
          const delivered: number[] = [];
          overlap.join('new');
          const subscribedAt = Math.min(joinAt, published.length);
          let old = 0;
          let fresh = subscribedAt;
          while (old < published.length || fresh < published.length) {
            const takeOld =
              (turns.next().value && old < published.length) || fresh >= published.length;
            const place = takeOld ? old++ : fresh++;
            const next = published[place];
            if (next)
              delivered.push(...values(overlap.receive(takeOld ? 'old' : 'new', next, open)));
          }
          delivered.push(...values(overlap.leave('old', open)));
          expect(delivered).toEqual([...delivered].sort((a, b) => a - b));
          expect(new Set(delivered).size).toBe(delivered.length);
          expect(delivered).toEqual(published.map(({ message: place }) => place));
        },
      ),
      { numRuns: 500 },
    );
  });

  test('misses nothing wherever the old socket is lost, once the new one is subscribed', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 40 }),
        fc.nat(40),
        fc.nat(40),
        fc.infiniteStream(fc.boolean()),
        (count, joinAt, extra, turns) => {
          const published = Array.from({ length: count }, (_, place) => message(place % 2, place));
          const subscribedAt = Math.min(joinAt, count);
          const lostAt = Math.min(subscribedAt + extra, count);
          const overlap = new Overlap<string, number>('old');
          overlap.join('new');
          const delivered: string[] = [];
          const take = (feed: string, place: number) => {
            const next = published[place];
            if (next) delivered.push(...overlap.receive(feed, next, open).map(({ text }) => text));
          };
          let old = 0;
          let fresh = subscribedAt;
          while (old < lostAt) {
            if (turns.next().value || fresh >= count) take('old', old++);
            else take('new', fresh++);
          }
          delivered.push(...overlap.leave('old', open).map(({ text }) => text));
          while (fresh < count) take('new', fresh++);
          expect(delivered).toEqual(published.map(({ text }) => text));
        },
      ),
      { numRuns: 500 },
    );
  });

  test('hands over what the new socket has when the old one is lost', () => {
    const overlap = new Overlap<string, number>('old');
    overlap.join('new');
    expect(values(overlap.receive('old', message(1), open))).toEqual([1]);
    expect(overlap.receive('new', message(1), open)).toEqual([]);
    expect(overlap.receive('new', message(2), open)).toEqual([]);
    expect(overlap.receive('new', message(3), open)).toEqual([]);
    expect(values(overlap.receive('old', message(2), open))).toEqual([2]);
    expect(values(overlap.leave('old', open))).toEqual([3]);
    expect(values(overlap.receive('new', message(4), open))).toEqual([4]);
    expect(overlap.isOver).toBe(true);
  });

  test('is led by whoever delivers first where both still dial', () => {
    const overlap = new Overlap<string, number>('old');
    overlap.join('new');
    const opened = new Set(['new']);
    const isOpen = (feed: string) => opened.has(feed);
    expect(values(overlap.receive('new', message(1), isOpen))).toEqual([1]);
    opened.add('old');
    expect(values(overlap.receive('new', message(2), isOpen))).toEqual([2]);
    expect(overlap.receive('old', message(2), isOpen)).toEqual([]);
    expect(overlap.receive('old', message(3), isOpen)).toEqual([]);
    expect(values(overlap.leave('new', isOpen))).toEqual([3]);
  });

  test('knows a publication again where each socket writes a timestamp of its own', () => {
    const overlap = new Overlap<string, number>('old');
    overlap.join('new');
    const stamped = (fraction: string) => ({
      text: `{"timestamp":"${fraction}","data":{"v":7}}`,
      timestamp: `2026-05-23T15:10:00.${fraction}`,
      message: 7,
    });
    overlap.receive('old', stamped('000100'), open);
    expect(overlap.receive('new', stamped('004321'), open)).toEqual([]);
    expect(overlap.receive('new', stamped('900000'), open)).toEqual([]);
    expect(overlap.leave('old', open)).toEqual([]);
  });
});

describe('the delay of messages', () => {
  test('is measured without knowing the zone', () => {
    const zoneMs = 3.5 * 3_600_000;
    const meter = new DelayMeter();
    expect(meter.lateByMs(100_000, 100_000 - zoneMs, 100_000)).toBe(0);
    expect(meter.lateByMs(101_000, 99_500 - zoneMs, 101_000)).toBe(0);
    expect(meter.lateByMs(120_000, 105_000 - zoneMs, 120_000)).toBe(15_000);
    expect(meter.lateByMs(121_000, 121_000 - zoneMs, 121_000)).toBe(0);
  });

  test('is not upset by one timestamp from the future, but by a clock that was really set', () => {
    const meter = new DelayMeter();
    meter.lateByMs(1_000, 1_000, 1_000);
    expect(meter.lateByMs(2_000, 9_000_000, 2_000)).toBe(0);
    expect(meter.lateByMs(3_000, 3_000, 3_000)).toBe(0);
    expect(meter.lateByMs(4_000, 9_000_000, 4_000)).toBe(0);
    meter.lateByMs(5_000, 9_001_000, 5_000);
    expect(meter.lateByMs(6_000, 6_000, 6_000)).toBeGreaterThan(2_000);
  });

  test('forgives a clock that was set back, in time', () => {
    const meter = new DelayMeter();
    meter.lateByMs(0, 0, 0);
    let late = 0;
    for (let nowMs = 1_000; nowMs < 25 * 60_000; nowMs += 1_000)
      late = meter.lateByMs(nowMs, nowMs - 10_000, nowMs);
    expect(late).toBe(0);
  });
});

describe('the rules of dialing', () => {
  test.each<[SocketEnd, FailureClass]>([
    [{ kind: 'close', code: 1008, reason: '' }, 'ambiguous'],
    [{ kind: 'http', status: 403, bodyEmpty: true, retryAfterMs: undefined }, 'ambiguous'],
    [{ kind: 'http', status: 403, bodyEmpty: false, retryAfterMs: undefined }, 'token'],
    [{ kind: 'http', status: 401, bodyEmpty: true, retryAfterMs: undefined }, 'token'],
    [{ kind: 'http', status: 404, bodyEmpty: true, retryAfterMs: undefined }, 'wrongUrl'],
    [{ kind: 'http', status: 429, bodyEmpty: true, retryAfterMs: 7 }, 'throttled'],
    [{ kind: 'http', status: 400, bodyEmpty: true, retryAfterMs: undefined }, 'tooLong'],
    [{ kind: 'http', status: 414, bodyEmpty: true, retryAfterMs: undefined }, 'tooLong'],
    [{ kind: 'http', status: 431, bodyEmpty: true, retryAfterMs: undefined }, 'tooLong'],
    [{ kind: 'http', status: 500, bodyEmpty: true, retryAfterMs: undefined }, 'transient'],
    [{ kind: 'http', status: 502, bodyEmpty: true, retryAfterMs: undefined }, 'unreachable'],
    [{ kind: 'error', code: 'ECONNREFUSED', message: '' }, 'unreachable'],
    [{ kind: 'error', code: 'ENOTFOUND', message: '' }, 'transient'],
    [{ kind: 'error', code: 'WS_ERR_UNEXPECTED_RSV_1', message: '' }, 'protocol'],
    [{ kind: 'silent', forMs: 1 }, 'transient'],
    ...[1000, 1001, 1005, 1006, 1011, 1012, 1013].map(
      (code) => [{ kind: 'close', code, reason: '' }, 'transient'] as [SocketEnd, FailureClass],
    ),
    ...[1002, 1003, 1007, 1009].map(
      (code) => [{ kind: 'close', code, reason: '' }, 'protocol'] as [SocketEnd, FailureClass],
    ),
  ])('%j is %s', (end, failureClass) => expect(classifyEnd(end)).toBe(failureClass));

  test('wait longer each time, with full jitter, and dial a dead service at most 15 times a minute', () => {
    expect(backoffMs(0, false, 0)).toBe(250);
    expect(backoffMs(0, false, 0.999)).toBeLessThan(500);
    expect(backoffMs(20, false, 1)).toBe(30_000);
    expect(backoffMs(20, true, 1)).toBe(3_000);
    let waited = 0;
    let dials = 1;
    for (let attempt = 0; waited < 60_000; attempt++) {
      waited += backoffMs(attempt, false, 0.5);
      dials++;
    }
    expect(dials).toBeLessThanOrEqual(15);
  });

  test('accept a socket after three times the slowest refusal, from one to five seconds', () => {
    const clock = new AcceptanceClock();
    expect(clock.acceptedAfterMs).toBe(1_000);
    clock.refusedAfter(10);
    expect(clock.acceptedAfterMs).toBe(1_000);
    clock.refusedAfter(700);
    clock.refusedAfter(20);
    expect(clock.acceptedAfterMs).toBe(2_100);
    clock.refusedAfter(9_000);
    expect(clock.acceptedAfterMs).toBe(5_000);
  });

  test('believe a refusal for a minute, twice as long each time, a quarter of an hour at most', () => {
    const memory = new InvalidMemory();
    const believed = Array.from({ length: 7 }, () => {
      memory.convict('name:x', 0);
      return (memory.retestAtMs('name:x') ?? 0) / 60_000;
    });
    expect(believed).toEqual([1, 2, 4, 8, 15, 15, 15]);
    memory.convict('name:inferred', 0, true);
    expect(memory.retestAtMs('name:inferred')).toBe(5_000);
    memory.convict('name:inferred', 0);
    expect(memory.retestAtMs('name:inferred')).toBe(60_000);
    memory.forget('name:x');
    expect(memory.has('name:x')).toBe(false);
  });
});
