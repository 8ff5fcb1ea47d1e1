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
const SAY_MS = 400;
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
  #holder: Holder | undefined;
  #takes: { readonly heard: string[] } | undefined;
  #isClosed = false;
  #cancelTake: (() => void) | undefined;
  #cancelApart: (() => void) | undefined;

  constructor(
    id: string,
    role: 'any' | 'edge',
    start: StartSource,
    link: RedisLink,
    clock: Clock,
    log: Logger,
  ) {
    this.#id = id;
    this.#role = role;
    this.#start = start;
    this.#link = link;
    this.#clock = clock;
    this.#log = log;
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

  /** Redis can be asked again. */
  joined(beat: Beat): void {
    this.#cancelApart?.();
    this.#cancelApart = undefined;
    if (beat.holds) this.#holder?.writeAgain();
    this.compare(beat);
  }

  /** Redis cannot be asked. */
  apart(): void {
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
    if (this.#holder !== undefined && beat.holds) {
      this.#holder.compare(beat.members);
    } else if (beat.lease === '') {
      this.#takeIn(this.#holder === undefined ? this.#patienceMs() : 0);
    } else {
      this.#stepDown(`${beat.lease} holds it`);
      this.#takeIn(beat.leaseMs + this.#patienceMs());
    }
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
    return (this.#role === 'any' ? TAKE_MS : SAY_MS) + Math.random() * TAKE_SPREAD_MS;
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
    if (this.#holder !== undefined) {
      this.#log.warn({ fence }, 'holds the upstream again');
      this.#holder.retake(takeover);
      return;
    }
    this.#log.info({ fence, wishes: wishes.length }, 'holds the upstream of the cluster');
    const holder: Holder = new Holder(
      {
        write: (force, args) => this.#link.run('write', force, ...args),
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
    if (error.message.startsWith('FENCED')) this.#stepDown('another gateway has taken it');
    // What did not arrive is written again over another connection.
    else this.#link.fail(error.message);
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
