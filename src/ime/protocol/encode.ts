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

/**
 * The frame that IME sends for a market state: what `decodeMessage` reads back. Sections and
 * fields that are null are left out.
 */
export function encodeMessage(
  key: ContractKey,
  space: KeySpace,
  timestamp: string,
  state: MarketState,
): string {
  const data: string[] = [];
  if (state.bestLimits !== null) {
    const levels = state.bestLimits.map(
      (limit) => `${JSON.stringify(String(limit.level))}:${encodeSection(BEST_LIMIT, limit)}`,
    );
    data.push(`"BestLimit":{${levels.join(',')}}`);
  }
  if (state.aggregate) data.push(`"Aggregate":${encodeSection(AGGREGATE, state.aggregate)}`);
  if (state.allowedPriceRange) {
    data.push(`"AllowedPriceRange":${encodeSection(ALLOWED_PRICE_RANGE, state.allowedPriceRange)}`);
  }
  if (state.contractInfo) {
    data.push(`"ContractInfo":${encodeSection(CONTRACT_INFO, state.contractInfo)}`);
  }
  const contract = `${JSON.stringify(ENDPOINT[space].field)}:${JSON.stringify(contractTextOf(key))}`;
  return `{"channel":${JSON.stringify(CHANNEL)},${contract},"timestamp":${JSON.stringify(timestamp)},"data":{${data.join(',')}}}`;
}

function encodeSection<T extends object>(section: Section<T>, values: T): string {
  const fields: string[] = [];
  for (const field in section) {
    const [imeName, kind] = section[field];
    const value = values[field] as string | null;
    if (value === null) continue;
    fields.push(`${JSON.stringify(imeName)}:${kind === 'text' ? JSON.stringify(value) : value}`);
  }
  return `{${fields.join(',')}}`;
}
