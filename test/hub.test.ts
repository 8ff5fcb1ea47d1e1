import { describe, expect, test } from 'vitest';
import type { StatusCause } from '../src/contract/contract-status.ts';
import type { ContractKey } from '../src/contract/key.ts';
import type { ContractState } from '../src/hub/contract-state.ts';
import { ContractHub } from '../src/hub/hub.ts';
import { readContracts } from '../src/hub/read.ts';
import { systemClock } from '../src/lib/clock.ts';
import { Mailbox } from '../src/lib/mailbox.ts';
import { createLog } from '../src/observability/log.ts';
import { subscribeToContracts } from '../src/updates/contract-subscription.ts';
import { marketState, snapshotOf, until } from './kit/gateway.ts';
import { ScriptedSource } from './kit/scripted-source.ts';

const A: ContractKey = 'name:A';
const B: ContractKey = 'id:B';

function hubWithLog(lingerMs = 10_000) {
  const faults: string[] = [];
  const log = createLog('error', { write: (text) => void faults.push(text) });
  const hub = new ContractHub(lingerMs, systemClock, log);
  const source = new ScriptedSource(hub);
  hub.connect(source);
  return { hub, source, calls: source.calls, faults };
}

const because = (reason: string): StatusCause => ({ code: 'UPSTREAM_LOST', reason });

function subscribed(hub: ContractHub, keys: ContractKey[], initial: boolean) {
  const wish = { keys, initial, intervalMs: 0, changesOnly: false };
  return subscribeToContracts(hub, wish) as Mailbox<ContractState>;
}

async function take<T>(iterator: AsyncIterator<T>, count: number): Promise<T[]> {
  const taken: T[] = [];
  while (taken.length < count) taken.push((await iterator.next()).value as T);
  return taken;
}

