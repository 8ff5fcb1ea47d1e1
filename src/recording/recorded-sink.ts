import type { ContractKey } from '../contract/key.ts';
import type { ContractSink, NewState, NewStatus } from '../hub/source.ts';
import type { Clock } from '../lib/clock.ts';
import type { Recorder } from './recorder.ts';

/** Passes what a source tells on to the hub, and then records it. */
export class RecordedSink implements ContractSink {
  readonly #sink: ContractSink;
  readonly #recorder: Recorder;
  readonly #clock: Clock;

  constructor(sink: ContractSink, recorder: Recorder, clock: Clock) {
    this.#sink = sink;
    this.#recorder = recorder;
    this.#clock = clock;
  }

  state(key: ContractKey, state: NewState): void {
    this.#sink.state(key, state);
    const { snapshot, stale: cause } = state;
    this.#recorder.record({ atMs: snapshot.receivedAtMs, key, message: snapshot.raw, cause });
  }

  status(key: ContractKey, status: NewStatus): void {
    this.#sink.status(key, status);
    const cause = status.cause ?? undefined;
    this.#recorder.record({ atMs: this.#clock.nowMs(), key, status: status.status, cause });
  }

  accepted(key: ContractKey): void {
    this.#sink.accepted(key);
  }
}
