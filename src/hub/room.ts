import type { ContractKey } from '../contract/key.ts';

/** What is held. */
interface Held {
  readonly size: number;
  holds(key: ContractKey): boolean;
  lingers(key: ContractKey): boolean;
}

/**
 * How many contracts that linger must be let go so that others can be asked for, `most` in all.
 *
 * @param wanted those that are about to be asked for; what of it lingers stays
 * @param letGo how many, of the others, are let go in any case
 * @param lingering how many linger
 * @returns `undefined` where there cannot be room
 */
export function toLetGo(
  wanted: ReadonlySet<ContractKey>,
  most: number,
  letGo: number,
  held: Held,
  lingering: number,
): number | undefined {
  let added = 0;
  let kept = 0;
  for (const key of wanted) {
    if (!held.holds(key)) added++;
    else if (held.lingers(key)) kept++;
  }
  if (added === 0) return 0;
  const excess = Math.max(0, held.size - letGo + added - most);
  return excess > lingering - letGo - kept ? undefined : excess;
}
