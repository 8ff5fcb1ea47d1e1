import { GraphQLError, getNamedType, isObjectType, parse } from 'graphql';
import { expect, test } from 'vitest';
import type { MarketState } from '../src/contract/snapshot.ts';
import { ContractState } from '../src/hub/contract-state.ts';
import { Projections } from '../src/render/projections.ts';
import type { GatewayContext } from '../src/schema/resolver-context.ts';
import { schema } from '../src/schema/schema.ts';
import { SeededRandom } from '../src/simulator/random.ts';
import { marketState, TEHRAN } from './kit/gateway.ts';
import { projectionFor } from './kit/projection.ts';

const projections = new Projections(schema, () => new GraphQLError('unexpected'), {
  zone: TEHRAN,
} as GatewayContext);

/** Every field of a type, with everything below it. */
function fieldsOf(typeName: string): string[] {
  const type = schema.getType(typeName);
  if (!isObjectType(type)) return [];
  return Object.values(type.getFields()).map(({ name, type: of }) => {
    const below = fieldsOf(getNamedType(of).name);
    return below.length === 0 ? name : `${name} { ${below.join(' ')} }`;
  });
}

/** A contract's states one after the other: of each, some parts are as they were. */
function statesOf(random: SeededRandom): ContractState[] {
  let state = ContractState.pending('name:A', 0);
  let market: MarketState = marketState('1');
  const digit = () => String(random.integer(0, 2));
  return Array.from({ length: 60 }, (_, at) => {
    const position = { epoch: 'e', offset: at + 1 };
    if (at === 0 || random.chance(0.2)) {
      const code = random.chance(0.5) ? 'UPSTREAM_LOST' : 'UPSTREAM_LATE';
      const cause = { code, reason: `because ${digit()}` } as const;
      state = state.withStatus({ status: at === 0 ? 'PENDING' : 'STALE', cause, position }, at);
      return state;
    }
    const { bestLimits, aggregate } = market;
    const changes: (() => Partial<MarketState>)[] = [
      () => ({}),
      () => ({
        bestLimits: bestLimits?.map((one) => ({ ...one, buyPrice: digit() })) ?? [],
      }),
      () => ({ bestLimits: (bestLimits ?? []).slice(0, random.integer(0, 3)) }),
      () => ({ aggregate: aggregate && { ...aggregate, lastPrice: digit() } }),
      () => ({ allowedPriceRange: { minAllowedPrice: digit(), maxAllowedPrice: '9' } }),
      () => ({ contractInfo: { openInterest: digit(), openInterestChanges: null } }),
      () => ({ contractInfo: null }),
    ];
    market = { ...market, ...changes[random.integer(0, changes.length - 1)]?.() };
    const snapshot = {
      timestamp: `2026-05-23T15:10:${String(at).padStart(2, '0')}`,
      receivedAtMs: at,
      raw: `{"at":${at}}`,
      ...structuredClone(market),
    };
    const stale = random.chance(0.1)
      ? ({ code: 'UPSTREAM_LATE', reason: 'late' } as const)
      : undefined;
    state = state.withSnapshot({ snapshot, sequence: at, position, stale });
    return state;
  });
}

test('whoever has a state reads the same in each later one that says so, whatever is selected', () => {
  const random = new SeededRandom(7);
  const below = fieldsOf('Snapshot');
  const selections = [
    ...fieldsOf('Contract'),
    ...below.map((field) => `snapshot { ${field} }`),
    'snapshot { sequence receivedAt }',
    'id cursor status snapshot { aggregate { lastPrice } }',
    'id snapshot { bestBid { price } allowedPriceRange { minAllowedPrice } }',
  ];
  let spared = 0;
  for (let chain = 0; chain < 10; chain++) {
    const states = statesOf(random);
    for (const selection of selections) {
      const projection = projectionFor(projections, {
        document: parse(`subscription { contractUpdates(ids: [1]) { ${selection} } }`),
        operationName: undefined,
        variables: undefined,
      });
      for (const [at, before] of states.entries()) {
        for (const after of states.slice(at + 1)) {
          if (projection.readsSince(after) > before.position.offset) continue;
          spared++;
          if (projection.reads(after) !== projection.reads(before)) {
            expect.fail(`${selection}: ${projection.reads(before)} ${projection.reads(after)}`);
          }
        }
      }
      // A contract that the client has never seen is always told.
      expect(projection.readsSince(states[0] as ContractState)).toBe(1);
    }
  }
  expect(spared).toBeGreaterThan(10_000);
});
