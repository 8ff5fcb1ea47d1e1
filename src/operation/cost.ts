import type { ContractPatterns } from '../access/patterns.ts';
import { type ContractKey, contractKey, contractTextOf, keyOfId } from '../contract/key.ts';
import type { ContractHub } from '../hub/hub.ts';
import { fieldCost, nameCost, type SelectedField } from '../render/selection.ts';
import { checkedSearch } from '../schema/contract-arguments.ts';

/** As many bytes of an answer come to a cost of 1, about, where it is longest. */
export const BYTES_A_COST = 48;
/** What may be asked of the schema at once: twice what tools ask. */
export const MOST_INTROSPECTION_COST = 40_000;
/** The root fields that ask for several contracts. */
const LISTS: ReadonlySet<string> = new Set(['contracts', 'contractUpdates', 'contractBatches']);

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

/**
 * How many contracts the lists of an operation name, each as often as it is named. Lists of more than `mostEach`
 * are refused by whoever executes them, before anything is looked up.
 */
export function namedContracts(fields: readonly SelectedField[], mostEach: number): number {
  return fields.reduce((sum, { args }) => {
    const { names, ids } = args as { names?: readonly string[]; ids?: readonly string[] };
    const named = (names?.length ?? 0) + (ids?.length ?? 0);
    return named > mostEach ? sum : sum + named;
  }, 0);
}

/**
 * What the fields of an operation cost that ask for the schema, by themselves: what may be asked of contracts is
 * no measure for it.
 */
export function introspectionCost(fields: readonly SelectedField[]): number {
  const asking = fields.filter(({ fieldName }) => fieldName.startsWith('__'));
  return asking.reduce((cost, field) => cost + fieldCost(field), 0);
}

function rootCost(field: SelectedField, contracts: ContractPatterns, hub: ContractHub): number {
  const { fieldName, args } = field;
  if (fieldName.startsWith('__')) return 1;
  const each = fieldCost(field);
  if (!LISTS.has(fieldName)) return each;
  const { names, ids, all } = args as {
    names?: readonly string[];
    ids?: readonly string[];
    all?: boolean;
  };
  if (!names && !ids) {
    return fieldName === 'contracts' || all ? each * heldOf(args, contracts, hub) : each;
  }
  let cost = 0;
  const add = (key: ContractKey) => {
    if (contracts.allow(key)) cost += each + nameCost(field, contractTextOf(key).length);
  };
  for (const name of names ?? []) add(contractKey('name', name));
  for (const id of ids ?? []) add(keyOfId(String(id)));
  return cost;
}

function heldOf(
  args: SelectedField['args'],
  contracts: ContractPatterns,
  hub: ContractHub,
): number {
  const search = checkedSearch(args);
  if (search === undefined && contracts.allowAll) return hub.size;
  return hub.states(search).filter(({ key }) => contracts.allow(key)).length;
}
