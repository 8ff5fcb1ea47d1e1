import type { ContractPatterns } from '../access/patterns.ts';
import { contractKey, keyOfId } from '../contract/key.ts';
import type { ContractHub } from '../hub/hub.ts';
import { fieldCost, type SelectedField } from '../render/selection.ts';
import { checkedSearch } from '../schema/contract-arguments.ts';

/**
 * What an operation costs: for each of its fields what is selected below it, times the contracts that it
 * asks for. What may not be seen costs nothing: its cost would tell of it.
 *
 * @param fields the operation's root fields
 */
export function operationCost(
  fields: readonly SelectedField[],
  contracts: ContractPatterns,
  hub: ContractHub,
): number {
  let cost = 0;
  for (const field of fields) {
    cost += fieldCost(field) * contractsOf(field, contracts, hub);
  }
  return cost;
}

/** The root fields that ask for several contracts. */
const LISTS: ReadonlySet<string> = new Set(['contracts', 'contractUpdates', 'contractBatches']);

function contractsOf(
  { fieldName, args }: SelectedField,
  contracts: ContractPatterns,
  hub: ContractHub,
): number {
  if (!LISTS.has(fieldName)) return 1;
  const { names, ids, all } = args as {
    names?: readonly string[];
    ids?: readonly string[];
    all?: boolean;
  };
  if (!names && !ids) {
    if (fieldName !== 'contracts' && !all) return 1;
    return hub.states(checkedSearch(args)).filter(({ key }) => contracts.allow(key)).length;
  }
  let allowed = 0;
  for (const name of names ?? []) if (contracts.allow(contractKey('name', name))) allowed++;
  for (const id of ids ?? []) if (contracts.allow(keyOfId(String(id)))) allowed++;
  return allowed;
}
