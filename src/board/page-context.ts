import { createContext, type RefObject } from 'preact';
import { useContext, useEffect, useReducer } from 'preact/hooks';
import type { NumberStyle } from './digits.ts';
import type { Phrase } from './language.ts';
import type { Market, Row } from './market.ts';
import type { BoardSettings } from './preferences.ts';

/** What every part of the board needs. */
export interface Board {
  readonly market: Market;
  readonly settings: BoardSettings;
  readonly style: NumberStyle;
  say(phrase: Phrase): string;
  change(settings: Partial<BoardSettings>): void;
}

/** The board around a component. */
export const BoardContext = createContext<Board | undefined>(undefined);

/** The board around this component. @throws TypeError outside of one */
export function useBoard(): Board {
  const board = useContext(BoardContext);
  if (board === undefined) throw new TypeError('expected a board around the component');
  return board;
}

/** How often a row that is not in sight is rendered at most, and one in sight at least. */
const ROW_INTERVAL_MS = 1_000;

const sights = new WeakMap<Element, (isInSight: boolean) => void>();
let sight: IntersectionObserver | undefined;

function watchSight(element: Element, changed: (isInSight: boolean) => void): () => void {
  sight ??= new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) sights.get(target)?.(isIntersecting);
  });
  const observer = sight;
  sights.set(element, changed);
  observer.observe(element);
  return () => observer.unobserve(element);
}

/**
 * The row of a contract. What is in sight renders anew with each of its changes, and as time passes; what
 * is not does so now and then.
 */
export function useRow(key: string, place?: RefObject<Element | null>): Row | undefined {
  const { market } = useBoard();
  const [, changed] = useReducer((count: number) => count + 1, 0);
  useEffect(() => {
    const element = place?.current;
    let isInSight = element === undefined || element === null;
    let renderedAtMs = 0;
    const render = () => {
      renderedAtMs = performance.now();
      changed(undefined as never);
    };
    const forgetRow = market.watchRow(key, () => {
      if (isInSight || performance.now() - renderedAtMs > ROW_INTERVAL_MS) render();
    });
    const forgetSight = element
      ? watchSight(element, (now) => {
          isInSight = now;
          if (now) render();
        })
      : () => {};
    const timer = setInterval(() => {
      if (isInSight) render();
    }, ROW_INTERVAL_MS);
    return () => {
      forgetRow();
      forgetSight();
      clearInterval(timer);
    };
  }, [market, key, place, market.rows.has(key)]);
  return market.rows.get(key);
}

/** Renders anew so often, and whenever anything beside rows changes. */
export function useMarket(market: Market, everyMs: number): void {
  const [, changed] = useReducer((count: number) => count + 1, 0);
  useEffect(() => {
    const forget = market.watch(() => changed(undefined as never));
    const timer = setInterval(() => changed(undefined as never), everyMs);
    return () => {
      forget();
      clearInterval(timer);
    };
  }, [market, everyMs]);
}
