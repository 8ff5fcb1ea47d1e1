import type { WatchedContract } from './watched-contract.ts';

const HEADS = ['contract', 'last', '%', 'bid', 'ask', 'volume', 'time', 'status'] as const;
/** Where a name stands; numbers stand at the other end of their column. */
const LEFT = new Set([0, 6, 7]);
const MOST_NAME = 40;

const ESCAPE = '\u001b[';
const STYLES = { plain: '0', up: '32', down: '31', dim: '2', bold: '1', alarm: '33' } as const;
type Style = keyof typeof STYLES;

/** A text with what it looks like. */
interface Cell {
  readonly text: string;
  readonly style: Style;
}

/** Contracts as rows, drawn over what was drawn before. */
export class Table {
  readonly #contracts = new Map<string, WatchedContract>();
  readonly #trends = new Map<string, Style>();
  #note = '';
  #drawnLines = 0;

  /** A contract has changed. */
  set(contract: WatchedContract): void {
    const before = this.#contracts.get(contract.id)?.snapshot?.lastTradePrice;
    const now = contract.snapshot?.lastTradePrice;
    if (before != null && now != null && before !== now) {
      this.#trends.set(contract.id, isMore(now, before) ? 'up' : 'down');
    }
    this.#contracts.set(contract.id, contract);
  }

  /** A line below the rows: what the connection is doing. Empty for none. */
  note(text: string): void {
    this.#note = text;
  }

  /**
   * What a terminal is to be sent.
   *
   * @param rows, @param columns its size; what does not fit is left out, and said
   */
  draw(rows: number, columns: number): string {
    const lines = this.#lines(Math.max(1, rows - 3), columns);
    const back = this.#drawnLines > 0 ? `${ESCAPE}${this.#drawnLines}F` : '';
    this.#drawnLines = lines.length;
    return `${back}${lines.map((line) => `${line}${ESCAPE}K\n`).join('')}${ESCAPE}J`;
  }

  #lines(mostRows: number, columns: number): string[] {
    const shown = [...this.#contracts.values()].slice(0, mostRows);
    const cells = shown.map((contract) => this.#cells(contract));
    const heads = HEADS.map((text): Cell => ({ text, style: 'bold' }));
    const widths = HEADS.map((_, column) =>
      Math.max(...[heads, ...cells].map((row) => widthOf(row[column]?.text ?? ''))),
    );
    const lines = [heads, ...cells].map((row) => lineOf(row, widths, columns));
    const left = this.#contracts.size - shown.length;
    if (left > 0) lines.push(styled({ text: `… and ${left} more`, style: 'dim' }));
    if (this.#note !== '') {
      lines.push(styled({ text: this.#note.slice(0, columns), style: 'alarm' }));
    }
    return lines;
  }

  #cells({ id, name, contractId, status, statusReason, snapshot }: WatchedContract): Cell[] {
    const style: Style = status === 'LIVE' ? 'plain' : 'dim';
    const trend = status === 'LIVE' ? (this.#trends.get(id) ?? 'plain') : 'dim';
    const plain = (text: string | null | undefined): Cell => ({ text: text ?? '', style });
    const percent = snapshot?.lastPriceChangePercent ?? '';
    const quote = (of: { price: string | null; quantity: string | null } | null | undefined) =>
      plain(of ? `${grouped(of.price)} × ${grouped(of.quantity)}` : '');
    return [
      plain(visible((name ?? contractId ?? id).slice(0, MOST_NAME))),
      { text: grouped(snapshot?.lastTradePrice), style: trend },
      {
        text: percent,
        style:
          style === 'dim' ? 'dim' : percent.startsWith('-') ? 'down' : percent ? 'up' : 'plain',
      },
      quote(snapshot?.bestBid),
      quote(snapshot?.bestAsk),
      plain(grouped(snapshot?.aggregate?.totalVolume)),
      plain(snapshot?.timestamp.slice(11, 19)),
      {
        text: statusReason === null ? status : `${status}: ${visible(statusReason)}`,
        style: status === 'LIVE' ? 'up' : 'alarm',
      },
    ];
  }
}

function lineOf(row: readonly Cell[], widths: readonly number[], columns: number): string {
  let line = '';
  let used = 0;
  for (const [column, cell] of row.entries()) {
    const wide = widths[column] ?? 0;
    const room = columns - used - (column === 0 ? 0 : 2);
    if (room <= 0) break;
    const text = widthOf(cell.text) > room ? cell.text.slice(0, room) : cell.text;
    const space = ' '.repeat(Math.max(0, Math.min(wide, room) - widthOf(text)));
    const drawn = styled({ text, style: cell.style });
    line += `${column === 0 ? '' : '  '}${LEFT.has(column) ? drawn + space : space + drawn}`;
    used += Math.min(wide, room) + (column === 0 ? 0 : 2);
  }
  return line;
}

function styled({ text, style }: Cell): string {
  return style === 'plain' || text === ''
    ? text
    : `${ESCAPE}${STYLES[style]}m${text}${ESCAPE}${STYLES.plain}m`;
}

/** Whatever comes of a name must not steer the terminal. */
function visible(text: string): string {
  return text.replaceAll(/\p{Cc}|\p{Bidi_Control}/gu, '');
}

/** How many places a text takes: marks upon letters, and joiners, take none. */
function widthOf(text: string): number {
  return [...text.replaceAll(/[\p{Mn}\p{Cf}]/gu, '')].length;
}

/** A number with its thousands apart, digit by digit. */
function grouped(number: string | null | undefined): string {
  if (number == null) return '';
  const [, sign = '', whole = '', fraction = ''] = /^(-?)(\d+)(\.\d+)?$/.exec(number) ?? [];
  if (whole === '') return visible(number);
  return `${sign}${whole.replaceAll(/\B(?=(\d{3})+$)/g, ',')}${fraction}`;
}

/** Compares decimals by their digits: no double holds all of them. */
function isMore(one: string, other: string): boolean {
  const places = Math.max(...[one, other].map((text) => (text.split('.')[1] ?? '').length));
  const scaled = (text: string) => {
    const [whole = '0', fraction = ''] = text.split('.');
    return BigInt(`${whole}${fraction.padEnd(places, '0')}`);
  };
  try {
    return scaled(one) > scaled(other);
  } catch {
    return false;
  }
}
