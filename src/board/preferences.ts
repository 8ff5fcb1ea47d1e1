import type { Language } from './language.ts';

/** The columns that can be sorted by, in the order in which they stand. */
export const SORT_KEYS = [
  'name',
  'last',
  'change',
  'bid',
  'ask',
  'volume',
  'openInterest',
  'status',
] as const;

/** One of {@link SORT_KEYS}. */
export type SortKey = (typeof SORT_KEYS)[number];

/** What the viewer has chosen; all of it stands in the address, so that it can be shared and kept. */
export interface BoardSettings {
  readonly language: Language;
  readonly theme: 'dark' | 'light';
  readonly persianDigits: boolean;
  readonly sort: SortKey;
  readonly descending: boolean;
  readonly filter: string;
  /** Keys of pinned contracts, such as `name:Gold`. */
  readonly pinned: readonly string[];
  readonly pinnedOnly: boolean;
  /** The contract whose own view is open. */
  readonly contract: string | undefined;
}

/** Reads the settings of an address. */
export function readSettings(
  search: string,
  prefersDark: boolean,
  prefersPersian: boolean,
): BoardSettings {
  const query = new URLSearchParams(search);
  const language = query.get('lang') ?? (prefersPersian ? 'fa' : 'en');
  const theme = query.get('theme') ?? (prefersDark ? 'dark' : 'light');
  const sort = query.get('sort') ?? 'name';
  return {
    language: language === 'fa' ? 'fa' : 'en',
    theme: theme === 'dark' ? 'dark' : 'light',
    persianDigits: query.get('digits') === 'fa',
    sort: SORT_KEYS.find((key) => key === sort) ?? 'name',
    descending: query.get('order') === 'desc',
    filter: query.get('filter') ?? '',
    pinned: query.getAll('pin'),
    pinnedOnly: query.get('pinned') === 'only',
    contract: query.get('contract') ?? undefined,
  };
}

/** The address of settings, without what is as it would be anyway. */
export function settingsSearch(settings: BoardSettings): string {
  const query = new URLSearchParams();
  query.set('lang', settings.language);
  query.set('theme', settings.theme);
  if (settings.persianDigits) query.set('digits', 'fa');
  if (settings.sort !== 'name') query.set('sort', settings.sort);
  if (settings.descending) query.set('order', 'desc');
  if (settings.filter) query.set('filter', settings.filter);
  if (settings.pinnedOnly) query.set('pinned', 'only');
  for (const key of settings.pinned) query.append('pin', key);
  if (settings.contract !== undefined) query.set('contract', settings.contract);
  return `?${query}`;
}
