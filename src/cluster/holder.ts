import type { ContractKey } from '../contract/key.ts';
import type { ContractSink, ContractSource, NewState, NewStatus } from '../hub/source.ts';
import type { Clock } from '../lib/clock.ts';
import type { Member } from './redis/beat.ts';
import { Wishes } from './wishes.ts';
import { WriteQueue } from './write-queue.ts';

/** A source that a cluster can share. */
export interface HeldSource extends ContractSource {
  /** What others have found out of contracts that are not retained yet: what exists, and what is refused. */
  learn?(proven: readonly ContractKey[], refused: readonly ContractKey[]): void;
}

/** Starts a source that tells a sink. */
export type StartSource = (sink: ContractSink) => HeldSource;

/** What Redis knew when the lease was taken: who wants what, and what is known of it. */
export interface Takeover {
  /** What must be in force for whoever writes. */
  readonly fence: string;
  readonly wishes: readonly {
    readonly gateway: string;
    readonly key: ContractKey;
    readonly known: 'new' | 'proven' | 'refused';
  }[];
}

/** What a holder needs of its gateway. */
export interface HolderOwner {
  /** Writes by the fence. @throws Error where that is in force no more, or Redis cannot be asked */
  write(fence: string, args: readonly string[]): Promise<unknown>;
  /** Something could not be written. */
  writeFailed(error: Error): void;
  /** Reads what a gateway wants. */
  readWishes(gateway: string): Promise<readonly ContractKey[]>;
}

/** The gateway that has the upstream: asks it for what all gateways want, and writes what it tells. */
export class Holder implements ContractSink {
  readonly #owner: HolderOwner;
  readonly #queue: WriteQueue;
  readonly #wishes: Wishes;
  readonly source: HeldSource;
  #fence: string;
  #isClosed = false;

  constructor(owner: HolderOwner, start: StartSource, takeover: Takeover, clock: Clock) {
    this.#owner = owner;
    this.#fence = takeover.fence;
    this.#queue = new WriteQueue(
      (args) => owner.write(this.#fence, args),
      (error) => owner.writeFailed(error),
    );
    const again = (keys: readonly ContractKey[]) => this.#again(keys);
    this.#wishes = new Wishes(
      {
        wanted: (keys, asker) => this.source.retain(keys, asker),
        askedToo: (keys, asker) => this.source.askedToo?.(keys, asker),
        unwanted: (keys) => this.#unwanted(keys),
        again,
        readAnew: (gateway) => void this.#readAnew(gateway),
      },
      clock,
    );
    this.source = start(this);
    const known = (what: 'proven' | 'refused') =>
      takeover.wishes.flatMap((wish) => (wish.known === what ? [wish.key] : []));
    this.source.learn?.(known('proven'), known('refused'));
    this.#adopt(takeover);
  }

  get fence(): string {
    return this.#fence;
  }

  /** How many contracts are asked of the upstream. */
  get size(): number {
    return this.#wishes.keys.size;
  }

  /** The lease was lost and is had again: all that is known is written once more. */
  retake(takeover: Takeover): void {
    this.#fence = takeover.fence;
    this.#queue.clear();
    this.#adopt(takeover);
    this.writeAgain();
  }

  /** What was written lately may not have arrived: all that is known is written once more. */
  writeAgain(): void {
    this.#queue.clear();
    this.#again([...this.#wishes.keys]);
  }

  heardWish(text: string): void {
    this.#wishes.heard(text);
  }

  compare(members: readonly Member[]): void {
    this.#wishes.compare(members);
  }

  state(key: ContractKey, state: NewState): void {
    this.#queue.add({ kind: 'S', key, state });
  }

  status(key: ContractKey, { status, cause }: NewStatus): void {
    this.#queue.add({ kind: 'T', key, status, cause });
  }

  accepted(key: ContractKey): void {
    this.#queue.add({ kind: 'A', key });
  }

  close(): void {
    this.#isClosed = true;
    this.#wishes.close();
    this.#queue.close();
    this.source.close();
  }

  #adopt({ wishes }: Takeover): void {
    const byGateway = new Map<string, ContractKey[]>();
    for (const { gateway, key } of wishes) {
      const keys = byGateway.get(gateway) ?? [];
      keys.push(key);
      byGateway.set(gateway, keys);
    }
    for (const [gateway, keys] of byGateway) this.#wishes.replace(gateway, keys);
  }

  /** A source tells what it knows of a contract to whoever asks anew. */
  #again(keys: readonly ContractKey[]): void {
    if (keys.length === 0) return;
    this.source.release(keys);
    this.source.retain(keys);
  }

  #unwanted(keys: readonly ContractKey[]): void {
    this.source.release(keys);
    for (const key of keys) this.#queue.add({ kind: 'D', key });
  }

  async #readAnew(gateway: string): Promise<void> {
    try {
      const keys = await this.#owner.readWishes(gateway);
      if (!this.#isClosed) this.#wishes.replace(gateway, keys);
    } catch {
      // The next look asks again.
    }
  }
}
