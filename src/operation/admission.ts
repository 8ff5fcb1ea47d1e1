import {
  type DocumentNode,
  type GraphQLObjectType,
  type GraphQLSchema,
  getOperationAST,
  getVariableValues,
  type OperationDefinitionNode,
  OperationTypeNode,
} from 'graphql';
import type { ContractKey } from '../contract/key.ts';
import { MOST_NAME_CHARACTERS } from '../documents/document-limits.ts';
import type { Documents } from '../documents/documents.ts';
import type { OperationRequest } from '../documents/operation-request.ts';
import { PlannedQueries } from '../render/planned-query.ts';
import type { Projection } from '../render/projection.ts';
import type { Projections } from '../render/projections.ts';
import { objectTypeOf, type SelectedField, selectedFields } from '../render/selection.ts';
import { checkArguments } from '../schema/argument-check.ts';
import { badUserInput, codedError } from '../schema/errors/coded-error.ts';
import { askedMessages, askedUpdates } from '../schema/subscription-root.ts';
import { AdmittedExecution } from './admitted-execution.ts';
import { AdmittedSubscription } from './admitted-subscription.ts';
import { AnswerBudget } from './answer-budget.ts';
import { codeOf } from './client-error.ts';
import {
  BYTES_A_COST,
  introspectionCost,
  MOST_INTROSPECTION_COST,
  namedContracts,
  operationCost,
} from './cost.ts';
import { type Asker, type OperationGateway, operationContext } from './operation-context.ts';
import { OperationRefused } from './operation-refused.ts';
import { AdmittedStatusUpdates } from './status-subscription.ts';
import { StatusUpdates } from './status-updates.ts';

/** Variables are found fault with no more often than this. */
const MOST_ERRORS = 10;
/** So many fields of an operation may each name as many contracts as one may. */
const MOST_LISTS = 10;

/** An operation that may be done. It has taken nothing yet. */
export type AdmittedOperation = AdmittedExecution | AdmittedSubscription | AdmittedStatusUpdates;

/** An operation of a document with its variables, checked against the schema. */
interface ResolvedOperation {
  readonly document: DocumentNode;
  readonly operation: OperationDefinitionNode;
  readonly variables: Readonly<Record<string, unknown>>;
  /** Its root fields, after `@skip` and `@include`. */
  readonly fields: readonly SelectedField[];
}

/**
 * The only way in: queries, mutations and subscriptions of every transport are admitted here, in one
 * order, and nothing else looks at what a client sent.
 */
export class Admission {
  readonly #gateway: OperationGateway;
  readonly #schema: GraphQLSchema;
  readonly #documents: Documents;
  readonly #projections: Projections;
  readonly #queries: PlannedQueries;
  /** How much of what is answered may be unread. */
  readonly answers: AnswerBudget;
  readonly #status: StatusUpdates;

  constructor(
    gateway: OperationGateway,
    schema: GraphQLSchema,
    documents: Documents,
    projections: Projections,
  ) {
    this.#gateway = gateway;
    this.#schema = schema;
    this.#documents = documents;
    this.#projections = projections;
    this.#queries = new PlannedQueries(schema, projections.texts);
    this.answers = new AnswerBudget(gateway.access);
    this.#status = new StatusUpdates(schema, gateway);
  }

