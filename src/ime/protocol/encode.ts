import { type ContractKey, contractTextOf, type KeySpace } from '../../contract/key.ts';
import type { MarketState } from '../../contract/snapshot.ts';
import { ENDPOINT } from './endpoints.ts';
import {
  AGGREGATE,
  ALLOWED_PRICE_RANGE,
  BEST_LIMIT,
  CHANNEL,
  CONTRACT_INFO,
  type Section,
} from './fields.ts';

/** How numbers are written: as they are, or as Python writes what it holds as floats. */
export type NumberStyle = 'plain' | 'python';

/**
 * The frame that IME sends for a market state: what `decodeMessage` reads back. Sections and
 * fields that are null are left out.
 */
export function encodeMessage(
  key: ContractKey,
  space: KeySpace,
  timestamp: string,
  state: MarketState,
  numbers: NumberStyle = 'plain',
): string {
  const data: string[] = [];
  if (state.bestLimits !== null) {
    const levels = state.bestLimits.map(
      (limit) =>
        `${JSON.stringify(String(limit.level))}:${encodeSection(BEST_LIMIT, limit, numbers)}`,
    );
    data.push(`"BestLimit":{${levels.join(',')}}`);
  }
  if (state.aggregate)
    data.push(`"Aggregate":${encodeSection(AGGREGATE, state.aggregate, numbers)}`);
  if (state.allowedPriceRange) {
    data.push(
      `"AllowedPriceRange":${encodeSection(ALLOWED_PRICE_RANGE, state.allowedPriceRange, numbers)}`,
    );
  }
  if (state.contractInfo) {
    data.push(`"ContractInfo":${encodeSection(CONTRACT_INFO, state.contractInfo, numbers)}`);
  }
  const contract = `${JSON.stringify(ENDPOINT[space].field)}:${JSON.stringify(contractTextOf(key))}`;
  return `{"channel":${JSON.stringify(CHANNEL)},${contract},"timestamp":${JSON.stringify(timestamp)},"data":{${data.join(',')}}}`;
}

function encodeSection<T extends object>(
  section: Section<T>,
  values: T,
  numbers: NumberStyle,
): string {
  const fields: string[] = [];
  for (const field in section) {
    const [imeName, kind] = section[field];
    const value = values[field] as string | null | undefined;
    if (value === null || value === undefined) continue;
    const isFloat = numbers === 'python' && kind === 'decimal' && /^-?\d+$/.test(value);
    const written = kind === 'text' ? JSON.stringify(value) : isFloat ? `${value}.0` : value;
    fields.push(`${JSON.stringify(imeName)}:${written}`);
  }
  return `{${fields.join(',')}}`;
}
