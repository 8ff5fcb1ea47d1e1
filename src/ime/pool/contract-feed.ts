import type { ContractStatus, StatusCause } from '../../contract/contract-status.ts';
import type { ContractKey } from '../../contract/key.ts';
import type { Snapshot } from '../../contract/snapshot.ts';
import type { DecodedMessage, Shard } from '../sockets/shard.ts';
import { Overlap } from './overlap.ts';

/**
 * One contract on its way from the sockets that carry it to the hub: whether it is wanted, whether IME
 * is known to accept it, which shards carry it, and how what several of them deliver becomes one run.
 */
export class ContractFeed {
  wanted = false;
  /** IME accepted it: by a message, or by its socket staying open. */
  proven = false;
  /** Who has asked for it while nothing was known of it, the first few; nobody where it is the gateway's own wish. */
  askers: readonly string[] = [];
  /** A batch with it was refused and is being searched: it is not dialed otherwise. */
  underSearch = false;
  /** A state has been delivered since it was last asked for. */
  delivered = false;
  /** What its subscribers have last been told, or would have been. */
  status: ContractStatus = 'PENDING';
  /** Why, in words, while that is not LIVE. */
  reason: string | undefined;
  /** How many states have been delivered. */
  sequence = 0;
  /** The last of them, while the connection that brought it is open: it is told to whoever asks anew. */
  last: { readonly snapshot: Snapshot; readonly stale: StatusCause | undefined } | undefined;
  /** The last message could not be read. */
  unreadable = false;
  readonly shards = new Set<Shard>();
  #overlap: Overlap<Shard, Snapshot> | undefined;

  constructor(readonly key: ContractKey) {}

  /** `shard` is about to dial with this contract. */
  join(shard: Shard): void {
    this.shards.add(shard);
    if (this.#overlap === undefined) {
      for (const other of this.shards) {
        // One that still dials may open first, and then both deliver from the start.
        if (other === shard || !(other.isOpen || other.state === 'dialing')) continue;
        this.#overlap = new Overlap(other);
        break;
      }
    }
    this.#overlap?.join(shard);
  }

  /** @returns the snapshots to deliver now, in order; none for one that was delivered already */
  receive(shard: Shard, message: DecodedMessage): readonly Snapshot[] {
    if (!this.shards.has(shard)) return [];
    if (this.#overlap === undefined) return [message.snapshot];
    const { text, snapshot } = message;
    const { timestamp } = snapshot;
    const delivered = this.#overlap.receive(shard, { text, timestamp, message: snapshot }, isOpen);
    this.#endOverlap();
    return delivered.map((one) => one.message);
  }

  /**
   * `shard` has lost its connection or is closed, whether or not it will dial again with it.
   *
   * @returns snapshots that were held back behind `shard`, to deliver now, and whether another shard
   *   carries the contract on without a gap
   */
  leave(shard: Shard, forGood: boolean): { held: readonly Snapshot[]; carriedOn: boolean } {
    if (forGood) this.shards.delete(shard);
    const held = this.#overlap?.leave(shard, isOpen).map(({ message }) => message) ?? [];
    this.#endOverlap();
    let carriedOn = false;
    for (const other of this.shards) {
      if (other !== shard && other.state === 'settled') carriedOn = true;
    }
    return { held, carriedOn };
  }

  /** Whether any shard carries it over an open connection. */
  get isCarried(): boolean {
    for (const shard of this.shards) if (shard.isOpen) return true;
    return false;
  }

  #endOverlap(): void {
    if (this.#overlap?.isOver) this.#overlap = undefined;
  }
}

function isOpen(shard: Shard): boolean {
  return shard.isOpen;
}
