import type { MarketState } from './snapshot.ts';

/** The parts of a contract's state that change each for itself. */
export type ChangingPart = 'status' | (typeof SECTIONS)[number];

const SECTIONS = ['bestLimits', 'aggregate', 'allowedPriceRange', 'contractInfo'] as const;

/** Since which offset each part of a contract's state has been as it is. */
export interface ContractChanges extends Readonly<Record<ChangingPart, number>> {
  /** Since when it has been held. */
  readonly held: number;
  /** Since when there has been a snapshot. */
  readonly snapshot: number;
}

/** Everything is new. */
export function allChanged(offset: number): ContractChanges {
  return {
    held: offset,
    snapshot: offset,
    status: offset,
    bestLimits: offset,
    aggregate: offset,
    allowedPriceRange: offset,
    contractInfo: offset,
  };
}

/** {@link ContractChanges} after another market state has come; the same where nothing has changed. */
export function changesBy(
  changes: ContractChanges,
  last: MarketState | null,
  next: MarketState,
  offset: number,
): ContractChanges {
  if (last === null) return { ...allChanged(offset), held: changes.held, status: changes.status };
  const changed: Partial<Record<ChangingPart, number>> = {};
  let isSame = true;
  for (const part of SECTIONS) {
    if (isEqual(last[part], next[part])) continue;
    changed[part] = offset;
    isSame = false;
  }
  return isSame ? changes : { ...changes, ...changed };
}

/** Whether two sections say the same: they hold texts, numbers, nulls, and lists of such objects. */
function isEqual(one: unknown, other: unknown): boolean {
  if (one === other) return true;
  if (typeof one !== 'object' || typeof other !== 'object' || !one || !other) return false;
  const names = Object.keys(one);
  if (names.length !== Object.keys(other).length) return false;
  for (const name of names) {
    if (!isEqual((one as Fields)[name], (other as Fields)[name])) return false;
  }
  return true;
}

type Fields = Readonly<Record<string, unknown>>;
