import { codedError, type ErrorCode } from '../schema/errors/coded-error.ts';

/** Variables as a client sent them. */
export type RequestVariables = Readonly<Record<string, unknown>>;

/** An operation as a client asks for it, whatever carried it: its form is checked, and nothing else. */
export interface OperationRequest {
  readonly query: string | undefined;
  /** `undefined` where it is absent, null or empty. */
  readonly operationName: string | undefined;
  readonly variables: RequestVariables | undefined;
  readonly extensions: Readonly<Record<string, unknown>> | undefined;
  /** The hash of a persisted document. */
  readonly documentId: string | undefined;
}

/**
 * Reads a request from a value that was JSON, or something of that form. Keys that nobody knows are left
 * out.
 *
 * @throws GraphQLError where it has another form: `BAD_USER_INPUT` for variables, else `BAD_REQUEST`
 */
export function readOperationRequest(value: unknown): OperationRequest {
  if (!isRecord(value)) throw badForm('the request', 'an object', value);
  const { query, operationName, variables, extensions, documentId } = value;
  return {
    query: text('query', query),
    operationName: text('operationName', operationName) || undefined,
    variables: record('variables', variables, 'BAD_USER_INPUT'),
    extensions: record('extensions', extensions, 'BAD_REQUEST'),
    documentId: text('documentId', documentId),
  };
}

/** Whether a value is an object, and no list. */
function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function text(name: string, value: unknown): string | undefined {
  if (value === undefined || value === null) return undefined;
  if (typeof value === 'string') return value;
  throw badForm(name, 'a text', value);
}

function record(
  name: string,
  value: unknown,
  code: ErrorCode,
): Readonly<Record<string, unknown>> | undefined {
  if (value === undefined || value === null) return undefined;
  if (isRecord(value)) return value;
  throw badForm(name, 'an object', value, code);
}

function badForm(name: string, expected: string, value: unknown, code: ErrorCode = 'BAD_REQUEST') {
  const got = Array.isArray(value) ? 'a list' : value === null ? 'null' : `a ${typeof value}`;
  return codedError(code, `${name}: expected ${expected}, got ${got}`);
}
