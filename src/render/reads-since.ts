import type { ChangingPart, ContractChanges } from '../contract/contract-changes.ts';
import type { ContractState } from '../hub/contract-state.ts';
import type { SelectedField } from './selection.ts';

/** What each field below `snapshot` is read from. */
const PARTS: Readonly<Record<string, ChangingPart>> = {
  bestLimits: 'bestLimits',
  bestBid: 'bestLimits',
  bestAsk: 'bestLimits',
  spread: 'bestLimits',
  midPrice: 'bestLimits',
  aggregate: 'aggregate',
  lastTradePrice: 'aggregate',
  lastPriceChange: 'aggregate',
  lastPriceChangePercent: 'aggregate',
  allowedPriceRange: 'allowedPriceRange',
  contractInfo: 'contractInfo',
};
const OF_STATUS: ReadonlySet<string> = new Set([
  'status',
  'statusSince',
  'statusReason',
  'statusCode',
]);
/** What never changes for a contract. */
const FIXED: ReadonlySet<string> = new Set(['__typename', 'id', 'name', 'contractId']);

/**
 * Since which offset at the latest a selection on a contract reads as it does. What is no change of it is not
 * among the fields.
 */
export function readsSince(fields: readonly SelectedField[]): (state: ContractState) => number {
  const parts = new Set<keyof ContractChanges>(['held']);
  let isEach = false;
  for (const { fieldName, fields: below } of fields) {
    if (OF_STATUS.has(fieldName)) parts.add('status');
    else if (fieldName === 'snapshot') {
      parts.add('snapshot');
      for (const field of below) {
        const part = PARTS[field.fieldName];
        if (part !== undefined) parts.add(part);
        else if (!FIXED.has(field.fieldName)) isEach = true;
      }
    } else if (!FIXED.has(fieldName)) isEach = true;
  }
  return ({ position, changes }) => {
    if (isEach) return position.offset;
    let offset = 0;
    for (const part of parts) offset = Math.max(offset, changes[part]);
    return offset;
  };
}
