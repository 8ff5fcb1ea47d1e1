import type { StatusCause } from '../../contract/contract-status.ts';
import type { ContractKey } from '../../contract/key.ts';
import type { AuthorizationForm } from '../protocol/endpoints.ts';
import type { DialTurn } from '../sockets/dial-gate.ts';
import type { ShardFailure } from '../sockets/shard.ts';
import type { AskedContracts, AskerRecords } from './askers.ts';
import type { ContractFeeds } from './feeds.ts';

/**
 * How a probe ended: `unanswered` and `unreachable` say nothing of the contracts or the token, and with the
 * second one nothing answered at all.
 */
export type ProbeAnswer = 'accepted' | 'refused' | 'tokenRefused' | 'unanswered' | 'unreachable';

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
  /** A batch was refused: its token (surely, where `tokenOnly`), or one of its contracts. */
  refused(pool: JudgedPool, batch: readonly ContractKey[], tokenOnly: boolean): void;
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
  if (failure.class === 'ambiguous') return 'refused';
  if (failure.class === 'unreachable') return 'unreachable';
  return failure.class === 'token' ? 'tokenRefused' : 'unanswered';
}
