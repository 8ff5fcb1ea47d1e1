import { readFileSync } from 'node:fs';
import { isObjectType, isScalarType } from 'graphql';
import { describe, expect, test } from 'vitest';
import { tokenOfHeaders, tokenOfInit, tokenOfOperation } from '../src/access/shown-token.ts';
import { schema, schemaText } from '../src/schema/schema.ts';

const types = Object.values(schema.getTypeMap()).filter(({ name }) => !name.startsWith('__'));

describe('the schema', () => {
  test('is the one that is committed', () => {
    expect(readFileSync('schema.graphql', 'utf8')).toBe(schemaText());
  });

  test('describes every type, field and argument', () => {
    const bare: string[] = [];
    for (const type of types) {
      if (!type.description) bare.push(type.name);
      if (!isObjectType(type)) continue;
      for (const field of Object.values(type.getFields())) {
        if (!field.description) bare.push(`${type.name}.${field.name}`);
        for (const arg of field.args) {
          if (!arg.description) bare.push(`${type.name}.${field.name}(${arg.name})`);
        }
      }
    }
    expect(bare).toEqual([]);
  });

  test('says what specifies each of its own scalars', () => {
    const own = types
      .filter(isScalarType)
      .filter(({ name }) => !/^(Int|Float|ID|String|Boolean)$/.test(name));
    expect(own.map(({ name }) => name).sort()).toEqual([
      'BigInt',
      'Cursor',
      'DateTime',
      'Decimal',
      'LocalDateTime',
    ]);
    for (const scalar of own) expect(URL.canParse(scalar.specifiedByURL ?? '')).toBe(true);
  });

  test('reads numbers as arguments without losing a digit', () => {
    const bigInt = schema.getType('BigInt');
    if (!isScalarType(bigInt)) throw new Error('BigInt is missing');
    expect(bigInt.parseValue('12345678901234567891')).toBe('12345678901234567891');
    expect(bigInt.parseValue(12)).toBe('12');
    for (const wrong of ['1.5', '', 'x', 1.5, true, null]) {
      expect(() => bigInt.parseValue(wrong)).toThrow('expected a whole number');
    }
  });
});

describe('the token of a client', () => {
  test('is found where clients put it', () => {
    expect(tokenOfHeaders({ authorization: 'Bearer one' })).toBe('one');
    expect(tokenOfHeaders({ authorization: 'bearer  one ' })).toBe('one');
    expect(tokenOfInit({ Authorization: 'Bearer two' })).toBe('two');
    expect(tokenOfInit({ authorization: 'two' })).toBe('two');
    expect(tokenOfInit({ headers: { Authorization: 'Bearer two' } })).toBe('two');
    expect(tokenOfOperation({ headers: { authorization: 'Bearer three' } })).toBe('three');
  });

  test('is none where something else stands', () => {
    for (const text of ['', ' ', 'Bearer', 'Basic dXNlcjpwYXNz', 'Bearer a b']) {
      expect(tokenOfHeaders({ authorization: text })).toBeUndefined();
    }
    expect(tokenOfInit(undefined)).toBeUndefined();
    expect(tokenOfInit({ Authorization: 7, headers: null })).toBeUndefined();
    expect(tokenOfOperation({ headers: 'Bearer x' })).toBeUndefined();
  });
});
