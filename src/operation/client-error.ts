import { GraphQLError } from 'graphql';
import { LimitExceeded } from '../access/limit.ts';
import { AccessRefused, AccessUnavailable } from '../access/refused.ts';
import type { Logger } from '../observability/log.ts';
import { codedError, type ErrorCode, placedError } from '../schema/errors/coded-error.ts';
import { OperationRefused } from './operation-refused.ts';

const OWN_FAULT = 'The gateway failed to answer this; its log says why.';
/** As much of a client's own text is told back to it, in characters. */
const MOST_OWN_TEXT = 100;
/** The longest message that a client is told, in characters. */
const MOST_MESSAGE = 600;

/**
 * What a client is told of an error: what was meant for clients goes through, with a code in any case;
 * anything else is a fault of ours, which is logged and told without a detail.
 */
export function clientError(error: unknown, log: Logger): GraphQLError {
  const { cause, at } = unwrapped(error);
  const told = knownError(cause);
  if (told === undefined) {
    log.error({ error: cause }, 'an operation failed');
    return placedError(OWN_FAULT, { code: 'INTERNAL_SERVER_ERROR' }, at);
  }
  const message = shortened(told.message);
  log.debug({ code: codeOf(told), reason: message }, 'an operation is refused');
  // What has no code is of graphql-js, which finds fault with nothing but what a client sent.
  return placedError(message, { code: 'BAD_USER_INPUT', ...told.extensions }, at ?? told);
}

/** What a client is told where an operation is refused as a whole. */
export function clientErrors(error: unknown, log: Logger): GraphQLError[] {
  const errors = error instanceof OperationRefused ? error.errors : [error];
  return errors.map((one) => clientError(one, log));
}

/** The code of an error that a client is told. */
export function codeOf(error: GraphQLError): ErrorCode {
  return error.extensions['code'] as ErrorCode;
}

/** What was thrown, and where in an answer it belongs. */
function unwrapped(error: unknown): { cause: unknown; at: GraphQLError | undefined } {
  if (!(error instanceof GraphQLError)) return { cause: error, at: undefined };
  const { originalError } = error;
  if (originalError === undefined) return { cause: error, at: error };
  const inner = unwrapped(originalError);
  return { cause: inner.cause, at: error };
}

/** The error that answers what is no fault of ours; `undefined` for anything else. */
function knownError(error: unknown): GraphQLError | undefined {
  if (error instanceof GraphQLError) return error;
  if (error instanceof LimitExceeded) {
    const { code, message, most } = error;
    return codedError(code, message, most === undefined ? {} : { limit: most });
  }
  if (error instanceof AccessRefused) return codedError('UNAUTHENTICATED', error.message);
  if (error instanceof AccessUnavailable) {
    return codedError('UNAUTHENTICATED', 'Tokens cannot be checked now; try again.');
  }
  return undefined;
}

/** A message with no more than some of what the client itself had written. */
function shortened(message: string): string {
  if (message.length <= MOST_OWN_TEXT) return message;
  const told = message.replaceAll(/"([^"]*)"/g, (quoted, text: string) =>
    text.length > MOST_OWN_TEXT ? `"${cut(text, MOST_OWN_TEXT)}…"` : quoted,
  );
  const words = told.replaceAll(/\S{101,}/g, (word) => `${cut(word, MOST_OWN_TEXT)}…`);
  return words.length > MOST_MESSAGE ? `${cut(words, MOST_MESSAGE)}…` : words;
}

function cut(text: string, characters: number): string {
  return text.slice(0, characters).toWellFormed();
}
