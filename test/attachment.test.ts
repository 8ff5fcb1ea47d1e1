import v8 from 'node:v8';
import vm from 'node:vm';
import { expect, test } from 'vitest';
import { ContractState } from '../src/hub/contract-state.ts';
import { attachment } from '../src/lib/attachment.ts';
import { RenderedStates } from '../src/render/rendered-states.ts';
import { until } from './kit/gateway.ts';

const state = (key: string) => ContractState.pending(`name:${key}`, 0);

test('what is attached to an object is seen by nobody else and copied by nothing', () => {
  const colour = attachment<string>();
  const size = attachment<number>();
  const host = { a: 1 };
  expect(colour.get(host)).toBeUndefined();
  colour.set(host, 'red');
  colour.set(host, 'blue');
  size.set(host, 7);
  expect(colour.get(host)).toBe('blue');
  expect(size.get(host)).toBe(7);
  expect(colour.get({ ...host })).toBeUndefined();
  expect(Reflect.ownKeys(host)).toEqual(['a']);
  expect(JSON.stringify(host)).toBe('{"a":1}');
});

test('what is attached goes with its object', async () => {
  v8.setFlagsFromString('--expose-gc');
  const collect = vm.runInNewContext('gc') as () => void;
  const text = attachment<{ text: string }>();
  const attached = (() => {
    const value = { text: 'x' };
    text.set({}, value);
    return new WeakRef(value);
  })();
  await until(() => {
    collect();
    return attached.deref() === undefined;
  }, 'it is collected');
});

test('each renderer finds what it made of a state, and a state keeps no more than some', () => {
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
  expect(new RenderedStates<string>().get(A, first)).toBeUndefined();
  for (const renderer of renderers) {
    rendered.set(A, renderer, `${renderer}`);
    expect(rendered.get(A, renderer)).toBe(`${renderer}`);
  }
  expect(renderers.filter((renderer) => rendered.get(A, renderer)).length).toBeLessThan(300);
  expect(rendered.get(B, first)).toBe('B of the first');
});
