/** Takes the README's pictures from a running gateway with simulated data. */
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';
import { startGateway } from '../src/app/gateway.ts';
import { readConfig } from '../src/config/command-line.ts';
import { createLog } from '../src/observability/log.ts';

const commandLine = readConfig(['--port', '0', '--log-level', 'warn'], {});
if (commandLine.run !== 'start') throw new Error(JSON.stringify(commandLine));
const gateway = await startGateway(commandLine.config, createLog('warn'));
const browser = await chromium.launch({
  executablePath: process.env['CHROMIUM'] ?? '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-gpu', '--disable-background-networking', '--disable-sync'],
});
try {
  const page = await browser.newPage({ viewport: { width: 1280, height: 800 } });
  const picture = async (name: string) => {
    await page.waitForTimeout(3_000);
    await page.screenshot({ path: fileURLToPath(new URL(name, import.meta.url)) });
  };
  await page.goto(`${gateway.url}/?lang=en&theme=light&pin=name:Gold+Bar+DE05`);
  await page.locator('tbody tr').nth(20).waitFor();
  await picture('board.png');
  await page.goto(`${gateway.url}/graphql`);
  await page.locator('.graphiql-execute-button').click();
  await page.locator('.result-window').getByText('lastPrice').first().waitFor();
  await picture('graphiql.png');
} finally {
  await browser.close();
  await gateway.close();
}