describe('the hub', () => {
  test('retains a contract once for many subscribers and releases it after the linger', async () => {
    const { hub, calls } = hubWithLog(20);
    const one = subscribed(hub, [A], true);
    const two = subscribed(hub, [A], true);
    expect(calls).toEqual(['+name:A']);
    expect(hub.open.size).toBe(2);
    await one.return();
    await two.return();
    expect(calls).toEqual(['+name:A']);
    await until(() => calls.length === 2, 'the contract is released');
    expect(calls).toEqual(['+name:A', '-name:A']);
    expect(hub.open.size).toBe(0);
    hub.close();
  });

  test('keeps a contract that is wanted again while it lingers', async () => {
    const { hub, calls } = hubWithLog(30);
    await subscribed(hub, [A, B], true).return();
    const again = subscribed(hub, [A], true);
    await until(() => calls.includes('-id:B'), 'the other contract is released');
    expect(calls).not.toContain('-name:A');
    await again.return();
    hub.close();
  });

  test('never releases a pinned contract before it closes', async () => {
    const { hub, calls } = hubWithLog(1);
    hub.pin([A]);
    await subscribed(hub, [A], true).return();
    await subscribed(hub, [B], true).return();
    await until(() => calls.includes('-id:B'), 'the contract that is not pinned is released');
    expect(calls).not.toContain('-name:A');
    hub.close();
    expect(calls).toContain('-name:A');
  });

  test('hands over the snapshot and then every update, with no gap and no repeat', async () => {
    const { hub, source } = hubWithLog();
    hub.pin([A]);
    source.publish(A, snapshotOf(1));
    source.publish(A, snapshotOf(2));
    const updates = subscribed(hub, [A], true);
    source.publish(A, snapshotOf(3));
    source.publish(A, snapshotOf(4));
    const states = await take(updates, 3);
    expect(states.map((state) => state.snapshot?.aggregate?.lastPrice)).toEqual(['2', '3', '4']);
    expect(states.map((state) => state.snapshot?.sequence)).toEqual([2, 3, 4]);
    const fresh = subscribed(hub, [A], false);
    source.publish(A, snapshotOf(5));
    expect((await take(fresh, 1))[0]?.snapshot?.aggregate?.lastPrice).toBe('5');
    hub.close();
  });

  test('keeps the last known section where a message leaves it out', () => {
    const { hub, source } = hubWithLog();
    hub.pin([A]);
    source.publish(A, snapshotOf(1));
    const empty = {
      bestLimits: null,
      aggregate: null,
      allowedPriceRange: null,
      contractInfo: null,
    };
    source.publish(A, { timestamp: '2026-05-23T15:10:01', receivedAtMs: 2, raw: '{}', ...empty });
    const [state] = hub.states();
    expect(state?.snapshot).toMatchObject({ sequence: 2, timestamp: '2026-05-23T15:10:01' });
    expect(state?.snapshot).toMatchObject(marketState('1'));
    hub.close();
  });

  test('says since when and why a status holds', () => {
    const { hub, source } = hubWithLog();
    hub.pin([A]);
    expect(hub.states()[0]).toMatchObject({ status: 'PENDING' });
    source.publish(A, snapshotOf(1));
    expect(hub.states()[0]).toMatchObject({ status: 'LIVE', statusReason: null, statusSinceMs: 1 });
    source.say(A, 'STALE', because('lost'));
    expect(hub.states()[0]).toMatchObject({ status: 'STALE', statusReason: 'lost' });
    source.publish(A, snapshotOf(2), because('late'));
    expect(hub.states()[0]).toMatchObject({ status: 'STALE', statusReason: 'late' });
    expect(hub.countByStatus()).toEqual({ PENDING: 0, LIVE: 0, STALE: 1, INVALID: 0 });
    hub.close();
  });

  test('completes a subscription once each of its contracts was told to be invalid', async () => {
    const { hub, source } = hubWithLog();
    const updates = subscribed(hub, [A, B], false);
    source.say(A, 'INVALID', because('no'));
    source.say(B, 'INVALID', because('no'));
    const states = await take(updates, 2);
    expect(states.map(({ key, status }) => [key, status])).toEqual([
      [A, 'INVALID'],
      [B, 'INVALID'],
    ]);
    expect(await updates.next()).toEqual({ value: undefined, done: true });
    expect(hub.open.size).toBe(0);
    hub.close();
  });

  test('waits for first states no longer than asked, and reads all of them at once', async () => {
    const { hub, source, calls } = hubWithLog();
    const reading = readContracts(hub, [A, B], 60);
    source.publish(A, snapshotOf(1));
    const states = await reading;
    expect(states.map((state) => state.status)).toEqual(['LIVE', 'PENDING']);
    expect(calls).toEqual(['+name:A', '+id:B']);
    const startedMs = performance.now();
    await readContracts(hub, [B], 60);
    expect(performance.now() - startedMs).toBeLessThan(50);
    const gone = new AbortController();
    const aborted = readContracts(hub, ['name:C'], 60_000, gone.signal);
    gone.abort();
    expect((await aborted)[0]?.status).toBe('PENDING');
    hub.close();
  });

  test('ends every subscription when it closes', async () => {
    const { hub } = hubWithLog();
    const updates = subscribed(hub, [A], false);
    const waiting = updates.next();
    hub.close();
    expect(await waiting).toEqual({ value: undefined, done: true });
  });
});

