import { GraphQLError, Kind, type ValueNode } from 'graphql';
import { isLocalDateTime } from '../contract/local-time.ts';
import { builder } from './builder.ts';

const INTEGER = /^-?\d+$/;
const DECIMAL = /^-?\d+(\.\d+)?([eE][+-]?\d+)?$/;
const INSTANT = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/;

const JSON_NUMBER = 'https://www.rfc-editor.org/rfc/rfc8259#section-6';
const CURSORS =
  'https://html.spec.whatwg.org/multipage/server-sent-events.html#the-last-event-id-header';

/** How a scalar reads what a client sends: a text, or the digits of a number. */
function reader(name: string, isValid: (text: string) => boolean, kinds: readonly Kind[]) {
  const check = (text: string) => {
    if (isValid(text)) return text;
    throw new GraphQLError(`${name}: got ${JSON.stringify(text.slice(0, 50))}`);
  };
  return {
    parseValue: (value: unknown) => {
      if (typeof value === 'string') return check(value);
      if (typeof value === 'number' && kinds.length > 1) return check(String(value));
      throw new GraphQLError(`${name}: got ${typeof value}`);
    },
    // A number in a document keeps its digits: it is never read as a binary float.
    parseLiteral: (node: ValueNode) => {
      if ('value' in node && kinds.includes(node.kind)) return check(String(node.value));
      throw new GraphQLError(`${name}: got ${node.kind}`);
    },
  };
}

builder.scalarType('BigInt', {
  description:
    'A whole number of any size. Always a JSON string that holds exactly the digits that IME sent; as an argument a string or a number.',
  specifiedByURL: JSON_NUMBER,
  serialize: String,
  ...reader('expected a whole number', (text) => INTEGER.test(text), [Kind.STRING, Kind.INT]),
});

builder.scalarType('Decimal', {
  description:
    'A decimal number of any size and precision. Always a JSON string that holds exactly the digits that IME sent; as an argument a string or a number.',
  specifiedByURL: JSON_NUMBER,
  serialize: String,
  ...reader('expected a decimal number', (text) => DECIMAL.test(text), [
    Kind.STRING,
    Kind.INT,
    Kind.FLOAT,
  ]),
});

builder.scalarType('LocalDateTime', {
  description:
    'Date and time on the clock of the exchange, ISO 8601 without a zone, with the digits of a second that IME sent: `2026-05-23T15:10:00.000000`.',
  specifiedByURL: 'https://www.rfc-editor.org/rfc/rfc3339#appendix-A',
  serialize: String,
  ...reader('expected a date and time without a zone', isLocalDateTime, [Kind.STRING]),
});

builder.scalarType('DateTime', {
  description:
    'An instant, RFC 3339 with its offset: `2026-05-23T15:10:00.000000+03:30` or `2026-05-23T11:40:00.000Z`.',
  specifiedByURL: 'https://www.rfc-editor.org/rfc/rfc3339#section-5.6',
  serialize: (value) => (typeof value === 'number' ? new Date(value).toISOString() : String(value)),
  ...reader('expected a date and time with an offset', (text) => INSTANT.test(text), [Kind.STRING]),
});

builder.scalarType('Cursor', {
  description:
    'A place in the order of all changes of all contracts, `<epoch>:<position>`, of fixed width: cursors of one epoch compare as texts.',
  specifiedByURL: CURSORS,
  serialize: String,
  // Whether it can be read is found out with the arguments: a wrong one is the same fault in a document as in
  // a variable.
  ...reader('expected a cursor', () => true, [Kind.STRING]),
});
