import { chromium } from 'playwright-core';
import { describe, expect, test } from 'vitest';
import { testGateway } from './kit/gateway.ts';
import { CHROMIUM, CHROMIUM_ARGUMENTS, hasProgram } from './kit/programs.ts';

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
      await page.getByRole('menuitem', { name: 'Live' }).click();
      const result = page.locator('.result-window');
      await result.getByText('lastPrice').first().waitFor();
      const first = await result.textContent();
      await page.waitForFunction(
        (shown) => document.querySelector('.result-window')?.textContent !== shown,
        first,
      );
      expect(gateway.report().subscriptions).toBe(1);
      expect([...hosts]).toEqual([new URL(gateway.url).host]);
      expect(faults).toEqual([]);
    } finally {
      await browser.close();
    }
  }, 60_000);
});
