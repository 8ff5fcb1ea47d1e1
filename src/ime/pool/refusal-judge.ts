import type { StatusCause } from '../../contract/contract-status.ts';
import type { ContractKey } from '../../contract/key.ts';
import type { AuthorizationForm } from '../protocol/endpoints.ts';
import type { DialTurn } from '../sockets/dial-gate.ts';
import type { ShardFailure } from '../sockets/shard.ts';
import type { AskedContracts, AskerRecords } from './askers.ts';
import type { ContractFeeds } from './feeds.ts';

/** What IME answers to a probe. */
export type Verdict = 'accepted' | 'refused' | 'tokenRefused';

/** How a probe ended: a failure, or the pool's being closed, says nothing of the contracts or the token. */
export type ProbeAnswer = Verdict | ShardFailure | 'closed';

/**
 * What a refusal is of: the `token` surely; the token or one of the contracts of a `batch`; or the same, of
 * contracts that were `carried` until then.
 */
export type RefusalKind = 'token' | 'batch' | 'carried';

/** A pool, as whoever judges its refusals sees it. */
export interface JudgedPool {
  readonly feeds: ContractFeeds;
  /** Dials some contracts on a socket of their own. */
  probe(keys: readonly ContractKey[], turn: DialTurn): Promise<ProbeAnswer>;
  /** The search that held these contracts back is over. */
  searched(batch: readonly ContractKey[]): void;
}

/** Finds out what a refusal means; the pool hands it what was refused, and what may well be. */
export interface RefusalJudge extends AskerRecords {
  /** Why nothing is dialed for now; `undefined` while dialing goes on. */
  readonly trouble: StatusCause | undefined;
  /** A batch was refused. */
  refused(pool: JudgedPool, batch: readonly ContractKey[], kind: RefusalKind): void;
  /** A dial for these askers was refused, and may have cost IME a dial for nothing. */
  dialedInVain(askers: readonly AskedContracts[]): void;
  /** Contracts of one asker are to be dialed when it is the asker's turn, and searched where they are refused. */
  tryOut(pool: JudgedPool, contracts: AskedContracts): void;
  /** A contract that was refused some time ago is to be tried again. */
  retest(pool: JudgedPool, key: ContractKey): void;
  /**
   * IME accepted something: so it accepts the token.
   *
   * @param dialedAtMs when that was dialed, by the monotonic clock
   * @param form how the token stood in its header
   */
  accepted(dialedAtMs: number, form: AuthorizationForm): void;
  /** Contracts have been asked for of which nothing is known. */
  asked(pool: JudgedPool, keys: readonly ContractKey[]): void;
}

/** What the end of a probe's connection says. */
export function probeAnswer(failure: ShardFailure): ProbeAnswer {
  switch (failure.class) {
    case 'ambiguous':
    // Shorter than any subscription can be: there is no other answer to be had.
    case 'tooLong':
      return 'refused';
    case 'token':
      return 'tokenRefused';
    default:
      return failure;
  }
}

/** What a connection that ended with a refusal was refused for. */
export function refusalKind(failure: ShardFailure): RefusalKind {
  if (failure.class === 'token') return 'token';
  return failure.wasAccepted ? 'carried' : 'batch';
}
