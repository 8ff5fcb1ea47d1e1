import { useEffect, useRef } from 'preact/hooks';
import uPlot from 'uplot';
import { direction, formatChange, formatDigits, formatPercent, withDigits } from './digits.ts';
import type { Phrase } from './language.ts';
import type { Contract, Row } from './market.ts';
import { useBoard, useMarket, useRow } from './page-context.ts';
import { Age, nameOf } from './table.tsx';

const CHART_HEIGHT = 220;

/** One contract's own view. */
export function Detail({ id }: { id: string }) {
  const { market, say, style, change } = useBoard();
  const row = useRow(id);
  useMarket(market, 1_000);
  const back = (
    <button type="button" class="back" onClick={() => change({ contract: undefined })}>
      {say('back')}
    </button>
  );
  if (row === undefined) {
    return (
      <section aria-label={id}>
        {back}
        <p class="empty">{say('connecting')}</p>
      </section>
    );
  }
  const { contract } = row;
  const { snapshot, status, statusReason } = contract;
  const trend = direction(snapshot?.lastPriceChange);
  return (
    <section class={`detail ${status.toLowerCase()}`} aria-label={nameOf(contract)} data-key={id}>
      {back}
      <h2>
        <bdi>{nameOf(contract)}</bdi>
      </h2>
      <p class="headline">
        <strong>{formatDigits(snapshot?.aggregate?.lastPrice, style)}</strong>{' '}
        <span class={trend > 0 ? 'rise' : trend < 0 ? 'fall' : ''}>
          <span class="signed">{formatChange(snapshot?.lastPriceChange, style)}</span>{' '}
          <span class="signed">{formatPercent(snapshot?.lastPriceChangePercent, style)}</span>
        </span>{' '}
        <span class="badge">{say(status)}</span> <Age since={snapshot?.receivedAt} />
      </p>
      {statusReason === null ? null : <p class="reason">{statusReason}</p>}
      <div class="panels">
        <Ladder contract={contract} />
        <DayFigures contract={contract} />
        <PriceLine row={row} />
      </div>
    </section>
  );
}

/** The order book: sell prices falling towards the middle, buy prices below, bars as deep as the quantity. */
function Ladder({ contract }: { contract: Contract }) {
  const { say, style } = useBoard();
  const levels = contract.snapshot?.bestLimits ?? [];
  const most = Math.max(
    1,
    ...levels.flatMap(({ buyQuantity, sellQuantity }) => [
      Number(buyQuantity),
      Number(sellQuantity),
    ]),
  );
  const side = (kind: 'sell' | 'buy', level: (typeof levels)[number]) => {
    const quantity = kind === 'sell' ? level.sellQuantity : level.buyQuantity;
    const price = kind === 'sell' ? level.sellPrice : level.buyPrice;
    const share = Number(quantity ?? 0) / most;
    return (
      <tr key={`${kind}${level.level}`} class={kind}>
        <th scope="row">
          {say(kind === 'sell' ? 'ask' : 'bid')} {withDigits(String(level.level), style)}
        </th>
        <td class="price">{formatDigits(price, style)}</td>
        <td class="depth">
          <meter
            class="hidden"
            min={0}
            max={most}
            value={Number(quantity ?? 0)}
            aria-label={say('bookNote')}
          />
          <span class="bar" style={{ inlineSize: `${Math.round(share * 100)}%` }} />
          <span>{formatDigits(quantity, style)}</span>
        </td>
      </tr>
    );
  };
  return (
    <table class="ladder">
      <caption>{say('book')}</caption>
      <thead>
        <tr>
          <th scope="col">{say('level')}</th>
          <th scope="col">{say('price')}</th>
          <th scope="col">{say('bookNote')}</th>
        </tr>
      </thead>
      <tbody>
        {[...levels].reverse().map((level) => side('sell', level))}
        {levels.map((level) => side('buy', level))}
      </tbody>
    </table>
  );
}

/** The day's figures, and where in the allowed range its prices lie. */
function DayFigures({ contract }: { contract: Contract }) {
  const { say, style } = useBoard();
  const day = contract.snapshot?.aggregate;
  const range = contract.snapshot?.allowedPriceRange;
  const figures: readonly [Phrase, string | null | undefined][] = [
    ['open', day?.openPrice],
    ['high', day?.highPrice],
    ['low', day?.lowPrice],
    ['closing', day?.closingPrice],
    ['previousClose', day?.previousClose],
    ['volume', day?.totalVolume],
    ['value', day?.totalValue],
    ['trades', day?.tradeCount],
    ['openInterest', contract.snapshot?.contractInfo?.openInterest],
  ];
  const least = Number(range?.minAllowedPrice);
  const width = Number(range?.maxAllowedPrice) - least;
  const place = (price: string | null | undefined) =>
    Math.min(100, Math.max(0, ((Number(price) - least) / width) * 100));
  return (
    <section class="day" aria-label={say('day')}>
      <h3>{say('day')}</h3>
      <dl>
        {figures.map(([phrase, digits]) => (
          <div key={phrase}>
            <dt>{say(phrase)}</dt>
            <dd>{formatDigits(digits, style)}</dd>
          </div>
        ))}
      </dl>
      <h3>{say('range')}</h3>
      {width > 0 && day?.lowPrice && day.highPrice ? (
        <div class="range" aria-hidden="true">
          <span
            class="span"
            style={{
              insetInlineStart: `${place(day.lowPrice)}%`,
              inlineSize: `${place(day.highPrice) - place(day.lowPrice)}%`,
            }}
          />
          <span class="mark" style={{ insetInlineStart: `${place(day.lastPrice)}%` }} />
        </div>
      ) : null}
      <p class="ends">
        <span>{formatDigits(range?.minAllowedPrice, style)}</span>
        <span>{formatDigits(range?.maxAllowedPrice, style)}</span>
      </p>
    </section>
  );
}

/** The last price since the page was opened. */
function PriceLine({ row }: { row: Row }) {
  const { say, settings } = useBoard();
  const place = useRef<HTMLDivElement>(null);
  const chart = useRef<uPlot | null>(null);
  // A chart is drawn for one contract in one set of colours: another one is drawn anew.
  useEffect(() => {
    const element = place.current;
    if (element === null) return;
    const colours = getComputedStyle(element);
    const axis = {
      stroke: colours.getPropertyValue('--faint'),
      grid: { stroke: colours.getPropertyValue('--line'), width: 1 },
      ticks: { show: false },
    };
    const plot = new uPlot(
      {
        width: element.clientWidth,
        height: CHART_HEIGHT,
        legend: { show: false },
        cursor: { show: false },
        axes: [axis, { ...axis, size: 90 }],
        series: [
          {},
          { stroke: colours.getPropertyValue('--accent'), width: 2, points: { show: false } },
        ],
      },
      [row.times, row.prices],
      element,
    );
    chart.current = plot;
    const resized = new ResizeObserver(() => {
      plot.setSize({ width: element.clientWidth, height: CHART_HEIGHT });
    });
    resized.observe(element);
    return () => {
      resized.disconnect();
      plot.destroy();
    };
  }, [row.key, settings.theme]);
  useEffect(() => chart.current?.setData([row.times, row.prices]), [row.contract]);
  return (
    <section class="line" aria-label={say('line')}>
      <h3>{say('line')}</h3>
      <div ref={place} dir="ltr" role="img" aria-label={say('line')} />
    </section>
  );
}
