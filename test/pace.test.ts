import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { ContractKey } from '../src/contract/key.ts';
import type { ContractState } from '../src/hub/contract-state.ts';
import { ContractHub } from '../src/hub/hub.ts';
import { systemClock } from '../src/lib/clock.ts';
import { type Due, DueQueue } from '../src/lib/due-queue.ts';
import { createLog } from '../src/observability/log.ts';
import { subscribeToContracts } from '../src/updates/contract-subscription.ts';
import { snapshotOf } from './kit/gateway.ts';
import { ManualClock } from './kit/manual-clock.ts';
import { ScriptedSource } from './kit/scripted-source.ts';

describe('what waits until it is due', () => {
  test('is done in that order, and what is not wanted any more is not', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.integer({ min: 1, max: 500 }), fc.boolean()), { maxLength: 60 }),
        async (entries) => {
          const clock = new ManualClock();
          const startMs = clock.monotonicMs();
          const queue = new DueQueue(1, () => {}, clock);
          const done: number[] = [];
          for (const [inMs, isWanted] of entries) {
            const due: Due = { dueMs: startMs + inMs, run: () => done.push(inMs) };
            queue.add(due);
            if (!isWanted) queue.drop(due);
          }
          await clock.advance(600);
          const expected = entries.filter(([, isWanted]) => isWanted).map(([inMs]) => inMs);
          expect(done).toEqual(expected.sort((a, b) => a - b));
          expect([queue.size, clock.timers]).toEqual([0, 0]);
        },
      ),
      { numRuns: 50 },
    );
  });

  test('is done although something before it throws', async () => {
    const clock = new ManualClock();
    const failed: unknown[] = [];
    const queue = new DueQueue(1, (error) => failed.push(error), clock);
    const done: string[] = [];
    const add = (inMs: number, run: () => void) =>
      queue.add({ dueMs: clock.monotonicMs() + inMs, run });
    add(10, () => {
      throw new Error('a fault of ours');
    });
    add(10, () => done.push('with it'));
    add(20, () => done.push('behind it'));
    await clock.advance(30);
    expect(done).toEqual(['with it', 'behind it']);
    expect(failed).toHaveLength(1);
  });
});

test('subscriptions that hold updates back cost nothing until these are due, and give all of it back', () => {
  const hub = new ContractHub(0, systemClock, createLog('silent'));
  const source = new ScriptedSource(hub);
  hub.connect(source);
  const keys = Array.from({ length: 10 }, (_, at): ContractKey => `name:${at}`);
  const publish = (price: number) => {
    for (const key of keys) {
      source.publish(key, snapshotOf(price));
    }
  };
  const wish = { keys, initial: false, intervalMs: 60_000, changesOnly: false };
  const subscriptions = Array.from({ length: 100 }, () => subscribeToContracts(hub, wish));
  // The first state is a change of status, which is not held back.
  for (let price = 1; price <= 5; price++) publish(price);
  expect(hub.pace.size).toBe(100 * 10);
  for (const subscription of subscriptions) subscription.end();
  expect([hub.open.size, hub.pace.size]).toEqual([0, 0]);
  hub.close();
});

test('places of what is no longer wanted are given back long before it would be due', async () => {
  const clock = new ManualClock();
  const queue = new DueQueue(1, () => {}, clock);
  const done: number[] = [];
  for (let at = 0; at < 50_000; at++) {
    const due: Due = { dueMs: clock.monotonicMs() + 100_000, run: () => done.push(at) };
    queue.add(due);
    if (at % 1_000 !== 0) queue.drop(due);
  }
  expect(queue.size).toBeLessThan(3_000);
  await clock.advance(100_001);
  expect(done).toHaveLength(50);
  expect([queue.size, clock.timers]).toEqual([0, 0]);
});

test('a subscription that throws at what was held back is ended', async () => {
  const hub = new ContractHub(0, systemClock, createLog('silent'));
  const source = new ScriptedSource(hub);
  hub.connect(source);
  const wish = {
    keys: ['name:A' as ContractKey],
    initial: false,
    intervalMs: 20,
    changesOnly: true,
  };
  let reads = 0;
  const updates = subscribeToContracts(hub, wish, () => {
    reads++;
    if (reads === 2) throw new Error('a fault of ours');
    return String(reads);
  });
  for (let price = 1; price <= 2; price++) {
    source.publish('name:A', snapshotOf(price));
  }
  expect((await updates.next()).done).toBe(false);
  expect((await updates.next()).done).toBe(true);
  expect([reads, hub.open.size]).toEqual([2, 0]);
  hub.close();
});

test('of what was held back the newest state comes when its time has come', async () => {
  const hub = new ContractHub(0, systemClock, createLog('silent'));
  const source = new ScriptedSource(hub);
  hub.connect(source);
  const wish = {
    keys: ['name:A' as ContractKey],
    initial: false,
    intervalMs: 80,
    changesOnly: false,
  };
  const updates = subscribeToContracts(hub, wish);
  const publish = (price: number) => source.publish('name:A', snapshotOf(price));
  const priceOf = async () => {
    const { value } = await updates.next();
    return (value as ContractState).snapshot?.aggregate?.lastPrice;
  };
  for (let price = 1; price <= 4; price++) publish(price);
  expect(await priceOf()).toBe('1');
  const startMs = performance.now();
  expect(await priceOf()).toBe('4');
  expect(performance.now() - startMs).toBeGreaterThan(40);
  updates.end();
  hub.close();
});

test('nothing that is held back for longer than an interval waits behind what is sent', async () => {
  const hub = new ContractHub(0, systemClock, createLog('silent'));
  const source = new ScriptedSource(hub);
  hub.connect(source);
  const keys: ContractKey[] = ['name:A', 'name:B'];
  const wish = { keys, initial: false, intervalMs: 50, changesOnly: false };
  const updates = subscribeToContracts(hub, wish);
  for (const price of [1, 2]) source.publish('name:A', snapshotOf(price));
  const startMs = performance.now();
  // Its timer is late: whoever resumed by the cursor of the other one would never be told of it.
  while (performance.now() - startMs < 120);
  source.publish('name:B', snapshotOf(7));
  const told: string[] = [];
  while (told.length < 3) {
    const { key, snapshot } = (await updates.next()).value as ContractState;
    told.push(`${key} ${snapshot?.aggregate?.lastPrice}`);
  }
  expect(told).toEqual(['name:A 1', 'name:A 2', 'name:B 7']);
  updates.end();
  hub.close();
});