describe('a mailbox', () => {
  const entry = (key: string, value: number) => ({ key, value });

  test('keeps a run in order and, past it, the newest of each key in the order of change', async () => {
    const mailbox = new Mailbox<{ key: string; value: number }>(() => {}, 2);
    for (const [key, value] of [
      ['a', 1],
      ['a', 2],
      ['a', 3],
      ['b', 4],
      ['a', 5],
      ['c', 6],
    ] as const) {
      mailbox.push(entry(key, value));
    }
    expect(mailbox.conflated).toBe(1);
    expect((await take(mailbox, 5)).map(({ key, value }) => key + value)).toEqual([
      'a1',
      'a2',
      'b4',
      'a5',
      'c6',
    ]);
    mailbox.push(entry('a', 7));
    expect((await take(mailbox, 1))[0]?.value).toBe(7);
    mailbox.end();
  });

  test('ends at once while its reader waits, and only once', async () => {
    let ended = 0;
    const mailbox = new Mailbox(() => ended++);
    const waiting = mailbox.next();
    await mailbox.return();
    expect(await waiting).toEqual({ value: undefined, done: true });
    mailbox.end();
    mailbox.push(entry('a', 1));
    expect((await mailbox.next()).done).toBe(true);
    expect(ended).toBe(1);
  });

  test('delivers what was pushed before it was told to finish', async () => {
    const mailbox = new Mailbox<{ key: string; value: number }>(() => {});
    mailbox.push(entry('a', 1));
    mailbox.finish();
    mailbox.push(entry('a', 2));
    expect((await mailbox.next()).value?.value).toBe(1);
    expect((await mailbox.next()).done).toBe(true);
  });
});

describe('a subscriber that throws', () => {
  test('is ended and logged, and the others are told all the same', () => {
    const { hub, source, faults } = hubWithLog();
    const told: string[] = [];
    const ended: string[] = [];
    const subscriber = (name: string, throws: boolean) => ({
      contractChanged: ({ snapshot }: ContractState) => {
        if (snapshot === null) return;
        told.push(`${name} ${snapshot.sequence}`);
        if (throws) throw new Error('a fault of ours');
      },
      broken: () => {
        ended.push(name);
        throw new Error('and another one');
      },
    });
    for (const [name, throws] of [
      ['one', false],
      ['two', true],
      ['three', false],
    ] as const) {
      hub.subscribe([A], subscriber(name, throws));
    }
    source.publish(A, snapshotOf(1));
    source.publish(A, snapshotOf(2));
    expect(told).toEqual(['one 1', 'two 1', 'three 1', 'one 2', 'three 2']);
    expect(ended).toEqual(['two']);
    expect(faults).toHaveLength(2);
    expect(faults[0]).toContain('a fault of ours');
    hub.close();
  });
});

test('a contract whose last subscriber throws is let go like any other', async () => {
  const { hub, source, calls } = hubWithLog(20);
  const subscriber = {
    contractChanged: ({ snapshot }: ContractState) => {
      if (snapshot !== null) throw new Error('a fault of ours');
    },
    broken: () => {},
  };
  hub.subscribe([A], subscriber);
  source.publish(A, snapshotOf(1));
  hub.unsubscribe([A], subscriber);
  await until(() => calls.includes('-name:A'), 'the contract is released');
  expect(hub.size).toBe(0);
  hub.close();
});

describe('room for contracts', () => {
  const keys = (...names: string[]) => names.map((name): ContractKey => `name:${name}`);
  const lingering = (...names: string[]) => {
    const { hub, calls } = hubWithLog();
    const subscriber = { contractChanged: () => {}, broken: () => {} };
    for (const key of keys(...names)) {
      hub.subscribe([key], subscriber);
      hub.unsubscribe([key], subscriber);
    }
    return { hub, calls };
  };

  test('is made by letting go of others that linger, the longest first', () => {
    const { hub, calls } = lingering('a', 'b', 'c');
    expect(hub.makeRoom(keys('d', 'e'), 3)).toBe(true);
    expect(calls.slice(-2)).toEqual(['-name:a', '-name:b']);
    expect(hub.size).toBe(1);
    hub.close();
  });

  test('is never made of what is asked for itself, nor beyond the bound', () => {
    const { hub, calls } = lingering('a', 'b', 'c');
    expect(hub.makeRoom(keys('a', 'd'), 3)).toBe(true);
    expect(calls.at(-1)).toBe('-name:b');
    expect(hub.holds('name:a')).toBe(true);
    expect(hub.makeRoom(keys('a', 'c', 'd', 'd', 'e'), 3)).toBe(false);
    expect(hub.size).toBe(2);
    hub.close();
  });
});
