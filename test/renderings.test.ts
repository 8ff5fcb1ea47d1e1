import { GraphQLError, type GraphQLObjectType, parse } from 'graphql';
import { describe, expect, test } from 'vitest';
import { ContractState } from '../src/hub/contract-state.ts';
import { ObjectTexts } from '../src/hub/object-texts.ts';
import { FieldTexts } from '../src/render/field-texts.ts';
import { Projections } from '../src/render/projections.ts';
import { RenderedStates } from '../src/render/rendered-states.ts';
import type { GatewayContext } from '../src/schema/resolver-context.ts';
import { schema } from '../src/schema/schema.ts';
import { TEHRAN } from './kit/gateway.ts';
import { projectionFor } from './kit/projection.ts';

const state = (key: string) => ContractState.pending(`name:${key}`, 0);
const contractType = schema.getType('Contract') as GraphQLObjectType;

function projectionsOf() {
  const toldError = () => new GraphQLError('unexpected');
  return new Projections(schema, toldError, { zone: TEHRAN } as GatewayContext);
}

function selecting(projections: Projections, selection: string) {
  const document = parse(`subscription { contractUpdates(ids: [1]) { ${selection} } }`);
  return projectionFor(projections, { document, operationName: undefined, variables: undefined });
}

describe('what is made of a state', () => {
  test('is found by who made it, and a state keeps no more than some', () => {
    const rendered = new RenderedStates<string>();
    const renderers = Array.from({ length: 1_000 }, () => rendered.register());
    const [A, B] = [state('A'), state('B')];
    const [first = 0, second = 0] = renderers;
    rendered.set(A, first, 'A of the first');
    rendered.set(A, second, 'A of the second');
    rendered.set(B, first, 'B of the first');
    expect(rendered.get(A, first)).toBe('A of the first');
    expect(rendered.get(A, second)).toBe('A of the second');
    expect(rendered.get(B, second)).toBeUndefined();
    const others = new RenderedStates<string>();
    expect(others.get(A, others.register())).toBeUndefined();
    for (const renderer of renderers) {
      rendered.set(A, renderer, `${renderer}`);
      expect(rendered.get(A, renderer)).toBe(`${renderer}`);
    }
    expect(renderers.filter((renderer) => rendered.get(A, renderer)).length).toBeLessThan(300);
    expect(rendered.get(B, first)).toBe('B of the first');
  });

  test('is not the next state of the same contract', () => {
    const before = state('A');
    before.texts.leaves[0] = 'before';
    before.renderings = new Map([[0, 'before']]);
    const cause = { code: 'UPSTREAM_LOST', reason: 'lost' } as const;
    const position = { epoch: 'e', offset: 1 };
    const after = before.withStatus({ status: 'STALE', cause, position }, 1);
    expect(after.texts.leaves).toEqual([]);
    expect(after.renderings).toBeUndefined();
  });
});

describe('the texts of objects', () => {
  test('are those of the object that is there, whatever was there before', () => {
    const [parent, one, other] = [{}, {}, {}];
    const texts = new ObjectTexts(parent);
    texts.below(3, 1, one).leaves[0] = '"one"';
    expect(texts.below(3, 1, one).leaves[0]).toBe('"one"');
    expect(texts.below(3, 0, one).leaves[0]).toBeUndefined();
    expect(texts.below(2, 1, one).leaves[0]).toBeUndefined();
    expect(texts.below(3, 1, other).leaves[0]).toBeUndefined();
  });

  test('keep a bounded number of selections', () => {
    const texts = new ObjectTexts({});
    const fields = Array.from({ length: 1_000 }, () => ({}));
    for (const field of fields) {
      texts.keep(field, 'text');
      expect(texts.ofSelection(field)).toBe('text');
    }
    expect(fields.filter((field) => texts.ofSelection(field)).length).toBeLessThan(300);
  });

  test('are shared by later selections too, however many there were before', () => {
    const texts = new FieldTexts();
    const field = (depth: number) => ({
      responseKey: 'x',
      fieldName: 'bestLimits',
      args: { depth },
      fields: [],
    });
    const first = texts.sharedOf(contractType, field(0));
    // More than ever fitted: 10,240 places were taken once and for all.
    for (let depth = 1; depth <= 50_000; depth++) texts.sharedOf(contractType, field(depth));
    const late = texts.sharedOf(contractType, field(-1));
    expect(late.isShared).toBe(false);
    expect(texts.sharedOf(contractType, field(-1))).toBe(late);
    expect(late.isShared).toBe(true);
    // What nobody has asked for since is let go.
    expect(texts.sharedOf(contractType, field(0))).not.toBe(first);
  });
});

describe('projections', () => {
  test('are in use from their first subscription to their last', () => {
    const projections = projectionsOf();
    const one = selecting(projections, 'id');
    expect(projections.size).toBe(0);
    one.acquire();
    one.acquire();
    expect(projections.size).toBe(1);
    one.release();
    expect(selecting(projections, 'id')).toBe(one);
    expect(projections.size).toBe(1);
    one.release();
    expect(projections.size).toBe(0);
    expect(selecting(projections, 'id')).toBe(one);
  });

  test('that nobody uses are let go for others, those in use never', () => {
    const projections = projectionsOf();
    const used = selecting(projections, 'id name');
    used.acquire();
    const unused = selecting(projections, 'name id');
    for (let at = 0; at < 2_000; at++) selecting(projections, `a${at}: id`);
    expect(selecting(projections, 'id name')).toBe(used);
    expect(selecting(projections, 'name id')).not.toBe(unused);
  });

  test('let go before their first use are no obstacle to those that took their place', () => {
    const projections = projectionsOf();
    const early = selecting(projections, 'id');
    for (let at = 0; at < 2_000; at++) selecting(projections, `a${at}: id`);
    const late = selecting(projections, 'id');
    expect(late).not.toBe(early);
    late.acquire();
    early.acquire();
    early.release();
    expect(selecting(projections, 'id')).toBe(late);
    late.release();
    expect(projections.size).toBe(0);
  });
});
