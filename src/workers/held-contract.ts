import type { StatusCause } from '../contract/contract-status.ts';
import type { ContractKey } from '../contract/key.ts';
import type { LocalTimeZone } from '../contract/local-time.ts';
import type { NewState, NewStatus } from '../hub/source.ts';
import {
  type Carried,
  carriedIn,
  joinedFrame,
  stateFrame,
  statusFrame,
  type TimedState,
  type TimedStatus,
} from './frames.ts';

/** One contract that the primary holds: what is known of it, as the frames that say so. */
export class HeldContract {
  readonly key: ContractKey;
  /** Held whether anybody wants it or not. */
  pinned = false;
  /** Which workers want it. */
  readonly wantedBy = new Set<object>();
  #state: TimedState | undefined;
  #carried: Carried | null = null;
  #stateFrame: Buffer | undefined;
  /** Where it came after the state. */
  #status: TimedStatus | undefined;
  #statusFrame: Buffer | undefined;
  #statusName = '';
  #sinceMs = 0;

  constructor(key: ContractKey) {
    this.key = key;
  }

  /** Where its last change stands among all of them. */
  get offset(): number {
    return (this.#status ?? this.#state)?.position.offset ?? 0;
  }

  /** Another state. @returns its frame */
  setState(state: NewState, zone: LocalTimeZone): Buffer {
    const { snapshot, stale } = state;
    const sinceMs = this.#since(stale === undefined ? 'LIVE' : 'STALE', snapshot.receivedAtMs);
    this.#carried = carriedIn(this.key, snapshot, this.#state?.snapshot, zone);
    this.#state = { ...state, sinceMs };
    this.#stateFrame = stateFrame(this.key, this.#state, this.#carried);
    this.#status = undefined;
    this.#statusFrame = undefined;
    return this.#stateFrame;
  }

  /** Another status. @returns its frame */
  setStatus(status: NewStatus, nowMs: number): Buffer {
    this.#status = { ...status, sinceMs: this.#since(status.status, nowMs) };
    this.#statusFrame = statusFrame(this.key, this.#status);
    return this.#statusFrame;
  }

  /**
   * What is known, as the frames of the last state and of a status that came after it. Where one frame can say
   * both it does, so that whoever reads it is told of one change, at the position of the last.
   *
   * @param withState false where the state is known already
   */
  known(withState = true): Buffer {
    const state = this.#state;
    const status = this.#status;
    const isStateNews = withState && state !== undefined && this.#stateFrame !== undefined;
    if (status === undefined) return isStateNews ? (this.#stateFrame as Buffer) : NOTHING;
    if (!isStateNews) return this.#statusFrame ?? NOTHING;
    if (status.status === 'STALE') {
      const stale = status.cause as StatusCause;
      const both = { ...state, position: status.position, stale, sinceMs: status.sinceMs };
      return stateFrame(this.key, both, this.#carried);
    }
    return Buffer.concat([this.#stateFrame as Buffer, this.#statusFrame ?? NOTHING]);
  }

  /** {@link known}, told as a contract that is held from now on. */
  joined(): Buffer {
    return joinedFrame(this.key, this.known());
  }

  #since(status: string, atMs: number): number {
    if (status !== this.#statusName) this.#sinceMs = atMs;
    this.#statusName = status;
    return this.#sinceMs;
  }
}

const NOTHING = Buffer.alloc(0);
