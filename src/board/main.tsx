import { render } from 'preact';
import { useEffect, useMemo, useState } from 'preact/hooks';
import { Detail } from './detail.tsx';
import { Header, TokenForm } from './header.tsx';
import { numberStyle, phrases } from './language.ts';
import { Market } from './market.ts';
import { type Board, BoardContext, useMarket } from './page-context.ts';
import { type BoardSettings, readSettings, settingsSearch } from './preferences.ts';
import { Table } from './table.tsx';
import '@fontsource-variable/vazirmatn/wght.css';
import 'uplot/dist/uPlot.min.css';
import './board.css';

/** The token stays in this tab and goes with it. */
const TOKEN_KEY = 'ime-gateway-token';

function BoardPage({ market }: { market: Market }) {
  const [settings, setSettings] = useState(fromAddress);
  useMarket(market, 60_000);
  useEffect(() => {
    const moved = () => setSettings(fromAddress());
    addEventListener('popstate', moved);
    return () => removeEventListener('popstate', moved);
  }, []);
  useEffect(() => {
    const { documentElement: page } = document;
    page.lang = settings.language;
    page.dir = settings.language === 'fa' ? 'rtl' : 'ltr';
    page.dataset['theme'] = settings.theme;
    document.title = phrases(settings.language)('title');
  }, [settings.language, settings.theme]);
  useEffect(() => {
    const { pinned, contract } = settings;
    market.add([...pinned, ...(contract === undefined ? [] : [contract])].filter(isKey));
  }, [market, settings.pinned, settings.contract]);
  const board = useMemo<Board>(
    () => ({
      market,
      settings,
      style: numberStyle(settings.language, settings.persianDigits),
      say: phrases(settings.language),
      change: (changed) => {
        const next = { ...settings, ...changed };
        const opened = 'contract' in changed && changed.contract !== settings.contract;
        // Opening a contract is a step that the browser's back button undoes; a filter is not.
        history[opened ? 'pushState' : 'replaceState'](null, '', settingsSearch(next));
        setSettings(next);
      },
    }),
    [market, settings],
  );
  const needsToken = market.connection === 'tokenNeeded' || market.connection === 'tokenRefused';
  return (
    <BoardContext.Provider value={board}>
      <Header />
      <main class={market.connection === 'connected' ? '' : 'offline'}>
        {needsToken ? (
          <TokenForm
            onToken={(token) => {
              sessionStorage.setItem(TOKEN_KEY, token);
              market.connect(token);
            }}
          />
        ) : settings.contract === undefined ? (
          <Table />
        ) : (
          <Detail id={settings.contract} />
        )}
      </main>
    </BoardContext.Provider>
  );
}

function fromAddress(): BoardSettings {
  return readSettings(
    location.search,
    matchMedia('(prefers-color-scheme: dark)').matches,
    navigator.language.startsWith('fa'),
  );
}

function isKey(text: string): boolean {
  return /^(name|id):./.test(text);
}

const url = new URL('/graphql', location.href);
url.protocol = url.protocol.replace('http', 'ws');
const market = new Market(url.href, sessionStorage.getItem(TOKEN_KEY) ?? undefined);
market.connect();
const place = document.getElementById('board');
if (place !== null) render(<BoardPage market={market} />, place);
