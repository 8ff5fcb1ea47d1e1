import type { ContractKey, KeySpace } from '../../contract/key.ts';
import type { ContractSink } from '../../hub/source.ts';
import type { DialTurn } from '../sockets/dial-gate.ts';
import { describeEnd, noDialForMs } from '../sockets/failure.ts';
import {
  type DecodedMessage,
  Shard,
  type ShardFailure,
  type ShardOwner,
} from '../sockets/shard.ts';
import type { Upstream } from '../sockets/upstream.ts';
import { byAsker } from './askers.ts';
import { ConnectionLog } from './connection-log.ts';
import { ContractFeeds } from './feeds.ts';
import { areDoubted, newcomers } from './newcomers.ts';
import {
  type JudgedPool,
  type ProbeAnswer,
  probeAnswer,
  type RefusalJudge,
  refusalKind,
} from './refusal-judge.ts';
import { outdated, replacedSinceMs, shardLoads } from './shard-loads.ts';
import { packShards, planCompaction } from './shard-plan.ts';
import { ShardSizing } from './shard-sizing.ts';

/** For how long wishes are gathered before they are dialed together. */
const GATHER_MS = 250;
/** For how long a replaced socket stays open beside the one that replaces it. */
const OVERLAP_MS = 250;
/** How soon the shards are looked at again after something about them changed. */
const REPLAN_MS = 20;

/** The contracts of one key space, shared out over few sockets. */
export class ImePool implements ShardOwner, JudgedPool {
  readonly feeds: ContractFeeds;
  readonly #upstream: Upstream;
  readonly #judge: RefusalJudge;
  readonly #shards = new Set<Shard>();
  /** Shards that are being replaced, by the one that replaces them. */
  readonly #replacements = new Map<Shard, readonly Shard[]>();
  readonly #probes = new Map<Shard, (answer: ProbeAnswer) => void>();
  readonly #sizing: ShardSizing;
  readonly #connectionLog: ConnectionLog;
  #cancelPlan: (() => void) | undefined;
  #planAtMs = 0;
  #closed = false;

  constructor(
    readonly space: KeySpace,
    upstream: Upstream,
    sink: ContractSink,
    judge: RefusalJudge,
  ) {
    this.#upstream = upstream;
    this.#judge = judge;
    this.#sizing = new ShardSizing(upstream, space);
    this.#connectionLog = new ConnectionLog(upstream, space);
    this.feeds = new ContractFeeds(upstream, sink);
  }

  /** The sockets, those that wait to dial included. */
  get shards(): ReadonlySet<Shard> {
    return this.#shards;
  }

