import type { ContractPatterns } from '../access/patterns.ts';
import { contractKey } from '../contract/key.ts';
import type { ContractHub } from '../hub/hub.ts';
import { fieldCost, nameCost, type SelectedField } from '../render/selection.ts';

/** As many bytes of an answer come to a cost of 1, about, where it is longest. */
export const BYTES_A_COST = 48;

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
  for (const field of fields) cost += rootCost(field, contracts, hub);
  return cost;
}

function rootCost(field: SelectedField, contracts: ContractPatterns, hub: ContractHub): number {
  const each = fieldCost(field);
  const { fieldName, args } = field;
  if (fieldName !== 'contracts' && fieldName !== 'contractUpdates') return each;
  const { names, ids } = args as { names?: readonly string[]; ids?: readonly string[] };
  if (!names && !ids) return fieldName === 'contracts' ? each * heldOf(contracts, hub) : each;
  let cost = 0;
  const add = (space: 'name' | 'id', text: string) => {
    if (contracts.allow(contractKey(space, text))) cost += each + nameCost(field, text.length);
  };
  for (const name of names ?? []) add('name', name);
  for (const id of ids ?? []) add('id', id);
  return cost;
}

function heldOf(contracts: ContractPatterns, hub: ContractHub): number {
  if (contracts.allowAll) return hub.size;
  return hub.states().filter(({ key }) => contracts.allow(key)).length;
}
