import { useState } from 'preact/hooks';
import { withDigits } from './digits.ts';
import { useBoard, useMarket } from './page-context.ts';

/** What stands above the contracts: how things are, and what can be chosen. */
export function Header() {
  const { market, settings, say, change, style } = useBoard();
  useMarket(market, 60_000);
  const { connection, status } = market;
  const [name, setName] = useState('');
  const trouble = status !== undefined && !status.ready;
  return (
    <header>
      <div class="top">
        <h1>{say('title')}</h1>
        <p class={`connection ${connection}`} role="status">
          {connection === 'connected'
            ? say('connected')
            : say(connection === 'reconnecting' ? 'reconnecting' : 'connecting')}
        </p>
        <button
          type="button"
          lang={settings.language === 'fa' ? 'en' : 'fa'}
          onClick={() => change({ language: settings.language === 'fa' ? 'en' : 'fa' })}
        >
          {say('language')}
        </button>
        <button
          type="button"
          aria-pressed={settings.persianDigits}
          onClick={() => change({ persianDigits: !settings.persianDigits })}
        >
          {say('digits')}
        </button>
        <button
          type="button"
          aria-pressed={settings.theme === 'dark'}
          onClick={() => change({ theme: settings.theme === 'dark' ? 'light' : 'dark' })}
        >
          {say('theme')}
        </button>
      </div>
      {status?.simulated ? <p class="simulated">{say('simulated')}</p> : null}
      {status?.upstream?.mode === 'REPLAY' ? <p class="simulated">{say('replayed')}</p> : null}
      {trouble ? (
        <p class="trouble" role="alert">
          {say('notReady')}: {status.reasons.join(' ')}
        </p>
      ) : null}
      <div class="tools">
        <label>
          <span class="hidden">{say('filter')}</span>
          <input
            type="search"
            dir="auto"
            placeholder={say('filter')}
            value={settings.filter}
            onInput={(event) => change({ filter: event.currentTarget.value })}
          />
        </label>
        <label class="check">
          <input
            type="checkbox"
            checked={settings.pinnedOnly}
            onChange={(event) => change({ pinnedOnly: event.currentTarget.checked })}
          />
          {say('pinnedOnly')}
        </label>
        <form
          onSubmit={(event) => {
            event.preventDefault();
            if (name === '') return;
            const key = `name:${name}`;
            change({ pinned: [...new Set([...settings.pinned, key])] });
            setName('');
          }}
        >
          <label>
            <span class="hidden">{say('add')}</span>
            <input
              dir="auto"
              placeholder={say('add')}
              value={name}
              onInput={(event) => setName(event.currentTarget.value)}
            />
          </label>
          <button type="submit">{say('addButton')}</button>
        </form>
        <p class="count">
          {withDigits(String(market.rows.size), style)} {say('contracts')}
        </p>
      </div>
    </header>
  );
}

/** Asks for the token that the gateway wants. */
export function TokenForm({ onToken }: { onToken: (token: string) => void }) {
  const { market, say } = useBoard();
  const [token, setToken] = useState('');
  return (
    <form
      class="token"
      onSubmit={(event) => {
        event.preventDefault();
        if (token.trim() !== '') onToken(token.trim());
      }}
    >
      <p role="alert">
        {say(market.connection === 'tokenRefused' ? 'tokenRefused' : 'tokenNeeded')}
      </p>
      <label>
        {say('token')}
        <input
          type="password"
          autocomplete="off"
          value={token}
          onInput={(event) => setToken(event.currentTarget.value)}
        />
      </label>
      <button type="submit">{say('enter')}</button>
    </form>
  );
}
