import { describe, expect, onTestFinished, test } from 'vitest';
import { CONTRACT_STATUS_CODES } from '../../src/contract/contract-status.ts';
import type { ContractKey } from '../../src/contract/key.ts';
import { cursorOf, type Position } from '../../src/hub/position.ts';
import type { ContractSink, ContractSource, NewState, NewStatus } from '../../src/hub/source.ts';
import { names, until } from './gateway.ts';

/** What a source has told, in order. */
export class RecordingSink implements ContractSink {
  readonly told: (
    | { readonly key: ContractKey; readonly state: NewState }
    | { readonly key: ContractKey; readonly status: NewStatus }
  )[] = [];
  /** Contracts that were told to exist. */
  readonly known = new Set<ContractKey>();

  state(key: ContractKey, state: NewState): void {
    this.told.push({ key, state });
  }

  status(key: ContractKey, status: NewStatus): void {
    this.told.push({ key, status });
  }

  accepted(key: ContractKey): void {
    this.known.add(key);
  }

  /** The states of a contract. */
  states(key: ContractKey): NewState[] {
    return this.told.flatMap((one) => (one.key === key && 'state' in one ? [one.state] : []));
  }

  /** The last thing that was told of a contract: LIVE for a state that is not late. */
  lastOf(key: ContractKey): string | undefined {
    const last = this.told.findLast((one) => one.key === key);
    if (last === undefined) return undefined;
    if ('status' in last) return last.status.status;
    return last.state.stale === undefined ? 'LIVE' : 'STALE';
  }

  get positions(): Position[] {
    return this.told.map((one) => ('state' in one ? one.state.position : one.status.position));
  }
}

/** A source with what stands behind it. */
export interface SourceUnderTest {
  readonly source: ContractSource;
  /** Waits until the source has what it needs to be told states of these contracts. */
  carries(keys: readonly ContractKey[]): Promise<void>;
  /** Whatever is behind the source says a new last price. */
  publish(key: ContractKey, lastPrice: number): void;
  /** Every connection to what is behind the source is lost; it comes back by itself. */
  lose(): void;
  /** What is left open of what the source itself has opened. */
  leftOpen(): number;
}

