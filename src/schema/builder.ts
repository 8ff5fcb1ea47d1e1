import SchemaBuilder from '@pothos/core';
import type { Digits } from '../contract/snapshot.ts';
import type { GatewayContext } from './resolver-context.ts';

/** The schema's types, for every file that adds to them. */
export const builder = new SchemaBuilder<{
  Context: GatewayContext;
  Scalars: {
    BigInt: { Input: Digits; Output: Digits | number };
    Decimal: { Input: Digits; Output: Digits };
    LocalDateTime: { Input: string; Output: string };
    DateTime: { Input: string; Output: number | string };
    Cursor: { Input: string; Output: string };
  };
}>({});
