import type { ContractKey } from '../../contract/key.ts';

/**
 * The search for the refused contracts of a batch that IME refused as a whole. Immutable.
 *
 * `suspects` are known to hold at least one refused contract, of `untested` nothing is known, `good`
 * were accepted, `refused` stand convicted. The four never share a contract.
 */
export interface Isolation {
  readonly suspects: readonly ContractKey[];
  readonly untested: readonly ContractKey[];
  readonly good: readonly ContractKey[];
  readonly refused: readonly ContractKey[];
  /**
   * Those of `refused` that were never refused alone: all others were accepted. Right as long as what
   * IME lists does not change during the search.
   */
  readonly inferred: ReadonlySet<ContractKey>;
}

/** The search in a batch that was refused. */
export function isolate(batch: readonly ContractKey[]): Isolation {
  const nothing = { untested: [], good: [], refused: [], inferred: new Set<ContractKey>() };
  return convictLast({ suspects: batch, ...nothing }, false);
}

/** The search in a batch that has not been dialed yet: its first probe is the whole of it. */
export function tryOut(batch: readonly ContractKey[]): Isolation {
  return { suspects: [], untested: batch, good: [], refused: [], inferred: new Set() };
}

/** The same search with some contracts known to be good by other means, the canary's for one. */
export function withGood(isolation: Isolation, known: ReadonlySet<ContractKey>): Isolation {
  const unknown = (keys: readonly ContractKey[]) => keys.filter((key) => !known.has(key));
  const suspects = unknown(isolation.suspects);
  // Suspects that have all turned out good contradict the refusal: their batch is over.
  const good = [...isolation.suspects, ...isolation.untested].filter((key) => known.has(key));
  return convictLast(
    {
      ...isolation,
      suspects,
      untested: unknown(isolation.untested),
      good: [...isolation.good, ...good],
    },
    suspects.length < isolation.suspects.length,
  );
}

/**
 * The contracts to dial next on one socket, `undefined` when the search is over: the left half of the
 * suspects; without suspects, all that is untested, together with all that is good. That last socket
 * then carries the whole batch and no dial is needed to bring its parts together.
 */
export function nextProbe(isolation: Isolation): readonly ContractKey[] | undefined {
  const { suspects, untested, good } = isolation;
  if (suspects.length > 0) return leftHalf(suspects);
  if (untested.length > 0) return [...good, ...untested];
  return undefined;
}

/** The search after the {@link nextProbe} was answered. */
export function afterProbe(isolation: Isolation, accepted: boolean): Isolation {
  const { suspects, untested, good } = isolation;
  if (suspects.length === 0) {
    return accepted
      ? { ...isolation, untested: [], good: [...good, ...untested] }
      : convictLast({ ...isolation, suspects: untested, untested: [] }, good.length > 0);
  }
  const left = leftHalf(suspects);
  const right = suspects.slice(left.length);
  return accepted
    ? convictLast({ ...isolation, suspects: right, good: [...good, ...left] }, true)
    : convictLast({ ...isolation, suspects: left, untested: [...right, ...untested] }, false);
}

/**
 * The most dials that finding `bad` refused contracts among `batch` takes, the batch's own first dial
 * included: bad · (⌈log₂ batch⌉ + 1) + 1.
 */
export function isolationDialBound(batch: number, bad: number): number {
  return bad * (Math.ceil(Math.log2(batch)) + 1) + 1;
}

function leftHalf(keys: readonly ContractKey[]): readonly ContractKey[] {
  return keys.slice(0, Math.ceil(keys.length / 2));
}

/** A single suspect needs no dial of its own: it is the refused one. */
function convictLast(isolation: Isolation, inferred: boolean): Isolation {
  const [only] = isolation.suspects;
  if (only === undefined || isolation.suspects.length !== 1) return isolation;
  return {
    ...isolation,
    suspects: [],
    refused: [...isolation.refused, only],
    inferred: inferred ? new Set([...isolation.inferred, only]) : isolation.inferred,
  };
}