/** What every source of contracts keeps to, whatever stands behind it. */
export function sourceSuite(
  name: string,
  start: (sink: ContractSink) => Promise<SourceUnderTest>,
): void {
  async function started() {
    const sink = new RecordingSink();
    const under = await start(sink);
    onTestFinished(() => under.source.close());
    return { sink, ...under };
  }
  const [A, B] = names('A', 'B') as [ContractKey, ContractKey];
  const priceOf = ({ snapshot }: NewState) => Number(snapshot.aggregate?.lastPrice);

  describe(`the ${name} source`, () => {
    test('says at once that a contract is awaited, then each of its states in order, numbered', async () => {
      const { sink, source, carries, publish } = await started();
      source.retain([A, B]);
      expect(sink.lastOf(A)).toBe('PENDING');
      expect(sink.lastOf(B)).toBe('PENDING');
      await carries([A, B]);
      for (let price = 1; price <= 50; price++) {
        publish(A, price);
        publish(B, price);
      }
      await until(() => sink.states(B).length === 50, 'all have come');
      for (const key of [A, B]) {
        expect(sink.states(key).map(priceOf)).toEqual(
          Array.from({ length: 50 }, (_, at) => at + 1),
        );
        expect(sink.states(key).map(({ sequence }) => sequence)).toEqual(
          Array.from({ length: 50 }, (_, at) => at + 1),
        );
        expect(sink.lastOf(key)).toBe('LIVE');
      }
    });

    test('gives one order to all changes of all contracts, which cursors keep as texts', async () => {
      const { sink, source, carries, publish, lose } = await started();
      source.retain([A]);
      source.retain([B]);
      await carries([A, B]);
      for (let price = 1; price <= 20; price++) publish(price % 2 ? A : B, price);
      await until(() => sink.states(A).length + sink.states(B).length === 20, 'all have come');
      lose();
      await until(() => sink.lastOf(A) === 'STALE' && sink.lastOf(B) === 'STALE', 'both are lost');
      const cursors = sink.positions.map(cursorOf);
      expect(cursors).toEqual([...new Set(cursors)].sort());
      expect(new Set(cursors.map((cursor) => cursor.length)).size).toBe(1);
      const offsets = sink.positions.map(({ offset }) => offset);
      expect(offsets.every((offset, at) => at === 0 || offset > (offsets[at - 1] ?? 0))).toBe(true);
      expect(new Set(sink.positions.map(({ epoch }) => epoch)).size).toBe(1);
    });

    test('gives positions of what happens elsewhere in the same order', async () => {
      const { sink, source, carries, publish } = await started();
      source.retain([A]);
      await carries([A]);
      const between: Position[] = [];
      for (let price = 1; price <= 5; price++) {
        publish(A, price);
        await until(() => sink.states(A).length === price, 'it has come');
        between.push(source.position(), source.position());
      }
      const offsets = [...sink.positions, ...between].map(({ offset }) => offset);
      expect(new Set(offsets).size).toBe(offsets.length);
      expect(between.at(-1)?.offset).toBe(Math.max(...offsets));
      expect(new Set([...sink.positions, ...between].map(({ epoch }) => epoch)).size).toBe(1);
    });

    test('says that a lost contract is STALE, and LIVE again only with its next state', async () => {
      const { sink, source, carries, publish, lose } = await started();
      source.retain([A, B]);
      await carries([A, B]);
      publish(A, 1);
      await until(() => sink.lastOf(A) === 'LIVE', 'its state has come');
      lose();
      await until(() => sink.lastOf(A) === 'STALE', 'it is lost');
      expect(sink.lastOf(B)).toBe('PENDING');
      const lost = sink.told.findLast((one) => one.key === A);
      expect(lost && 'status' in lost && lost.status.cause?.code).toBe('UPSTREAM_LOST');
      await carries([A, B]);
      expect(sink.lastOf(A)).toBe('STALE');
      publish(A, 2);
      await until(() => sink.lastOf(A) === 'LIVE', 'the next state has come');
      expect(sink.states(A).map(({ sequence }) => sequence)).toEqual([1, 2]);
    });

    test('says nothing of a contract that was released, and goes on with the others', async () => {
      const { sink, source, carries, publish } = await started();
      source.retain([A, B]);
      await carries([A, B]);
      publish(A, 1);
      await until(() => sink.states(A).length === 1, 'its state has come');
      source.release([A]);
      const told = sink.told.length;
      publish(A, 2);
      publish(B, 1);
      await until(() => sink.states(B).length === 1, 'the other goes on');
      expect(sink.told.slice(told).map(({ key }) => key)).toEqual([B]);
    });

    test('gives causes that programs know, and words', async () => {
      const { sink, source, carries, lose } = await started();
      source.retain([A]);
      await carries([A]);
      lose();
      await until(() => sink.told.length >= 2, 'it is told');
      for (const one of sink.told) {
        if (!('status' in one)) continue;
        expect(CONTRACT_STATUS_CODES).toContain(one.status.cause?.code);
        expect(one.status.cause?.reason.length).toBeGreaterThan(3);
      }
    });

    test('is healthy while it can do its job, and leaves nothing behind when it is closed', async () => {
      const { sink, source, carries, publish, leftOpen } = await started();
      expect(await source.check()).toEqual([]);
      source.retain([A]);
      await carries([A]);
      publish(A, 1);
      await until(() => sink.states(A).length === 1, 'its state has come');
      expect(source.health()).toEqual([]);
      expect(source.report().problems).toEqual([]);
      source.close();
      const told = sink.told.length;
      publish(A, 2);
      await until(() => leftOpen() === 0, 'everything is closed');
      expect(sink.told).toHaveLength(told);
    });
  });
}
