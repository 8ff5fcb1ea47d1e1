import { randomBytes } from 'node:crypto';
import type { StatusCause } from '../contract/contract-status.ts';
import type { ContractKey } from '../contract/key.ts';
import type { Clock } from '../lib/clock.ts';
import type { Logger } from '../observability/log.ts';
import { type HeldSource, Holder, type StartSource, type Takeover } from './holder.ts';
import type { Beat } from './redis/beat.ts';
import type { RedisLink } from './redis/link.ts';

/** For how long the upstream is held after the last sign of life, in milliseconds. */
const LEASE_MS = 2_500;
/** For how long a gateway and its wishes count as there after the last sign of life, in milliseconds. */
export const LIFE_MS = 6_000;
/** For how long the upstream is kept while Redis cannot be asked who holds it, in milliseconds. */
const APART_MS = 30_000;
/** Where nobody holds it: how soon it is taken, at least and besides. Who still has it comes first. */
const TAKE_MS = 30;
const TAKE_SPREAD_MS = 120;
/** Where nobody takes it, this is said. */
const SAY_MS = 300;
/** Where Redis has come back empty, who held it is waited for so long: nobody else knows the states. */
const FORMER_MS = 1_500;
const LEAVE_MS = 500;
const EPOCH_BYTES = 4;

const HOLDER_LOST: StatusCause = {
  code: 'UPSTREAM_LOST',
  reason: 'The gateway that held the connection to IME was lost; another one takes over.',
};

/** Which gateway holds the upstream: takes the lease where nobody has it, and steps down where another one has. */
export class Lease {
  readonly #id: string;
  readonly #role: 'any' | 'edge';
  readonly #start: StartSource;
  readonly #link: RedisLink;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #doubted: () => void;
  #holder: Holder | undefined;
  #takes: { readonly heard: string[] } | undefined;
  #isClosed = false;
  /** Whether Redis has said over this connection that the lease is this gateway's. */
  #isSure = false;
  #cancelTake: (() => void) | undefined;
  /** Until then, by the monotonic clock, another gateway comes first. */
  #patientUntilMs = 0;
  #cancelApart: (() => void) | undefined;

  /** @param doubted told where Redis takes nothing from this gateway any more: it is to be asked who holds the lease */
  constructor(
    id: string,
    role: 'any' | 'edge',
    start: StartSource,
    link: RedisLink,
    clock: Clock,
    log: Logger,
    doubted: () => void,
  ) {
    this.#id = id;
    this.#role = role;
    this.#start = start;
    this.#link = link;
    this.#clock = clock;
    this.#log = log;
    this.#doubted = doubted;
  }

  /** The channels that whoever may hold the upstream must hear. */
  get channels(): readonly string[] {
    return this.#role === 'any' ? ['wishes'] : [];
  }

  /** The source that is shared, where this gateway has it. */
  get source(): HeldSource | undefined {
    return this.#holder?.source;
  }

  /** Says that this gateway is there, and renews the lease where it is its own. */
  beat(info: string, token: string): Promise<unknown> {
    const fresh = randomBytes(EPOCH_BYTES).toString('hex');
    const fence = this.#holder?.fence ?? '';
    return this.#link.run('beat', this.#id, info, fresh, fence, LEASE_MS, LIFE_MS, token);
  }

  /**
   * Redis can be asked again.
   *
   * @param isEmptied whether it has lost what it knew
   */
  joined(beat: Beat, isEmptied: boolean): void {
    if (isEmptied) this.#patientUntilMs = this.#clock.monotonicMs() + FORMER_MS;
    this.#cancelApart?.();
    this.#cancelApart = undefined;
    this.compare(beat);
  }

