import type { ContractKey } from '../contract/key.ts';
import { LIFE_MS } from './lease.ts';
import type { RedisLink } from './redis/link.ts';
import type { ToldContracts } from './told-contracts.ts';

/** So many contracts are registered and read at once. */
const MOST_AT_ONCE = 200;
/** All gateways come back at once: what they read is spread over so long, in milliseconds. */
const SPREAD_MS = 200;

/** What this gateway wants, on its way to Redis: contracts are listened to before they are read. */
export class WishSender {
  readonly #id: string;
  readonly #link: RedisLink;
  readonly #told: ToldContracts;
  /** Wanted, but not registered yet, with who has asked; no more wanted, but registered. None is in both. */
  readonly #wanted = new Map<ContractKey, string>();
  readonly #unwanted = new Set<ContractKey>();
  #state: 'shut' | 'open' | 'sending' = 'shut';
  #tokens = 0;
  /** Counts connections: what belongs to an older one is not gone on with. */
  #life = 0;

  constructor(id: string, link: RedisLink, told: ToldContracts) {
    this.#id = id;
    this.#link = link;
    this.#told = told;
  }

  want(keys: readonly ContractKey[], asker = ''): void {
    for (const key of keys) {
      this.#unwanted.delete(key);
      this.#wanted.set(key, asker);
    }
    this.#sendSoon();
  }

  drop(keys: readonly ContractKey[]): void {
    for (const key of keys) {
      this.#wanted.delete(key);
      this.#unwanted.add(key);
    }
    this.#sendSoon();
  }

  /** Somebody else asks for contracts: told as far as that can be. */
  askedToo(keys: readonly ContractKey[], asker: string): void {
    if (this.#state === 'shut') return;
    this.#link.run('asked', this.#id, JSON.stringify(asker), ...keys).catch(() => {});
  }

  /**
   * Registers everything that is wanted, in place of whatever was.
   *
   * @param isOver asked between parts: whether to go no further
   */
  async registerAll(isOver: () => boolean): Promise<void> {
    this.#wanted.clear();
    this.#unwanted.clear();
    const keys = this.#told.keys();
    if (keys.length > 0) await pause(Math.random() * SPREAD_MS);
    for (let at = 0; at === 0 || at < keys.length; at += MOST_AT_ONCE) {
      if (isOver()) return;
      const some = keys.slice(at, at + MOST_AT_ONCE);
      for (const key of some) this.#wanted.delete(key);
      await this.#register(some, '', at === 0 ? '=' : '+');
    }
  }

  /** The connection can be used. */
  open(): void {
    this.#state = 'open';
    this.#sendSoon();
  }

  /** The connection cannot be used: over the next one everything is registered anew. */
  shut(): void {
    this.#state = 'shut';
    this.#life++;
  }

  #sendSoon(): void {
    if (this.#state !== 'open' || this.#wanted.size + this.#unwanted.size === 0) return;
    this.#state = 'sending';
    const life = this.#life;
    const isOver = () => life !== this.#life;
    // What one step asks for is asked for at once.
    queueMicrotask(() => {
      this.#send(isOver).then(
        () => {
          if (!isOver()) this.open();
        },
        (error: Error) => {
          if (!isOver()) this.#link.fail(error.message);
        },
      );
    });
  }

  async #send(isOver: () => boolean): Promise<void> {
    const unwanted = [...this.#unwanted];
    this.#unwanted.clear();
    const wanted = [...this.#wanted];
    this.#wanted.clear();
    for (let at = 0; at < unwanted.length; at += MOST_AT_ONCE) {
      if (isOver()) return;
      const some = unwanted.slice(at, at + MOST_AT_ONCE);
      await this.#link.unsubscribe(some.map(channelOf));
      await this.#link.run('unwant', this.#id, ...some);
    }
    const byAsker = new Map<string, ContractKey[]>();
    for (const [key, asker] of wanted) byAsker.set(asker, [...(byAsker.get(asker) ?? []), key]);
    for (const [asker, keys] of byAsker) {
      for (let at = 0; at < keys.length; at += MOST_AT_ONCE) {
        if (isOver()) return;
        await this.#register(keys.slice(at, at + MOST_AT_ONCE), asker, '+');
      }
    }
  }

  async #register(keys: readonly ContractKey[], asker: string, mode: '=' | '+'): Promise<void> {
    await this.#link.subscribe(keys.map(channelOf));
    const pairs = keys.flatMap((key) => [key, this.#told.sequenceOf(key)]);
    const token = String(++this.#tokens);
    await this.#link.run('want', this.#id, JSON.stringify(asker), mode, LIFE_MS, token, ...pairs);
  }
}

function channelOf(key: ContractKey): string {
  return `c:${key}`;
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
