import type { GraphQLError } from 'graphql';
import type { Access } from '../access/access.ts';
import {
  type ContractKey,
  contractKey,
  contractTextFault,
  contractTextOf,
  type KeySpace,
  keyOfId,
  keySpaceOf,
} from '../contract/key.ts';
import { ContractSearch } from '../contract/search.ts';
import { type Position, readCursor } from '../hub/position.ts';
import { badUserInput } from './errors/coded-error.ts';

/** The most milliseconds that a query may wait for a first state. */
const MAX_WAIT_MS = 30_000;
const MIN_PACE = 0.01;
const MAX_PACE = 1_000;
const MOST_SEARCH_CHARACTERS = 256;
const MIN_EVERY_MS = 10;
const MAX_EVERY_MS = 60_000;

/** The lists of contracts that a field takes. */
export interface ContractLists {
  readonly names?: readonly string[] | null | undefined;
  readonly ids?: readonly (string | number)[] | null | undefined;
}

/**
 * The contracts of `names` and `ids`, names first; in the place of one that cannot be asked for, its
 * error.
 *
 * @throws GraphQLError where both lists are missing or one is empty
 * @throws LimitExceeded where they are too long
 */
export function contractKeys(lists: ContractLists, access: Access): (ContractKey | GraphQLError)[] {
  const { names, ids } = lists;
  if (!names && !ids) throw badUserInput('names', 'expected names or ids, got neither');
  if (names?.length === 0)
    throw badUserInput('names', 'expected at least one name, got an empty list');
  if (ids?.length === 0) throw badUserInput('ids', 'expected at least one ID, got an empty list');
  checkedCount((names?.length ?? 0) + (ids?.length ?? 0), access);
  return [...(names ? KEYS_OF_NAMES.of(names) : []), ...(ids ? KEYS_OF_IDS.of(ids) : [])];
}

/** @throws LimitExceeded where so many contracts are too many for one subscription, or one field */
export function checkedCount(given: number, access: Access): void {
  const most = access.limits.contractsPerSubscription;
  if (given <= most) return;
  const message = `expected at most ${most} contracts, got ${given}`;
  throw access.exceeded('contracts_per_subscription', 'TOO_MANY_CONTRACTS', message, most);
}

/** What a list comes to, remembered as long as there is the list: a variable may serve many fields. */
class CheckedLists<T> {
  readonly #keys = new WeakMap<readonly T[], (ContractKey | GraphQLError)[]>();
  readonly #check: (item: T, place: number) => ContractKey | GraphQLError;

  constructor(check: (item: T, place: number) => ContractKey | GraphQLError) {
    this.#check = check;
  }

  of(list: readonly T[]): readonly (ContractKey | GraphQLError)[] {
    let keys = this.#keys.get(list);
    if (keys === undefined) {
      keys = list.map(this.#check);
      this.#keys.set(list, keys);
    }
    return keys;
  }
}

const KEYS_OF_NAMES = new CheckedLists<string>((name, place) =>
  checkedKey('name', name, `names[${place}]`),
);
const KEYS_OF_IDS = new CheckedLists<string | number>((id, place) =>
  checkedId(String(id), `ids[${place}]`),
);

/**
 * The one contract of `name` or `id`.
 *
 * @throws GraphQLError where neither or both are given, or it cannot be asked for
 */
export function oneContractKey(
  name: string | null | undefined,
  id: string | number | null | undefined,
): ContractKey {
  const named = name !== null && name !== undefined;
  const identified = id !== null && id !== undefined;
  if (named === identified) {
    throw badUserInput(
      'name',
      `expected exactly one of name and id, got ${named ? 'both' : 'neither'}`,
    );
  }
  const key = named ? checkedKey('name', name, 'name') : checkedId(String(id), 'id');
  if (typeof key !== 'string') throw key;
  return key;
}

/** @throws GraphQLError where it is not from 0 to {@link MAX_WAIT_MS} */
export function checkedWaitMs(waitMs: number | null | undefined): number {
  const ms = waitMs ?? 0;
  if (ms >= 0 && ms <= MAX_WAIT_MS) return ms;
  throw badUserInput('waitMs', `expected 0 to ${MAX_WAIT_MS} milliseconds, got ${ms}`);
}

/**
 * The least time between two updates that `maxUpdatesPerSecond` asks for, in milliseconds; 0 without it.
 *
 * @throws GraphQLError where it is not from 0.01 to 1000
 */
export function checkedIntervalMs(maxUpdatesPerSecond: number | null | undefined): number {
  if (maxUpdatesPerSecond === null || maxUpdatesPerSecond === undefined) return 0;
  if (maxUpdatesPerSecond >= MIN_PACE && maxUpdatesPerSecond <= MAX_PACE)
    return 1_000 / maxUpdatesPerSecond;
  throw badUserInput(
    'maxUpdatesPerSecond',
    `expected ${MIN_PACE} to ${MAX_PACE} updates a second, got ${maxUpdatesPerSecond}`,
  );
}

/**
 * The least time between two batches, in milliseconds; 0: one for each tick.
 *
 * @throws GraphQLError where it is neither 0 nor from 10 to 60,000
 */
export function checkedEveryMs(everyMs: number | undefined): number {
  const ms = everyMs ?? 0;
  if (ms === 0 || (ms >= MIN_EVERY_MS && ms <= MAX_EVERY_MS)) return ms;
  const expected = `0, or ${MIN_EVERY_MS} to ${MAX_EVERY_MS} milliseconds`;
  throw badUserInput('everyMs', `expected ${expected}, got ${ms}`);
}

/**
 * The position that `since` stands for; `undefined` without it.
 *
 * @throws GraphQLError where it cannot be read
 */
export function checkedSince(since: string | null | undefined): Position | undefined {
  if (since === null || since === undefined) return undefined;
  const position = readCursor(since);
  if (position !== undefined) return position;
  const got = since === '' ? 'an empty text' : JSON.stringify(since);
  throw badUserInput('since', `expected the cursor of a contract, got ${got}`);
}

/**
 * What contracts are searched for; `undefined` without it.
 *
 * @throws GraphQLError where it is too long, or contracts are named besides
 */
export function checkedSearch({
  search,
  names,
  ids,
}: ContractLists & { readonly search?: string | null | undefined }): ContractSearch | undefined {
  if (search === null || search === undefined) return undefined;
  if (names || ids) {
    throw badUserInput(
      'search',
      `expected neither names nor ids beside it, got ${names ? 'names' : 'ids'}`,
    );
  }
  if (search.length <= MOST_SEARCH_CHARACTERS) return new ContractSearch(search);
  const fault = `expected at most ${MOST_SEARCH_CHARACTERS} characters, got ${search.length}`;
  throw badUserInput('search', fault);
}

/** A contract by IME's ID, or by the `id` of a contract. */
function checkedId(text: string, argument: string): ContractKey | GraphQLError {
  const key = keyOfId(text);
  return checkedKey(keySpaceOf(key), contractTextOf(key), argument);
}

function checkedKey(space: KeySpace, text: string, argument: string): ContractKey | GraphQLError {
  const fault = contractTextFault(text);
  return fault === undefined ? contractKey(space, text) : badUserInput(argument, fault);
}
