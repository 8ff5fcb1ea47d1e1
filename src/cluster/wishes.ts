import type { ContractKey } from '../contract/key.ts';
import type { Clock } from '../lib/clock.ts';
import type { Member } from './redis/beat.ts';

/** Who is told what all gateways together want. */
export interface WishOwner {
  wanted(keys: readonly ContractKey[], asker: string): void;
  askedToo(keys: readonly ContractKey[], asker: string): void;
  unwanted(keys: readonly ContractKey[]): void;
  /** What is known of contracts is to be told once more. */
  again(keys: readonly ContractKey[]): void;
  /** What is known of a gateway's wishes cannot be right. */
  readAnew(gateway: string): void;
}

/** For how long a contract that nobody wants is kept: whoever registers anew leaves it out for a moment. */
const RELEASE_MS = 1_000;
/** A gateway that is not there counts for so long: where Redis has come back empty, all come one by one. */
const ABSENT_MS = 6_000;

/** What all gateways of a cluster want, as the one that holds the upstream knows it. */
export class Wishes {
  readonly #owner: WishOwner;
  readonly #clock: Clock;
  readonly #byGateway = new Map<string, Set<ContractKey>>();
  readonly #counts = new Map<ContractKey, number>();
  readonly #held = new Set<ContractKey>();
  readonly #seenAtMs = new Map<string, number>();
  /** Gateways whose wishes were not as many as Redis says when it was last asked. */
  #doubted = new Set<string>();
  #cancelRelease: (() => void) | undefined;

  constructor(owner: WishOwner, clock: Clock) {
    this.#owner = owner;
    this.#clock = clock;
  }

  /** Every contract that is asked of the upstream. */
  get keys(): ReadonlySet<ContractKey> {
    return this.#held;
  }

  /** What a gateway says on the channel of wishes. */
  heard(text: string): void {
    const [gateway = '', asked = '""', ...rest] = text.slice(1).split('\n');
    const keys = rest as ContractKey[];
    const asker = (JSON.parse(asked) as string) || gateway;
    switch (text[0]) {
      case '=':
        this.replace(gateway, keys, asker);
        break;
      case '+':
        this.#add(gateway, keys, asker);
        break;
      case '-':
        this.#remove(gateway, keys);
        break;
      case '?':
        this.#owner.askedToo(this.#heldOf(keys), asker);
        break;
      case '!':
        this.#owner.again(this.#heldOf(keys));
        break;
    }
  }

  /** All that a gateway wants. */
  replace(gateway: string, keys: readonly ContractKey[], asker = gateway): void {
    const wanted = new Set(keys);
    const last = this.#byGateway.get(gateway) ?? [];
    this.#remove(
      gateway,
      [...last].filter((key) => !wanted.has(key)),
    );
    this.#add(gateway, keys, asker);
  }

  /** Compares with the gateways that are there. */
  compare(members: readonly Member[]): void {
    const nowMs = this.#clock.monotonicMs();
    const doubted = new Set<string>();
    for (const { id, wishes } of members) {
      this.#seenAtMs.set(id, nowMs);
      if ((this.#byGateway.get(id)?.size ?? 0) === wishes) continue;
      // What is on its way makes them differ for a moment.
      if (this.#doubted.has(id)) this.#owner.readAnew(id);
      else doubted.add(id);
    }
    this.#doubted = doubted;
    for (const [id, keys] of this.#byGateway) {
      const seenAtMs = this.#seenAtMs.get(id) ?? nowMs;
      this.#seenAtMs.set(id, seenAtMs);
      if (nowMs - seenAtMs < ABSENT_MS) continue;
      this.#remove(id, [...keys]);
      this.#byGateway.delete(id);
      this.#seenAtMs.delete(id);
    }
  }

  close(): void {
    this.#cancelRelease?.();
  }

  #heldOf(keys: readonly ContractKey[]): ContractKey[] {
    return keys.filter((key) => this.#held.has(key));
  }

  #add(gateway: string, keys: readonly ContractKey[], asker: string): void {
    const own = this.#byGateway.get(gateway) ?? new Set();
    this.#byGateway.set(gateway, own);
    const added: ContractKey[] = [];
    for (const key of keys) {
      if (own.has(key)) continue;
      own.add(key);
      this.#counts.set(key, (this.#counts.get(key) ?? 0) + 1);
      if (this.#held.has(key)) continue;
      this.#held.add(key);
      added.push(key);
    }
    if (added.length > 0) this.#owner.wanted(added, asker);
  }

  #remove(gateway: string, keys: readonly ContractKey[]): void {
    const own = this.#byGateway.get(gateway);
    for (const key of keys) {
      if (own?.delete(key) !== true) continue;
      const count = (this.#counts.get(key) ?? 1) - 1;
      if (count > 0) this.#counts.set(key, count);
      else this.#counts.delete(key);
    }
    this.#cancelRelease ??= this.#clock.setTimeout(() => this.#release(), RELEASE_MS);
  }

  #release(): void {
    this.#cancelRelease = undefined;
    const unwanted = [...this.#held].filter((key) => !this.#counts.has(key));
    for (const key of unwanted) this.#held.delete(key);
    if (unwanted.length > 0) this.#owner.unwanted(unwanted);
  }
}