  /** Redis cannot be asked. */
  apart(): void {
    this.#isSure = false;
    this.#cancelTake?.();
    if (this.#holder === undefined || this.#isClosed) return;
    this.#cancelApart ??= this.#clock.setTimeout(() => {
      this.#cancelApart = undefined;
      this.#stepDown('Redis could not be asked for too long');
    }, APART_MS);
  }

  /** Compares with who holds it by what Redis says. */
  compare(beat: Beat): void {
    if (this.#isClosed) return;
    this.#cancelTake?.();
    if (this.#holder !== undefined && this.#isOwn(beat)) {
      if (!this.#isSure) this.#writeAgain();
      this.#holder.compare(beat.members);
    } else if (beat.lease === '') {
      this.#takeIn(this.#holder === undefined ? this.#patienceMs() : 0);
    } else {
      this.#stepDown(`${beat.lease} holds it`);
      this.#takeIn(beat.leaseMs + this.#patienceMs());
    }
  }

  /** A look that was sent before the lease was taken has not renewed it. */
  #isOwn(beat: Beat): boolean {
    return beat.lease === this.#id && beat.fence === this.#holder?.fence;
  }

  #writeAgain(): void {
    this.#isSure = true;
    this.#holder?.writeAgain();
  }

  heardWish(text: string): void {
    // What comes while it is being taken may be older or newer than what taking it says.
    if (this.#takes !== undefined) this.#takes.heard.push(text);
    else this.#holder?.heardWish(text);
  }

  /** The holder has left. */
  heardVacant(): void {
    if (this.#holder === undefined) this.#takeIn(this.#patienceMs());
  }

  /** Gives it back. Resolves once Redis knows, or could not be told. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#cancelTake?.();
    this.#cancelApart?.();
    const fence = this.#holder?.fence ?? '';
    this.#holder?.close();
    this.#holder = undefined;
    if (!this.#link.isOpen) return;
    let cancel = () => {};
    const late = new Promise<void>((resolve) => {
      cancel = this.#clock.setTimeout(resolve, LEAVE_MS);
    });
    const told = this.#link.run('leave', this.#id, fence).catch(() => {});
    await Promise.race([told, late]);
    cancel();
  }

  #patienceMs(): number {
    const leastMs = this.#role === 'any' ? TAKE_MS : SAY_MS;
    const patientMs = Math.max(0, this.#patientUntilMs - this.#clock.monotonicMs());
    return patientMs + leastMs + Math.random() * TAKE_SPREAD_MS;
  }

  #takeIn(ms: number): void {
    if (this.#isClosed) return;
    this.#cancelTake?.();
    this.#cancelTake = this.#clock.setTimeout(() => void this.#take(), ms);
  }

  async #take(): Promise<void> {
    if (this.#takes !== undefined || this.#isClosed) return;
    const takes = { heard: [] as string[] };
    this.#takes = takes;
    try {
      const may = this.#role === 'any' ? 1 : 0;
      const cause = JSON.stringify(HOLDER_LOST);
      const reply = await this.#link.run('take', this.#id, may, LEASE_MS, cause);
      this.#takes = undefined;
      const takeover = readTakeover(reply as string[]);
      if (takeover !== undefined && may === 1 && !this.#isClosed) this.#hold(takeover);
    } catch (error) {
      this.#takes = undefined;
      this.#log.warn({ error }, 'the upstream could not be taken');
    }
    for (const text of takes.heard) this.#holder?.heardWish(text);
  }

  #hold(takeover: Takeover): void {
    const { fence, wishes } = takeover;
    this.#isSure = true;
    if (this.#holder !== undefined) {
      this.#log.warn({ fence }, 'holds the upstream again');
      this.#holder.retake(takeover);
      return;
    }
    this.#log.info({ fence, wishes: wishes.length }, 'holds the upstream of the cluster');
    const holder: Holder = new Holder(
      {
        write: async (force, args) => {
          // What is not written now is written once more when the lease is sure.
          if (this.#isSure) await this.#link.run('write', force, ...args);
        },
        writeFailed: (error) => this.#writeFailed(holder, error),
        readWishes: async (gateway) =>
          (await this.#link.run('wishes', gateway)) as readonly ContractKey[],
      },
      this.#start,
      takeover,
      this.#clock,
    );
    this.#holder = holder;
  }

  #writeFailed(holder: Holder, error: Error): void {
    if (holder !== this.#holder) return;
    if (error.message.startsWith('FENCED')) {
      this.#isSure = false;
      this.#doubted();
    }
    // What did not arrive is written again over another connection.
    else if (this.#isSure) this.#link.fail(error.message);
  }

  #stepDown(reason: string): void {
    const holder = this.#holder;
    if (holder === undefined) return;
    this.#holder = undefined;
    this.#log.warn({ reason }, 'holds the upstream of the cluster no more');
    holder.close();
  }
}

/** @returns `undefined` where another gateway has the lease */
function readTakeover([fence, ...rest]: readonly string[]): Takeover | undefined {
  if (fence === undefined) return undefined;
  const wishes: Takeover['wishes'][number][] = [];
  for (let at = 0; at + 2 < rest.length; at += 3) {
    wishes.push({
      gateway: rest[at] as string,
      key: rest[at + 1] as ContractKey,
      known: rest[at + 2] as 'new' | 'proven' | 'refused',
    });
  }
  return { fence, wishes };
}
