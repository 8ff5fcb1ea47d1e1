import { chromium } from 'playwright-core';
import { describe, expect, test } from 'vitest';
import { testGateway, until } from './kit/gateway.ts';
import { CHROMIUM, CHROMIUM_ARGUMENTS, hasProgram } from './kit/programs.ts';
import { JWT, token } from './kit/tokens.ts';

describe.runIf(hasProgram('chromium', CHROMIUM))('GraphiQL in Chromium', () => {
  test('shows a live subscription, says that its data is simulated, and asks no other host', async () => {
    const gateway = await testGateway();
    const browser = await chromium.launch({ executablePath: CHROMIUM, args: CHROMIUM_ARGUMENTS });
    try {
      const page = await browser.newPage();
      const hosts = new Set<string>();
      const faults: string[] = [];
      page.on('request', (request) => {
        if (/^(https?|wss?):/.test(request.url())) hosts.add(new URL(request.url()).host);
      });
      page.on('websocket', (socket) => hosts.add(new URL(socket.url()).host));
      page.on('console', (message) => message.type() === 'error' && faults.push(message.text()));
      page.on('pageerror', (error) => faults.push(error.message));
      await page.goto(`${gateway.url}/graphql`);
      await page.getByText('SIMULATED DATA: IME_URL').waitFor();
      await page.locator('.graphiql-execute-button').click();
      const result = page.locator('.result-window');
      await result.getByText('lastPrice').first().waitFor();
      const first = await result.textContent();
      await page.waitForFunction(
        (shown) => document.querySelector('.result-window')?.textContent !== shown,
        first,
      );
      expect(gateway.report().subscriptions).toBe(1);
      await page.locator('.graphiql-execute-button').click();
      await until(() => gateway.report().subscriptions === 0, 'the subscription is stopped');
      for (const [tab, shown] of [
        ['Snapshot', 'spread'],
        ['TwoContracts', 'lastPrice'],
        ['SlowPace', 'sequence'],
        ['Status', 'reconnects'],
      ] as const) {
        await page.locator('.graphiql-tab-button', { hasText: tab }).click();
        // GraphiQL takes a moment after a tab was chosen until it knows the operation's name.
        for (let tries = 0; tries < 10; tries++) {
          await page.locator('.graphiql-execute-button').click();
          const answered = result.getByText(shown).first().waitFor({ timeout: 2_000 });
          if (await answered.then(() => true).catch(() => false)) break;
        }
        expect(await result.textContent()).not.toContain('"errors"');
      }
      expect([...hosts]).toEqual([new URL(gateway.url).host]);
      expect(faults).toEqual([]);
    } finally {
      await browser.close();
    }
  }, 60_000);

  test('takes a token from its headers tab, for queries and over the WebSocket', async () => {
    const gateway = await testGateway(JWT);
    const browser = await chromium.launch({ executablePath: CHROMIUM, args: CHROMIUM_ARGUMENTS });
    try {
      const page = await browser.newPage();
      await page.addInitScript(
        (headers) => {
          const query = 'subscription Live { contractUpdates(names: ["x"]) { id } }';
          const tab = { id: '1', hash: null, title: 'Live', query, variables: null, headers };
          const tabs = {
            tabs: [{ ...tab, operationName: 'Live', response: null }],
            activeTabIndex: 0,
          };
          localStorage.setItem('graphiql:tabState', JSON.stringify(tabs));
          localStorage.setItem('graphiql:headers', headers);
          localStorage.setItem('graphiql:shouldPersistHeaders', 'true');
          localStorage.setItem('graphiql:query', query);
        },
        JSON.stringify({ Authorization: `Bearer ${await token()}` }),
      );
      await page.goto(`${gateway.url}/graphql`);
      await page.locator('.graphiql-execute-button').click();
      await page.locator('.result-window').getByText('name:x').first().waitFor();
    } finally {
      await browser.close();
    }
  }, 60_000);

  test('shows the document and the variables in its address, which says what is shown', async () => {
    const gateway = await testGateway();
    const browser = await chromium.launch({ executablePath: CHROMIUM, args: CHROMIUM_ARGUMENTS });
    try {
      const page = await browser.newPage();
      const query = 'query Asked($name: String) { contract(name: $name) { name status } }';
      const address = new URL(`${gateway.url}/graphql`);
      address.searchParams.set('query', query);
      address.searchParams.set('variables', '{"name":"Gold Bar DE05"}');
      await page.goto(address.href);
      const variables = page.locator('.graphiql-editor-tool .view-lines').first();
      await variables.getByText('Gold Bar DE05').waitFor();
      await page.locator('.graphiql-execute-button').click();
      const result = page.locator('.result-window');
      await result.getByText('LIVE').first().waitFor();
      await result.getByText('Gold Bar DE05').first().waitFor();

      await variables.click();
      await page.locator('.graphiql-editor-tool .monaco-editor.focused').waitFor();
      await page.keyboard.press('ControlOrMeta+A');
      await page.keyboard.press('Delete');
      await page.waitForURL((url) => !url.searchParams.has('variables'));
      await page.keyboard.insertText('null');
      await page.waitForURL((url) => url.searchParams.get('variables') === 'null');
      expect(new URL(page.url()).searchParams.get('query')).toBe(query);

      address.searchParams.delete('variables');
      await page.goto(address.href);
      await page.getByText('Asked').first().waitFor();
      expect(await variables.textContent()).not.toContain('null');
    } finally {
      await browser.close();
    }
  }, 60_000);
});
