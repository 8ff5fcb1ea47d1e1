import { getOperationAST, getVariableValues } from 'graphql';
import type { Projection } from '../../src/render/projection.ts';
import type { Projections } from '../../src/render/projections.ts';
import type { ClientOperation } from '../../src/render/rendering.ts';
import { selectedFields } from '../../src/render/selection.ts';
import { schema } from '../../src/schema/schema.ts';

/** The projection of a subscription, its root field read as admission reads it. */
export function projectionFor(projections: Projections, operation: ClientOperation): Projection {
  const definition = getOperationAST(operation.document, operation.operationName);
  const type = schema.getSubscriptionType();
  if (!definition || !type) throw new TypeError('expected a subscription');
  const { variableDefinitions = [], selectionSet } = definition;
  const { coerced = {} } = getVariableValues(
    schema,
    variableDefinitions,
    operation.variables ?? {},
  );
  const [root] = selectedFields(schema, operation.document, type, selectionSet, coerced);
  if (root === undefined) throw new TypeError('expected a root field');
  return projections.of(operation, root);
}
