import type { VNode } from 'preact';
import { useMemo, useRef } from 'preact/hooks';
import { direction, formatChange, formatDigits, formatPercent, withDigits } from './digits.ts';
import type { Contract, Row } from './market.ts';
import { useBoard, useMarket, useRow } from './page-context.ts';
import { SORT_KEYS, type SortKey } from './preferences.ts';

/** How often rows are put in order anew: often enough to be right, seldom enough to be read. */
const SORT_INTERVAL_MS = 1_000;

/** What a contract is called. */
export function nameOf({ name, contractId, id }: Contract): string {
  return name ?? contractId ?? id;
}

function sortValue({ contract }: Row, by: SortKey): string | number {
  const { snapshot, status } = contract;
  const number = (digits: string | null | undefined) =>
    digits ? Number(digits) : Number.NEGATIVE_INFINITY;
  switch (by) {
    case 'name':
      // Those known by their ID alone come behind those with a name.
      return contract.name ?? `\uffff${nameOf(contract)}`;
    case 'last':
      return number(snapshot?.aggregate?.lastPrice);
    case 'change':
      return number(snapshot?.lastPriceChangePercent);
    case 'bid':
      return number(snapshot?.bestLimits[0]?.buyPrice);
    case 'ask':
      return number(snapshot?.bestLimits[0]?.sellPrice);
    case 'volume':
      return number(snapshot?.aggregate?.totalVolume);
    case 'openInterest':
      return number(snapshot?.contractInfo?.openInterest);
    case 'status':
      return status;
  }
}

/** Every contract that the viewer may see. */
export function Table() {
  const { market, settings, say, change } = useBoard();
  useMarket(market, SORT_INTERVAL_MS);
  const { sort, descending, filter, pinned, pinnedOnly } = settings;
  const collator = useMemo(() => new Intl.Collator(settings.language), [settings.language]);
  // A row that is the same as before is not looked at again, wherever it moves to.
  const made = useRef(new Map<string, VNode>()).current;
  const rowOf = (key: string) => {
    const known = made.get(key) ?? <ContractRow key={key} id={key} />;
    made.set(key, known);
    return known;
  };
  const needle = filter.trim().toLocaleLowerCase();
  const pins = new Set(pinned);
  const rows = [...market.rows.values()]
    .filter(({ contract }) => nameOf(contract).toLocaleLowerCase().includes(needle))
    .filter(({ key }) => !pinnedOnly || pins.has(key))
    .map((row) => ({ row, value: sortValue(row, sort) }))
    .sort((a, b) => {
      const pinnedFirst = Number(pins.has(b.row.key)) - Number(pins.has(a.row.key));
      if (pinnedFirst !== 0) return pinnedFirst;
      const order =
        typeof a.value === 'string'
          ? collator.compare(a.value, String(b.value))
          : a.value - Number(b.value) || 0;
      return descending ? -order : order;
    });
  if (rows.length === 0) {
    return <p class="empty">{say(market.rows.size === 0 ? 'none' : 'nothingFound')}</p>;
  }
  return (
    <table>
      <caption class="hidden">{say('title')}</caption>
      <thead>
        <tr>
          <th scope="col" class="pin">
            <span class="hidden">{say('pin')}</span>
          </th>
          {SORT_KEYS.map((column) => (
            <th
              key={column}
              scope="col"
              class={column}
              aria-sort={sort === column ? (descending ? 'descending' : 'ascending') : 'none'}
            >
              <button
                type="button"
                onClick={() =>
                  change({ sort: column, descending: sort === column ? !descending : false })
                }
              >
                {say(column)}
                <span aria-hidden="true">{sort === column ? (descending ? ' ▾' : ' ▴') : ''}</span>
              </button>
            </th>
          ))}
          <th scope="col" class="age">
            {say('age')}
          </th>
        </tr>
      </thead>
      <tbody>{rows.map(({ row }) => rowOf(row.key))}</tbody>
    </table>
  );
}

function ContractRow({ id }: { id: string }) {
  const { settings, style, say, change } = useBoard();
  const place = useRef<HTMLTableRowElement>(null);
  const row = useRow(id, place);
  if (row === undefined) return null;
  const { contract, changes } = row;
  const { snapshot, status, statusReason } = contract;
  const { pinned } = settings;
  const isPinned = pinned.includes(id);
  const flash = changes === 0 ? '' : `${row.direction > 0 ? 'up' : 'down'}${changes % 2}`;
  const trend = direction(snapshot?.lastPriceChange);
  const number = (digits: string | null | undefined) => formatDigits(digits, style);
  return (
    <tr ref={place} class={status.toLowerCase()} title={statusReason ?? undefined} data-key={id}>
      <td class="pin">
        <button
          type="button"
          aria-pressed={isPinned}
          aria-label={`${say(isPinned ? 'unpin' : 'pin')}: ${nameOf(contract)}`}
          onClick={() =>
            change({ pinned: isPinned ? pinned.filter((key) => key !== id) : [...pinned, id] })
          }
        >
          {isPinned ? '★' : '☆'}
        </button>
      </td>
      <th scope="row" class="name">
        <a
          href={`?contract=${encodeURIComponent(id)}`}
          dir="auto"
          onClick={(event) => {
            if (event.ctrlKey || event.metaKey || event.shiftKey) return;
            event.preventDefault();
            change({ contract: id });
          }}
        >
          {nameOf(contract)}
        </a>
      </th>
      <td class={`last ${flash}`} key={`last${changes % 2}`}>
        {number(snapshot?.aggregate?.lastPrice)}
      </td>
      <td class={`change ${trend > 0 ? 'rise' : trend < 0 ? 'fall' : ''}`}>
        <span class="signed">{formatChange(snapshot?.lastPriceChange, style)}</span>{' '}
        <small class="signed">{formatPercent(snapshot?.lastPriceChangePercent, style)}</small>
      </td>
      <td class="bid">{number(snapshot?.bestLimits[0]?.buyPrice)}</td>
      <td class="ask">{number(snapshot?.bestLimits[0]?.sellPrice)}</td>
      <td class="volume">{number(snapshot?.aggregate?.totalVolume)}</td>
      <td class="openInterest">{number(snapshot?.contractInfo?.openInterest)}</td>
      <td class="status">
        <span class="badge">{say(status)}</span>
        {status === 'LIVE' ? null : <small class="reason">{statusReason}</small>}
      </td>
      <td class="age">
        <Age since={snapshot?.receivedAt} />
      </td>
    </tr>
  );
}

/** How long ago something was. */
export function Age({ since }: { since: string | undefined }) {
  const { style, say } = useBoard();
  if (since === undefined) return <>–</>;
  const seconds = Math.max(0, Math.round((Date.now() - Date.parse(since)) / 1000));
  const [count, unit] =
    seconds < 120
      ? ([seconds, 'seconds'] as const)
      : seconds < 7_200
        ? ([Math.round(seconds / 60), 'minutes'] as const)
        : ([Math.round(seconds / 3600), 'hours'] as const);
  return (
    <>
      {withDigits(String(count), style)} {say(unit)}
    </>
  );
}