  retain(keys: readonly ContractKey[], asker: string | undefined): void {
    for (const key of keys) this.feeds.retain(key, this.#judge.trouble, asker);
    this.#planIn(GATHER_MS);
  }

  /** Somebody else asks for contracts: those that are searched with others' are tried for them, too. */
  askedToo(keys: readonly ContractKey[], asker: string): void {
    const searched = keys.filter((key) => this.feeds.askedToo(key, asker));
    for (const packed of packShards(searched, this.#sizing.bounds)) {
      this.#judge.tryOut(this, { asker, keys: packed });
    }
  }

  release(keys: readonly ContractKey[]): void {
    for (const key of keys) this.feeds.release(key);
    this.#planIn(REPLAN_MS);
  }

  /**
   * Dials some contracts on a socket of their own. Accepted, the socket stays and carries them, unless
   * others carry them all already.
   */
  probe(keys: readonly ContractKey[], turn: DialTurn): Promise<ProbeAnswer> {
    if (this.#closed) return Promise.resolve('closed');
    return new Promise((resolve) => {
      const shard = this.#add(keys, turn);
      this.#probes.set(shard, resolve);
      shard.dial();
    });
  }

  /**
   * Another credential is in force: sockets that were dialed with one that ends are replaced, make before
   * break.
   */
  renew(): void {
    const { current } = this.#upstream.credentials;
    const shards = [...this.#shards].filter((shard) => !this.#probes.has(shard));
    for (const [shard, keys] of outdated(shards, this.#replacements, current, this.feeds)) {
      const next = this.#add(keys);
      this.#replacements.set(next, [shard]);
      next.dial();
    }
  }

  /** The search that held these contracts back is over: those not convicted are dialed as usual. */
  searched(batch: readonly ContractKey[]): void {
    this.feeds.search(batch, false);
    this.#planIn(REPLAN_MS);
  }

  close(): void {
    this.#closed = true;
    this.#cancelPlan?.();
    for (const shard of this.#shards) shard.close();
    for (const answer of this.#probes.values()) answer('closed');
    for (const own of [this.#probes, this.#replacements, this.#shards]) own.clear();
    this.feeds.clear();
  }

  shardDials(shard: Shard): void {
    for (const key of shard.keys) this.feeds.get(key)?.join(shard);
  }

  shardReceived(shard: Shard, message: DecodedMessage): void {
    if (this.feeds.receive(shard, message)) this.#judge.accepted(shard.dialedAtMs, shard.form);
  }

  shardUnreadable(shard: Shard, key: ContractKey, fault: string): void {
    this.feeds.unreadable(shard, key, fault);
  }

  shardAccepted(shard: Shard): void {
    this.#connectionLog.accepted();
    this.#judge.accepted(shard.dialedAtMs, shard.form);
    this.feeds.accepted(shard);
    const answer = this.#probes.get(shard);
    if (answer !== undefined) {
      this.#probes.delete(shard);
      if (this.feeds.carriedByOthers(shard, (other) => other.isAccepted)) {
        this.#discard(shard, 'the probe was answered');
      }
      answer('accepted');
    }
    this.#planIn(REPLAN_MS);
  }

  shardSettled(_shard: Shard): void {
    this.#planIn(OVERLAP_MS);
  }

  shardEnded(shard: Shard, failure: ShardFailure): void {
    const reason = describeEnd(failure.end);
    this.#connectionLog.ended(shard, failure);
    this.feeds.lose(shard, shard.keys, false, reason);
    const tokenChanged = this.#upstream.credentials.reread();
    if (failure.class === 'throttled') this.#upstream.gate.pauseFor(noDialForMs(failure.end));
    const answer = this.#probes.get(shard);
    if (answer !== undefined) {
      this.#probes.delete(shard);
      this.#discard(shard, reason);
      answer(probeAnswer(failure));
    } else if (failure.class === 'ambiguous' || failure.class === 'token') {
      this.#refused(shard, failure, tokenChanged);
    } else if (failure.class === 'tooLong') {
      this.#discard(shard, reason);
      const [only, another] = shard.keys;
      if (only !== undefined && another === undefined) {
        this.feeds.convict(only, false, {
          code: 'UNKNOWN_CONTRACT',
          reason: `IME refuses even a URL with it alone: ${reason}.`,
        });
      } else this.#sizing.refused(shard.keys);
    } else {
      this.#retry(shard, reason);
    }
    this.#planIn(REPLAN_MS);
  }

  #refused(shard: Shard, failure: ShardFailure, tokenChanged: boolean): void {
    const reason = describeEnd(failure.end);
    const batch = [...shard.keys].filter((key) => this.feeds.get(key)?.shards.has(shard));
    const askers = byAsker(batch, this.feeds, this.#judge);
    this.#discard(shard, reason);
    // The token that was refused is not the one in force any more.
    if (tokenChanged || this.#upstream.isOutdated(shard.credential)) return;
    const kind = refusalKind(failure);
    const isUnproven = shard.reconnects === 0 && shard.wasRefusedFirst;
    if (isUnproven) this.feeds.unprove(batch);
    if (kind === 'batch' || isUnproven) this.#judge.dialedInVain(askers);
    // Nobody wants some of these contracts any more: another dial, with what is left, tells more than a search.
    if (batch.every((key) => this.feeds.usable(key))) {
      this.feeds.search(batch, true);
      this.#judge.refused(this, batch, kind);
    }
    this.#withdraw();
  }

  /** What waits to be dialed for askers who have come into doubt waits for their turn instead. */
  #withdraw(): void {
    for (const shard of this.#shards) {
      const isNew = shard.state === 'queued' && shard.failure === undefined;
      if (!isNew || this.#probes.has(shard)) continue;
      if (!areDoubted(shard.keys, this.feeds, this.#judge)) continue;
      this.#shards.delete(shard);
      shard.close();
      this.feeds.withdraw(shard);
    }
  }

  #retry(shard: Shard, reason: string): void {
    const usable = [...shard.keys].filter((key) => this.feeds.usable(key));
    if (usable.length === 0) {
      this.#discard(shard, reason);
      return;
    }
    const unusable = [...shard.keys].filter((key) => !this.feeds.usable(key));
    this.feeds.lose(shard, unusable, true, reason);
    shard.retry(usable);
  }

  #add(keys: Iterable<ContractKey>, turn: DialTurn = 'ordinary'): Shard {
    const shard = new Shard(this.#upstream, this, this.space, keys, turn);
    this.#shards.add(shard);
    for (const key of shard.keys) this.feeds.get(key)?.shards.add(shard);
    return shard;
  }

  #discard(shard: Shard, reason: string): void {
    this.#shards.delete(shard);
    this.#replacements.delete(shard);
    shard.close();
    this.feeds.lose(shard, shard.keys, true, reason);
  }

  #planIn(ms: number): void {
    if (this.#closed) return;
    const atMs = this.#upstream.clock.monotonicMs() + ms;
    if (this.#cancelPlan !== undefined && this.#planAtMs <= atMs) return;
    this.#cancelPlan?.();
    this.#planAtMs = atMs;
    this.#cancelPlan = this.#upstream.clock.setTimeout(() => {
      this.#cancelPlan = undefined;
      this.#closeReplaced();
      this.#placeNew();
      this.#compact();
    }, ms);
  }

  /** Closes the shards whose every contract is carried by a newer one, or wanted by nobody. */
  #closeReplaced(): void {
    const nowMs = this.#upstream.clock.monotonicMs();
    for (const shard of this.#shards) {
      if (this.#probes.has(shard)) continue;
      const sinceMs = replacedSinceMs(shard, this.feeds);
      if (sinceMs === undefined) continue;
      const closeInMs = sinceMs === 0 ? 0 : sinceMs + OVERLAP_MS - nowMs;
      if (closeInMs > 0) this.#planIn(closeInMs);
      else this.#discard(shard, 'its contracts have moved to another connection');
    }
    // An old shard may have had to stay, for a contract that was asked for again meanwhile: it is an
    // ordinary one then.
    for (const shard of this.#replacements.keys()) {
      if ((shard.settledAtMs ?? nowMs) + OVERLAP_MS <= nowMs) this.#replacements.delete(shard);
    }
  }

  /** Sees to what nothing carries. */
  #placeNew(): void {
    const nowMs = this.#upstream.clock.monotonicMs();
    const found = newcomers(this.feeds, this.#judge, this.#sizing.bounds, nowMs);
    for (const keys of found.dialed) this.#add(keys).dial();
    for (const contracts of found.tried) this.#judge.tryOut(this, contracts);
    for (const key of found.retested) this.#judge.retest(this, key);
    if (found.nextRetestInMs !== undefined) this.#planIn(found.nextRetestInMs);
    if (found.unproven.length > 0) this.#judge.asked(this, found.unproven);
  }

  /** Brings contracts together on fewer sockets, make before break. */
  #compact(): void {
    const { idle, busy } = shardLoads([...this.#shards], this.#replacements, this.feeds);
    const bounds = this.#sizing.bounds;
    const needed = packShards(this.feeds.settledKeys(), bounds).length;
    const compaction = planCompaction(idle, busy, needed, bounds);
    for (const keys of compaction?.open ?? []) {
      const shard = this.#add(keys);
      this.#replacements.set(shard, compaction?.replaced ?? []);
      shard.dial();
    }
  }
}
