import type { ContractStatus } from '../../contract/contract-status.ts';
import type { ContractKey } from '../../contract/key.ts';
import type { Snapshot } from '../../contract/snapshot.ts';
import type { ContractSink } from '../../hub/source.ts';
import type { DecodedMessage, Shard } from '../sockets/shard.ts';
import type { Upstream } from '../sockets/upstream.ts';
import { ContractFeed } from './contract-feed.ts';
import { InvalidMemory } from './invalid-memory.ts';

const REFUSED = 'IME refuses this contract.';
const ACCEPTED = 'IME accepts this contract now; no state has arrived yet.';

/** The contracts of one key space, wanted or still carried: what is known of each, and what is told. */
export class ContractFeeds {
  readonly invalid = new InvalidMemory();
  readonly #feeds = new Map<ContractKey, ContractFeed>();
  readonly #upstream: Upstream;
  readonly #sink: ContractSink;

  constructor(upstream: Upstream, sink: ContractSink) {
    this.#upstream = upstream;
    this.#sink = sink;
  }

  get(key: ContractKey): ContractFeed | undefined {
    return this.#feeds.get(key);
  }

  /** Every contract that is wanted. */
  *wanted(): Generator<ContractFeed> {
    for (const feed of this.#feeds.values()) if (feed.wanted) yield feed;
  }

  /** Whether the contract is to be carried: wanted, and not refused. */
  usable(key: ContractKey): boolean {
    return (this.#feeds.get(key)?.wanted ?? false) && !this.invalid.has(key);
  }

  /** Contracts that IME has accepted before, those that have delivered a state first. */
  provenKeys(): ContractKey[] {
    const proven = [...this.wanted()].filter((feed) => feed.proven);
    return proven.sort((a, b) => Number(b.delivered) - Number(a.delivered)).map((feed) => feed.key);
  }

  /** Contracts of which IME has said nothing yet. */
  unprovenKeys(): ContractKey[] {
    const unproven = [...this.wanted()].filter(
      (feed) => !feed.proven && !this.invalid.has(feed.key),
    );
    return unproven.map((feed) => feed.key);
  }

  /** @param trouble why nothing can be asked of IME now */
  retain(key: ContractKey, trouble: string | undefined): void {
    const feed = this.#feeds.get(key) ?? new ContractFeed(key);
    this.#feeds.set(key, feed);
    feed.wanted = true;
    feed.delivered = false;
    feed.status = 'PENDING';
    if (this.invalid.has(key)) this.#tell(feed, 'INVALID', REFUSED);
    else if (trouble !== undefined) this.#tell(feed, 'PENDING', trouble);
  }

  release(key: ContractKey): void {
    const feed = this.#feeds.get(key);
    if (feed === undefined) return;
    feed.wanted = false;
    this.#forgetIfUnused(feed);
  }

  /** Delivers what is new in a message. @returns whether it proves a contract unproven so far */
  receive(shard: Shard, message: DecodedMessage): boolean {
    const feed = this.#feeds.get(message.key);
    if (feed === undefined || !feed.shards.has(shard)) return false;
    const proves = !feed.proven;
    if (proves) this.#prove(feed);
    const snapshots = feed.receive(shard, message);
    if (snapshots.length === 0) this.#upstream.counts.duplicates++;
    this.#deliver(feed, snapshots);
    return proves;
  }

  /** The shard's subscription is accepted, and so is each of its contracts. */
  accepted(shard: Shard): void {
    for (const key of shard.keys) {
      const feed = this.#feeds.get(key);
      if (feed === undefined || !feed.shards.has(shard)) continue;
      this.#prove(feed);
      if (feed.status === 'INVALID') this.#tell(feed, 'PENDING', ACCEPTED);
    }
  }

  /**
   * IME refuses exactly this contract.
   *
   * @param inferred whether it was found by all others being accepted
   * @param reason in words, where it is another than the usual one
   */
  convict(key: ContractKey, inferred = false, reason: string = REFUSED): void {
    this.invalid.convict(key, Date.now(), inferred);
    const feed = this.#feeds.get(key);
    if (feed === undefined) return;
    feed.proven = false;
    feed.underSearch = false;
    // A socket that still carries it from before is not listened to: IME would not open it again.
    for (const shard of feed.shards) feed.leave(shard, true);
    if (feed.wanted) this.#tell(feed, 'INVALID', reason);
    this.#forgetIfUnused(feed);
  }

  /** `shard` has no connection any more; `forGood` where it will not dial with these contracts again. */
  lose(shard: Shard, keys: Iterable<ContractKey>, forGood: boolean, reason: string): void {
    const isDialFailure = shard.failure !== undefined && shard.failure.openForMs === undefined;
    for (const key of keys) {
      const feed = this.#feeds.get(key);
      if (feed === undefined || !feed.shards.has(shard)) continue;
      const { held, carriedOn } = feed.leave(shard, forGood);
      this.#deliver(feed, held);
      // Why it became STALE stays the reason while dial after dial fails.
      if (!carriedOn && !(isDialFailure && feed.status === 'STALE')) this.#tellLost(feed, reason);
      this.#forgetIfUnused(feed);
    }
  }

  /** Tells the subscribers of every contract that no open socket carries why that is so. */
  tellTrouble(reason: string): void {
    for (const feed of this.wanted()) if (!feed.isCarried) this.#tellLost(feed, reason);
  }

  clear(): void {
    this.#feeds.clear();
  }

  #prove(feed: ContractFeed): void {
    feed.proven = true;
    this.invalid.forget(feed.key);
  }

  #deliver(feed: ContractFeed, snapshots: readonly Snapshot[]): void {
    if (!feed.wanted) return;
    for (const snapshot of snapshots) {
      const timestampMs = this.#upstream.zone.toEpochMs(snapshot.timestamp);
      const lateMs = this.#upstream.delay.lateByMs(
        snapshot.receivedAtMs,
        timestampMs ?? snapshot.receivedAtMs,
      );
      feed.delivered = true;
      feed.status = lateMs > 0 ? 'STALE' : 'LIVE';
      if (lateMs === 0) {
        this.#sink.publish(feed.key, snapshot);
        continue;
      }
      this.#upstream.counts.lateMessages++;
      const seconds = (lateMs / 1000).toFixed(1);
      this.#sink.publish(feed.key, snapshot, `IME's messages are late: this one by ${seconds} s.`);
    }
  }

  #tell(feed: ContractFeed, status: Exclude<ContractStatus, 'LIVE'>, reason: string): void {
    feed.status = status;
    this.#sink.setStatus(feed.key, status, reason);
  }

  #tellLost(feed: ContractFeed, reason: string): void {
    if (!feed.wanted || feed.status === 'INVALID') return;
    this.#tell(feed, feed.delivered ? 'STALE' : 'PENDING', reason);
  }

  #forgetIfUnused(feed: ContractFeed): void {
    if (!feed.wanted && feed.shards.size === 0) this.#feeds.delete(feed.key);
  }
}