  /**
   * Admits an operation: its document, its size, its variables, who asks, what it costs. Whatever it uses
   * is taken when it begins.
   *
   * @throws OperationRefused, GraphQLError, LimitExceeded, AccessRefused: `clientErrors` says each to a client
   */
  admit(asker: Asker, request: OperationRequest): AdmittedOperation {
    const { access, hub, log, maxCost } = this.#gateway;
    const principal = asker.who();
    const { transport, requestId } = asker;
    log.debug({ transport, requestId, principal: principal.id }, 'an operation begins');
    const { operation, document, variables, fields } = this.#counted(request);
    const isSubscription = operation.operation === OperationTypeNode.SUBSCRIPTION;
    const root = isSubscription ? onlyField(operation, fields) : undefined;
    const cost = operationCost(fields, principal.contracts, hub);
    if (cost > maxCost) throw access.tooCostly(cost, maxCost);
    const ofSchema = introspectionCost(fields);
    if (ofSchema > MOST_INTROSPECTION_COST) {
      throw access.tooCostly(ofSchema, MOST_INTROSPECTION_COST);
    }
    const mostEach = access.limits.contractsPerSubscription;
    const named = namedContracts(fields, mostEach);
    const mostNamed = MOST_LISTS * mostEach;
    if (named > mostNamed) {
      const message = `expected an operation to name at most ${mostNamed} contracts, got ${named}`;
      throw access.exceeded('contracts_per_subscription', 'TOO_MANY_CONTRACTS', message, mostNamed);
    }
    const operationName = request.operationName;
    if (root === undefined) {
      return new AdmittedExecution({
        schema: this.#schema,
        queries: this.#queries,
        fields,
        document,
        operationName,
        variables: request.variables,
        context: operationContext(this.#gateway, asker),
        isMutation: operation.operation === OperationTypeNode.MUTATION,
        mostBytes: (cost + ofSchema) * BYTES_A_COST,
      });
    }
    const client = { document, operationName, variables };
    if (root.fieldName === 'statusUpdates') {
      return new AdmittedStatusUpdates(this.#status, this.#status.view(client, root), asker.who);
    }
    const asked = askedUpdates(root.fieldName, root.args, access);
    const projection = this.#projections.of(client, root);
    return new AdmittedSubscription(asked, projection, asker.who);
  }

  /**
   * Admits a reader of IME's own messages, as a subscription to the same contracts would be.
   *
   * @param keys distinct contracts
   * @param initial whether to begin with what is known now
   * @throws GraphQLError, LimitExceeded, AccessRefused: `clientErrors` says each to a client
   */
  admitMessages(
    asker: Asker,
    keys: readonly ContractKey[],
    initial: boolean,
  ): AdmittedSubscription {
    const { access, log } = this.#gateway;
    const { transport, requestId } = asker;
    log.debug({ transport, requestId, principal: asker.who().id }, 'messages are asked for');
    const asked = askedMessages(keys, initial, access);
    return new AdmittedSubscription(asked, this.#projections.messages, asker.who);
  }

  /** {@link Projections.messages} */
  get messages(): Projection {
    return this.#projections.messages;
  }

  /** {@link Documents.edition} */
  get documentsEdition(): number {
    return this.#documents.edition;
  }

  /** The root fields of a query, where it is one. @throws as {@link admit} does */
  queryFields(request: OperationRequest): readonly SelectedField[] | undefined {
    const { operation, fields } = this.#resolve(request);
    return operation.operation === OperationTypeNode.QUERY ? fields : undefined;
  }

  /** {@link #resolve}, and a document that is too large counts as a limit that was run into. */
  #counted(request: OperationRequest): ResolvedOperation {
    try {
      return this.#resolve(request);
    } catch (error) {
      const isTooComplex =
        error instanceof OperationRefused &&
        error.errors.some((one) => codeOf(one) === 'QUERY_TOO_COMPLEX');
      if (isTooComplex) this.#gateway.access.hits.document++;
      throw error;
    }
  }

  #resolve(request: OperationRequest): ResolvedOperation {
    const { operationName } = request;
    if (operationName !== undefined && operationName.length > MOST_NAME_CHARACTERS) {
      const fault = `expected at most ${MOST_NAME_CHARACTERS} characters, got ${operationName.length}`;
      throw badUserInput('operationName', fault);
    }
    const { document, errors } = this.#documents.prepare(this.#documents.textOf(request));
    if (errors !== undefined) throw new OperationRefused(errors);
    const operation = getOperationAST(document, operationName);
    const type = operation && this.#schema.getRootType(operation.operation);
    if (!operation || !type) {
      const got = operationName === undefined ? 'none' : JSON.stringify(operationName);
      const message = `operationName: expected the name of one of the operations in the document, got ${got}`;
      throw codedError('OPERATION_RESOLUTION_FAILURE', message);
    }
    const { variableDefinitions = [], selectionSet } = operation;
    const given = request.variables ?? {};
    const { coerced: variables, errors: faults } = getVariableValues(
      this.#schema,
      variableDefinitions,
      given,
      { maxErrors: MOST_ERRORS },
    );
    if (variables === undefined) throw new OperationRefused(faults ?? []);
    const fields = selectedFields(this.#schema, document, type, selectionSet, variables);
    checkFields(this.#schema, type, fields);
    return { document, operation, variables, fields };
  }
}

/** Checks arguments wherever in a selection they stand. @throws GraphQLError */
function checkFields(
  schema: GraphQLSchema,
  type: GraphQLObjectType,
  fields: readonly SelectedField[],
): void {
  const definitions = type.getFields();
  for (const { fieldName, args, fields: below } of fields) {
    const definition = definitions[fieldName];
    if (definition === undefined) continue;
    checkArguments(definition, args);
    const object = objectTypeOf(schema, definition.type);
    if (object !== undefined) checkFields(schema, object, below);
  }
}

/** The one root field of a subscription. @throws GraphQLError where it has none, or another one */
function onlyField(
  operation: OperationDefinitionNode,
  fields: readonly SelectedField[],
): SelectedField {
  const [root, second] = fields;
  if (root === undefined) {
    const names = ['skip', 'include'].filter((name) =>
      operation.selectionSet.selections.some(({ directives }) =>
        directives?.some((directive) => directive.name.value === name),
      ),
    );
    const directive = names.map((name) => `@${name}`).join(' and ') || '@skip or @include';
    const message = `${directive}: expected a subscription to keep its root field, got it left out`;
    throw codedError('BAD_USER_INPUT', message);
  }
  if (second !== undefined) {
    const message = 'expected a subscription to have one root field, got several';
    throw codedError('GRAPHQL_VALIDATION_FAILED', message);
  }
  if (root.fieldName.startsWith('__')) {
    const message = `expected a subscription to a field of the schema, got ${root.fieldName}`;
    throw codedError('GRAPHQL_VALIDATION_FAILED', message);
  }
  return root;
}
