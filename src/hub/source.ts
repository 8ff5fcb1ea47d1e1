import type { ContractStatus, StatusCause } from '../contract/contract-status.ts';
import type { ContractKey } from '../contract/key.ts';
import type { Snapshot } from '../contract/snapshot.ts';
import type { Position } from './position.ts';

/** Where the hub's contracts come from: what the hub needs, declared by the hub. */
export interface ContractSource {
  /**
   * The contracts are wanted from now on. Each is named once until it is released.
   *
   * @param asker whom they are asked for, so that nobody's are served at the cost of others'; `undefined`
   *   for the gateway itself
   */
  retain(keys: readonly ContractKey[], asker?: string): void;
  /** Somebody else asks for contracts, retained before, of which nothing is known yet. */
  askedToo?(keys: readonly ContractKey[], asker: string): void;
  /** Nobody wants the contracts any more: nothing more is told of them. */
  release(keys: readonly ContractKey[]): void;
  /** A contract that is shared with others was read by somebody who does not stay. */
  readAgain?(key: ContractKey): void;
  /** The position of what happens here and now: beyond everything that was told before. */
  position(): Position;
  /**
   * The last position that anybody may have been told of, where others tell positions of the same epoch too:
   * perhaps somewhat beyond it. Left out where what was told here is all there is.
   */
  latest?(): Position | undefined;
  /** Why it cannot do its job now, in words; empty where it can. */
  health(): readonly string[];
  /** {@link health}; where nothing is wanted, whether it could do its job is tried out. */
  check(): Promise<readonly string[]>;
  /** What it does and has done. */
  report(): SourceReport;
  /** Ends every connection and every timer. */
  close(): void;
}

/** One more state of a contract. */
export interface NewState {
  /** Where it stands among all changes of the source. */
  readonly position: Position;
  /** Where it stands among the contract's states. */
  readonly sequence: number;
  readonly snapshot: Snapshot;
  /** Set where the state is known to be late: the contract is then STALE for this reason, otherwise LIVE. */
  readonly stale?: StatusCause | undefined;
  /** Since when its status is so, in epoch milliseconds; by default since it came where that is a change. */
  readonly sinceMs?: number;
}

/** A contract's status without a new state. */
export interface NewStatus {
  readonly status: ContractStatus;
  /** Why; null for LIVE. */
  readonly cause: StatusCause | null;
  readonly position: Position;
  /** Since when it is so, in epoch milliseconds; by default since it is told where that is a change. */
  readonly sinceMs?: number;
}

/** What a source tells the hub. Calls for a contract that is not retained are ignored. */
export interface ContractSink {
  /** A new state of a contract, newer than all before it. */
  state(key: ContractKey, state: NewState): void;
  /** The contract's status changes. */
  status(key: ContractKey, status: NewStatus): void;
  /** The contract exists, though no state of it may have come yet. */
  accepted(key: ContractKey): void;
  /**
   * The contract is held from now on, though nobody here need have asked for it: others share the source.
   *
   * @param tell tells what is known of it, at once
   */
  shared?(key: ContractKey, tell: () => void): void;
  /** A contract that was shared is held no more; `position`: where that stands among all changes. */
  letGo?(key: ContractKey, position: Position): void;
}

/** A source as an operator sees it. */
export interface SourceReport {
  readonly sockets: readonly SocketReport[];
  /** Connections tried since the start. */
  readonly dials: number;
  readonly counts: SourceCounts;
  /** What it shows upstream; null for a source that shows nothing. */
  readonly credentials: CredentialsSummary | null;
  /** What keeps contracts from being served, in words; empty while nothing does. */
  readonly problems: readonly string[];
  /** Who shares it; left out for a source that nobody shares. */
  readonly cluster?: ClusterReport;
}

/** Gateways that share one source, as one of them sees them. */
export interface ClusterReport {
  /** This gateway. */
  readonly gateway: string;
  /** Whether it may hold the source. */
  readonly role: 'any' | 'edge';
  /** The gateway that holds it; null where none does. */
  readonly holder: string | null;
  /** Of the positions that are told; null while the others cannot be reached. */
  readonly epoch: string | null;
  readonly gateways: readonly {
    readonly id: string;
    readonly role: 'any' | 'edge';
    /** Connections of its clients. */
    readonly clients: number;
    /** Contracts that it wants. */
    readonly wishes: number;
  }[];
  readonly redisHealthy: boolean;
  /** What is wrong with Redis, in words; null while nothing is. */
  readonly redisProblem: string | null;
  /** How long the last probe took through Redis and back, in milliseconds; null while it does not come back. */
  readonly roundTripMs: number | null;
}

/** The credentials of a source. Nothing secret is in it. */
export interface CredentialsSummary {
  readonly mode: 'NONE' | 'TOKEN' | 'FILE' | 'LOGIN';
  /** Epoch milliseconds at which the token ends; null where that is not known. */
  readonly expiresAtMs: number | null;
  /** Epoch milliseconds at which it was obtained; null for one that was given. */
  readonly renewedAtMs: number | null;
  /** What is wrong, in words; null while nothing is. */
  readonly problem: string | null;
  /** Logins since the start, by how they ended. */
  readonly logins: Readonly<Record<string, number>>;
}

/** What a source has counted since its start. */
interface SourceCounts {
  /** Messages that were read, duplicates included. */
  readonly messages: number;
  /** Messages without one of their sections. */
  readonly partialMessages: number;
  /** Fields left out or of a wrong type. */
  readonly missingFields: number;
  /** Messages that another socket had delivered already. */
  readonly duplicates: number;
  /** Messages that were more than 2 s late. */
  readonly lateMessages: number;
  /** Frames dropped, by what was wrong with them. */
  readonly droppedFrames: Readonly<Record<string, number>>;
  /** Connections lost or refused, by what that meant. */
  readonly failures: Readonly<Record<string, number>>;
}

/** One connection of a source. */
export interface SocketReport {
  readonly endpoint: 'NAME' | 'ID';
  readonly state: string;
  readonly contracts: number;
  /** Epoch milliseconds; null while not open. */
  readonly openedAtMs: number | null;
  readonly lastMessageAtMs: number | null;
  readonly reconnects: number;
  /** Why its last connection ended, in words; null while it has one. */
  readonly failure: string | null;
}
