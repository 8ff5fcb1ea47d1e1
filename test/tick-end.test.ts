import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { TickEnd } from '../src/fanout/tick-end.ts';

/** A tick as the fan-out has it, on a clock that stands until it is moved. */
class Ticks {
  connections = 1_000;
  /** How long a write takes, in milliseconds. */
  writeMs = 10;
  /** How many states each write had. */
  readonly written: number[] = [];
  readonly writtenAtMs: number[] = [];
  #states = 0;
  readonly end = new TickEnd(
    () => ({ connections: this.connections, states: this.#states }),
    () => {
      this.written.push(this.#states);
      this.writtenAtMs.push(performance.now());
      this.#states = 0;
      vi.advanceTimersByTime(this.writeMs);
    },
  );

  state(): void {
    this.#states++;
    if (this.#states === 1) this.end.begin();
  }

  /** A burst of so many states: the first one alone, the others while it would be written. */
  burst(size: number): void {
    this.state();
    vi.advanceTimersByTime(0);
    for (let rest = 1; rest < size; rest++) this.state();
    this.quiet();
  }

  quiet(): void {
    vi.advanceTimersByTime(50);
  }
}

let ticks: Ticks;

beforeEach(() => {
  vi.useFakeTimers({
    toFake: ['setTimeout', 'clearTimeout', 'setImmediate', 'clearImmediate', 'performance'],
  });
  ticks = new Ticks();
});

afterEach(() => {
  expect(vi.getTimerCount()).toBe(0);
  vi.useRealTimers();
});

describe('the end of a tick', () => {
  test('comes at once for states that come alone', () => {
    for (let tick = 0; tick < 5; tick++) {
      const atMs = performance.now();
      ticks.state();
      ticks.quiet();
      expect(ticks.writtenAtMs.at(-1)).toBe(atMs);
    }
    expect(ticks.written).toEqual([1, 1, 1, 1, 1]);
  });

  test('has two bursts written in two parts, and the next ones in one', () => {
    for (let burst = 0; burst < 4; burst++) ticks.burst(10);
    expect(ticks.written).toEqual([1, 9, 1, 9, 10, 10]);
  });

  test('waits as long as more comes, but no longer than four milliseconds', () => {
    for (let burst = 0; burst < 2; burst++) ticks.burst(10);
    const atMs = performance.now();
    ticks.state();
    vi.advanceTimersByTime(0);
    for (let late = 0; late < 20; late++) {
      ticks.state();
      vi.advanceTimersByTime(1);
    }
    ticks.quiet();
    expect((ticks.writtenAtMs[4] ?? 0) - atMs).toBe(4);
    expect(ticks.written.reduce((sum, states) => sum + states)).toBe(20 + 21);
  });

  test('is not waited for any more after waits in vain', () => {
    for (let burst = 0; burst < 2; burst++) ticks.burst(10);
    const waitsMs = Array.from({ length: 4 }, () => {
      const atMs = performance.now();
      ticks.state();
      ticks.quiet();
      return (ticks.writtenAtMs.at(-1) ?? 0) - atMs;
    });
    expect(waitsMs).toEqual([1, 0, 0, 0]);
  });

  test('is not waited for where few connections are written to', () => {
    ticks.connections = 99;
    for (let burst = 0; burst < 4; burst++) ticks.burst(10);
    expect(ticks.written).toEqual([1, 9, 1, 9, 1, 9, 1, 9]);
  });

  test('does not come once it is closed, while it reads and while it waits', () => {
    for (let burst = 0; burst < 2; burst++) ticks.burst(10);
    ticks.state();
    vi.advanceTimersByTime(0);
    ticks.end.close();
    const reading = new Ticks();
    reading.state();
    reading.end.close();
    ticks.quiet();
    expect(ticks.written).toEqual([1, 9, 1, 9]);
    expect(reading.written).toEqual([]);
  });
});
