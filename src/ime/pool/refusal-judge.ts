import type { StatusCause } from '../../contract/contract-status.ts';
import type { ContractKey } from '../../contract/key.ts';
import type { AuthorizationForm } from '../protocol/endpoints.ts';
import type { ShardFailure } from '../sockets/shard.ts';
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
  probe(keys: readonly ContractKey[]): Promise<ProbeAnswer>;
  /** The search that held these contracts back is over. */
  searched(batch: readonly ContractKey[]): void;
}

/** Finds out what a refusal means; the pool hands it what was refused. */
export interface RefusalJudge {
  /** Why nothing is dialed for now; `undefined` while dialing goes on. */
  readonly trouble: StatusCause | undefined;
  /** A batch was refused: its token (surely, where `tokenOnly`), or one of its contracts. */
  refused(pool: JudgedPool, batch: readonly ContractKey[], tokenOnly: boolean): void;
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
