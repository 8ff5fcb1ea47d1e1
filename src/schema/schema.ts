import { type GraphQLSchema, lexicographicSortSchema, printSchema } from 'graphql';
import { builder } from './builder.ts';
import './scalars.ts';
import './mutation-root.ts';
import './query-root.ts';
import './subscription-root.ts';

/** The gateway's GraphQL schema. */
export const schema: GraphQLSchema = builder.toSchema();

/** The schema in SDL, sorted so that a change of the code's order is no change of the text. */
export function schemaText(): string {
  return `${printSchema(lexicographicSortSchema(schema))}\n`;
}
