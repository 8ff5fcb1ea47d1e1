import { expect, test } from 'vitest';
import { anonymous, type Principal } from '../src/access/principal.ts';
import { Session, Sessions } from '../src/access/session.ts';
import { ManualClock } from './kit/manual-clock.ts';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

/** Sessions by a clock of their own; `open` adds one that is waited for, `ended` says which are over. */
function sessionsBy(clock: ManualClock) {
  const ended: string[] = [];
  const sessions = new Sessions((error) => {
    throw error;
  }, clock);
  const principal = (id: string, expiresAtMs: number | undefined): Principal => ({
    ...anonymous('127.0.0.1'),
    id,
    expiresAtMs,
    credential: id,
  });
  const open = (id: string, inMs: number | undefined) => {
    const session = new Session(
      sessions,
      principal(id, inMs === undefined ? undefined : clock.nowMs() + inMs),
    );
    return { session, forget: session.onEnd((why) => void ended.push(`${id}: ${why}`)) };
  };
  return { sessions, principal, open, ended };
}

test('a session ends at its time, and those that end later wait by one timer', async () => {
  const clock = new ManualClock();
  const { open, ended } = sessionsBy(clock);
  for (let opened = 0; opened < 10_000; opened++) open(`later ${opened}`, HOUR_MS);
  open('never', undefined);
  open('soon', 10_000);
  expect(clock.timers).toBe(1);
  await clock.advance(9_999);
  expect(ended).toEqual([]);
  await clock.advance(51);
  expect(ended).toEqual(['soon: The token has expired.']);
});

test('a session that ends in years, or was over long ago, makes no timer spin', async () => {
  const clock = new ManualClock();
  const { open, ended } = sessionsBy(clock);
  let armed = 0;
  const { setTimeout } = clock;
  clock.setTimeout = (run, ms) => {
    armed++;
    return setTimeout.call(clock, run, ms);
  };
  for (const inMs of [30 * DAY_MS, 50_000 * DAY_MS, Number.MAX_VALUE]) open(`in ${inMs}`, inMs);
  open('over', -DAY_MS);
  await clock.advance(DAY_MS);
  expect(ended).toEqual(['over: The token has expired.']);
  expect(armed).toBeLessThan(4 * (DAY_MS / 30_000) + 10);
  await clock.advance(29 * DAY_MS + 100);
  expect(ended).toHaveLength(2);
});

test('a clock that is set is noticed within half a minute, either way', async () => {
  const clock = new ManualClock();
  const { open, ended } = sessionsBy(clock);
  open('session', HOUR_MS);
  clock.step(HOUR_MS);
  await clock.advance(30_100);
  expect(ended).toHaveLength(1);
  open('another', 10_000);
  clock.step(-HOUR_MS);
  await clock.advance(20_000);
  expect(ended).toHaveLength(1);
  await clock.advance(HOUR_MS);
  expect(ended).toHaveLength(2);
});

test('a session that was renewed ends by its new token', async () => {
  const clock = new ManualClock();
  const { open, principal, ended } = sessionsBy(clock);
  const { session } = open('session', 10_000);
  session.renew(principal('session', clock.nowMs() + 25_000));
  await clock.advance(20_000);
  expect(ended).toEqual([]);
  session.renew(principal('session', clock.nowMs() + 1_000));
  await clock.advance(1_100);
  expect(ended).toHaveLength(1);
});

test('no timer is left when nobody waits any more', async () => {
  const clock = new ManualClock();
  const { open, ended } = sessionsBy(clock);
  const opened = Array.from({ length: 100 }, (_, number) => open(`${number}`, 1_000 + number));
  for (const { forget } of opened) forget?.();
  expect(clock.timers).toBe(0);
  await clock.advance(10_000);
  expect(ended).toEqual([]);
  open('again', 1_000);
  await clock.advance(1_100);
  expect(ended).toHaveLength(1);
});
