import type { Clock } from '../../lib/clock.ts';
import type { Beat } from './beat.ts';

/** How often a gateway says that it is there, in milliseconds. */
const BEAT_MS = 500;
/** A probe that has not come back for so long: the connection is opened anew. */
const SILENT_MS = 2_000;
/** Nothing has come back for so long: what is known of contracts may be wrong. */
const LOST_MS = 3_000;

/** What a pulse does. */
export interface PulseOwner {
  /** Sends a probe that is to come back the ordinary way. */
  beat(token: string): Promise<Beat>;
  /** The connection is open, but nothing comes. */
  silent(reason: string): void;
  /** Nothing has come for too long, with or without a connection. */
  lost(): void;
}

/**
 * The only judge of whether Redis is there: a probe that is published and heard again. That a connection is
 * open, or that commands are answered, says nothing of what is published.
 */
export class Pulse {
  readonly #clock: Clock;
  readonly #owner: PulseOwner;
  readonly #cancel: () => void;
  readonly #sentAtMs = new Map<string, number>();
  #count = 0;
  #heardAtMs: number;
  #roundTripMs: number | undefined;

  constructor(clock: Clock, owner: PulseOwner) {
    this.#clock = clock;
    this.#owner = owner;
    this.#heardAtMs = clock.monotonicMs();
    this.#cancel = clock.setInterval(() => this.#look(), BEAT_MS);
  }

  /** How long the last probe took, in milliseconds; `undefined` before the first. */
  get roundTripMs(): number | undefined {
    return this.#roundTripMs;
  }

  /** Sends a probe now, on a connection that is new: what was sent on others is not waited for. */
  async now(): Promise<Beat> {
    this.#sentAtMs.clear();
    return this.#send();
  }

  /** Sends a probe besides. */
  again(): void {
    this.#send().catch(() => {
      // Whatever keeps it from being sent keeps it from coming back.
    });
  }

  heard(token: string): void {
    const sentAtMs = this.#sentAtMs.get(token);
    if (sentAtMs === undefined) return;
    const nowMs = this.#clock.monotonicMs();
    this.#roundTripMs = nowMs - sentAtMs;
    this.#heardAtMs = nowMs;
    // What was sent before it was answered before it, or never is.
    for (const sent of this.#sentAtMs.keys()) {
      this.#sentAtMs.delete(sent);
      if (sent === token) return;
    }
  }

  close(): void {
    this.#cancel();
  }

  #look(): void {
    const nowMs = this.#clock.monotonicMs();
    const [oldest] = this.#sentAtMs.values();
    if (oldest !== undefined && nowMs - oldest > SILENT_MS) {
      this.#sentAtMs.clear();
      this.#owner.silent(`a probe has not come back within ${SILENT_MS / 1_000} s`);
    }
    if (nowMs - this.#heardAtMs > LOST_MS) this.#owner.lost();
    this.again();
  }

  async #send(): Promise<Beat> {
    const token = String(++this.#count);
    this.#sentAtMs.set(token, this.#clock.monotonicMs());
    try {
      return await this.#owner.beat(token);
    } catch (error) {
      this.#sentAtMs.delete(token);
      throw error;
    }
  }
}
