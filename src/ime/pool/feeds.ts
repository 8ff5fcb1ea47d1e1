import {
  AWAITING_STATE,
  type ContractStatus,
  type StatusCause,
} from '../../contract/contract-status.ts';
import type { ContractKey } from '../../contract/key.ts';
import { type Snapshot, withKnownSections } from '../../contract/snapshot.ts';
import type { ContractSink } from '../../hub/source.ts';
import { isRefusal } from '../sockets/failure.ts';
import type { DecodedMessage, Shard } from '../sockets/shard.ts';
import type { Upstream } from '../sockets/upstream.ts';
import { ContractFeed } from './contract-feed.ts';
import { InvalidMemory } from './invalid-memory.ts';

const REFUSED: StatusCause = { code: 'UNKNOWN_CONTRACT', reason: 'IME refuses this contract.' };
const ACCEPTED: StatusCause = {
  code: 'AWAITING_STATE',
  reason: 'IME accepts this contract now; no state has arrived yet.',
};

/** So many who ask for a contract of which nothing is known yet are remembered. */
const MOST_ASKERS = 8;

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

  /** Contracts that are to be carried, but for those that are searched: they have sockets of their own for as long. */
  settledKeys(): ContractKey[] {
    const settled = [...this.wanted()].filter((feed) => !feed.underSearch && this.usable(feed.key));
    return settled.map((feed) => feed.key);
  }

  /** Whether every contract of `shard` that is to be carried has another shard that `counts`. */
  carriedByOthers(shard: Shard, counts: (other: Shard) => boolean): boolean {
    for (const key of shard.keys) {
      const feed = this.#feeds.get(key);
      if (feed === undefined || !feed.shards.has(shard) || !this.usable(key)) continue;
      let carried = false;
      for (const other of feed.shards) if (other !== shard && counts(other)) carried = true;
      if (!carried) return false;
    }
    return true;
  }

  /** Others have asked IME before: what is known of contracts that nobody here has wanted yet. */
  learn(proven: readonly ContractKey[], refused: readonly ContractKey[]): void {
    for (const key of proven) {
      const feed = this.#feeds.get(key) ?? new ContractFeed(key);
      feed.proven = true;
      this.#feeds.set(key, feed);
    }
    for (const key of refused) this.invalid.convict(key, this.#upstream.clock.monotonicMs());
  }

  /**
   * @param trouble why nothing can be asked of IME now
   * @param asker whom it is asked for; `undefined` for the gateway itself
   */
  retain(key: ContractKey, trouble: StatusCause | undefined, asker: string | undefined): void {
    const feed = this.#feeds.get(key) ?? new ContractFeed(key);
    this.#feeds.set(key, feed);
    feed.wanted = true;
    feed.askers = asker === undefined ? [] : [asker];
    if (feed.proven) this.#sink.accepted(key);
    feed.delivered = false;
    feed.unreadable = false;
    if (this.invalid.has(key)) this.#tell(feed, 'INVALID', REFUSED);
    else if (feed.last !== undefined && feed.isCarried) this.#deliverLast(feed, feed.last);
    else this.#tell(feed, 'PENDING', trouble ?? AWAITING_STATE);
  }

  /** Somebody else asks for a contract as well. @returns whether that may change how soon it is dialed */
  askedToo(key: ContractKey, asker: string): boolean {
    const feed = this.#feeds.get(key);
    if (feed === undefined || feed.proven || !this.usable(key)) return false;
    const { askers } = feed;
    if (askers.length === 0 || askers.length >= MOST_ASKERS || askers.includes(asker)) return false;
    feed.askers = [...askers, asker];
    return feed.underSearch;
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

  /** A message of a contract cannot be read: what it says is missing, and nobody knows what it was. */
  unreadable(shard: Shard, key: ContractKey, fault: string): void {
    const feed = this.#feeds.get(key);
    if (feed === undefined || !feed.shards.has(shard) || feed.unreadable) return;
    feed.unreadable = true;
    feed.last = undefined;
    const reason = `IME's messages of this contract cannot be read (${fault}).`;
    this.#tellLost(feed, { code: 'UNREADABLE', reason });
  }

  /** How many contracts that are wanted cannot be read. */
  get unreadableCount(): number {
    let count = 0;
    for (const feed of this.wanted()) if (feed.unreadable) count++;
    return count;
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

  /** A socket was taken for accepted and is refused all the same: what only that had proven is not. */
  unprove(keys: readonly ContractKey[]): void {
    for (const key of keys) {
      const feed = this.#feeds.get(key);
      if (feed?.sequence === 0 && feed.shards.size === 0) feed.proven = false;
    }
  }

  /**
   * IME refuses exactly this contract.
   *
   * @param inferred whether it was found by all others being accepted
   * @param cause where it is another than the usual one
   */
  convict(key: ContractKey, inferred = false, cause: StatusCause = REFUSED): void {
    this.invalid.convict(key, this.#upstream.clock.monotonicMs(), inferred);
    const feed = this.#feeds.get(key);
    if (feed === undefined) return;
    feed.proven = false;
    feed.underSearch = false;
    // A socket that still carries it from before is not listened to: IME would not open it again.
    for (const shard of feed.shards) feed.leave(shard, true);
    feed.last = undefined;
    if (feed.wanted) this.#tell(feed, 'INVALID', cause);
    this.#forgetIfUnused(feed);
  }

  /** A batch is searched for contracts that IME refuses, or is so no more. */
  search(batch: readonly ContractKey[], underSearch: boolean): void {
    for (const key of batch) {
      const feed = this.#feeds.get(key);
      if (feed !== undefined) feed.underSearch = underSearch;
    }
  }

  /** `shard` has no connection any more; `forGood` where it will not dial with these contracts again. */
  lose(shard: Shard, keys: Iterable<ContractKey>, forGood: boolean, reason: string): void {
    const cause: StatusCause = {
      code: 'UPSTREAM_LOST',
      reason: `The connection to IME was lost: ${reason}.`,
    };
    const { failure } = shard;
    const isDialFailure = failure !== undefined && failure.openForMs === undefined;
    const isAsked = failure !== undefined && isRefusal(failure.class);
    for (const key of keys) {
      const feed = this.#feeds.get(key);
      if (feed === undefined || !feed.shards.has(shard)) continue;
      const { held, carriedOn } = feed.leave(shard, forGood);
      this.#deliver(feed, held);
      // Why it became STALE stays the reason while dial after dial fails.
      if (!carriedOn) {
        feed.last = undefined;
        feed.unreadable = false;
      }
      // What was never there is not lost: what a refusal of it means is found out, and then told.
      const isKnown =
        feed.status === 'STALE' ? isDialFailure : isAsked && feed.status === 'PENDING';
      if (!carriedOn && !isKnown) this.#tellLost(feed, cause);
      this.#forgetIfUnused(feed);
    }
  }

  /** `shard` is not going to dial with its contracts after all. */
  withdraw(shard: Shard): void {
    for (const key of shard.keys) {
      const feed = this.#feeds.get(key);
      feed?.shards.delete(shard);
      if (feed !== undefined) this.#forgetIfUnused(feed);
    }
  }

  /** Tells the subscribers of every contract that no open socket carries why that is so. */
  tellTrouble(cause: StatusCause): void {
    for (const feed of this.wanted()) if (!feed.isCarried) this.#tellLost(feed, cause);
  }

  clear(): void {
    this.#feeds.clear();
  }

  #prove(feed: ContractFeed): void {
    if (!feed.proven && feed.wanted) this.#sink.accepted(feed.key);
    feed.proven = true;
    this.invalid.forget(feed.key);
  }

  #deliver(feed: ContractFeed, snapshots: readonly Snapshot[]): void {
    const { clock, counts, delay, zone } = this.#upstream;
    for (const snapshot of snapshots) {
      const { receivedAtMs } = snapshot;
      const timestampMs = zone.toEpochMs(snapshot.timestamp) ?? receivedAtMs;
      // The day's clock may be set, which delays nothing: the time of arrival is taken by the other one.
      const nowMs = clock.monotonicMs();
      const arrivedAtMs = receivedAtMs - clock.nowMs() + nowMs;
      const lateMs = delay.lateByMs(arrivedAtMs, timestampMs, nowMs);
      let stale: StatusCause | undefined;
      if (lateMs > 0) {
        counts.lateMessages++;
        const seconds = (lateMs / 1000).toFixed(1);
        const reason = `IME's messages are late: this one by ${seconds} s.`;
        stale = { code: 'UPSTREAM_LATE', reason };
      }
      feed.sequence++;
      feed.unreadable = false;
      feed.last = { snapshot: withKnownSections(snapshot, feed.last?.snapshot ?? null), stale };
      this.#deliverLast(feed, feed.last);
    }
  }

  #deliverLast(feed: ContractFeed, { snapshot, stale }: NonNullable<ContractFeed['last']>): void {
    feed.status = stale === undefined ? 'LIVE' : 'STALE';
    feed.reason = stale?.reason;
    if (!feed.wanted) return;
    feed.delivered = true;
    const position = this.#upstream.positions.next();
    this.#sink.state(feed.key, { position, sequence: feed.sequence, snapshot, stale });
  }

  #tell(feed: ContractFeed, status: Exclude<ContractStatus, 'LIVE'>, cause: StatusCause): void {
    feed.status = status;
    feed.reason = cause.reason;
    if (!feed.wanted) return;
    this.#sink.status(feed.key, { status, cause, position: this.#upstream.positions.next() });
  }

  #tellLost(feed: ContractFeed, cause: StatusCause): void {
    if (feed.status === 'INVALID') return;
    const status = feed.delivered ? 'STALE' : 'PENDING';
    if (status !== feed.status || cause.reason !== feed.reason) this.#tell(feed, status, cause);
  }

  #forgetIfUnused(feed: ContractFeed): void {
    if (!feed.wanted && feed.shards.size === 0) this.#feeds.delete(feed.key);
  }
}
