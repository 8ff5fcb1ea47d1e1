import type { ContractStatus, StatusCause } from '../../src/contract/contract-status.ts';
import type { ContractKey } from '../../src/contract/key.ts';
import type { Snapshot } from '../../src/contract/snapshot.ts';
import { type Position, PositionGiver } from '../../src/hub/position.ts';
import type { ContractSink, ContractSource, SourceReport } from '../../src/hub/source.ts';
import { type Clock, systemClock } from '../../src/lib/clock.ts';

/** A source that says what a test has it say. */
export class ScriptedSource implements ContractSource {
  /** What was asked of it: `+` for retained, `-` for released. */
  readonly calls: string[] = [];
  readonly #sink: ContractSink;
  readonly #positions: PositionGiver;
  readonly #wanted = new Map<ContractKey, number>();
  #closed = false;

  constructor(sink: ContractSink, clock: Clock = systemClock) {
    this.#sink = sink;
    this.#positions = new PositionGiver(clock);
  }

  retain(keys: readonly ContractKey[]): void {
    for (const key of keys) {
      this.calls.push(`+${key}`);
      this.#wanted.set(key, 0);
      this.say(key, 'PENDING', { code: 'AWAITING_STATE', reason: 'asked' });
    }
  }

  release(keys: readonly ContractKey[]): void {
    for (const key of keys) {
      this.calls.push(`-${key}`);
      this.#wanted.delete(key);
    }
  }

  /** A new state of a contract. */
  publish(key: ContractKey, snapshot: Snapshot, stale?: StatusCause): void {
    const sequence = (this.#wanted.get(key) ?? Number.NaN) + 1;
    if (this.#closed || Number.isNaN(sequence)) return;
    this.#wanted.set(key, sequence);
    this.#sink.state(key, { position: this.#positions.next(), sequence, snapshot, stale });
  }

  /** A contract's status changes. */
  say(key: ContractKey, status: ContractStatus, cause: StatusCause | null): void {
    if (this.#closed || !this.#wanted.has(key)) return;
    this.#sink.status(key, { status, cause, position: this.#positions.next() });
  }

  /** Every contract loses its connection. */
  lose(): void {
    for (const [key, sequence] of this.#wanted) {
      const cause: StatusCause = { code: 'UPSTREAM_LOST', reason: 'lost' };
      this.say(key, sequence === 0 ? 'PENDING' : 'STALE', cause);
    }
  }

  position(): Position {
    return this.#positions.next();
  }

  health(): readonly string[] {
    return this.#closed ? ['closed'] : [];
  }

  check(): Promise<readonly string[]> {
    return Promise.resolve(this.health());
  }

  report(): SourceReport {
    const none = {
      messages: 0,
      partialMessages: 0,
      missingFields: 0,
      duplicates: 0,
      lateMessages: 0,
    };
    const counts = { ...none, droppedFrames: {}, failures: {} };
    return { sockets: [], dials: 0, counts, credentials: null, problems: [] };
  }

  close(): void {
    this.#closed = true;
    this.#wanted.clear();
  }
}
