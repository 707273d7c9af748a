// Looks at the operator's page as an operator does: is asked for the key, sees the page in both colour schemes and on a narrow
// screen, where nothing but its tables is wider than that. Takes BASE_URL and ADMIN_KEY, and a folder for pictures in SCREENSHOTS.

import assert from 'node:assert/strict';
import { browser } from './chromium.mjs';

const { BASE_URL, ADMIN_KEY, SCREENSHOTS } = process.env;
assert(BASE_URL && ADMIN_KEY, 'BASE_URL and ADMIN_KEY are needed');

const open = await browser();
const statuses = [];
try {
  const stranger = await open.newContext();
  statuses.push((await stranger.request.get(`${BASE_URL}/admin`)).status());
  for (const [name, colorScheme, width] of [['light', 'light', 1280], ['dark', 'dark', 1280], ['narrow', 'light', 400]]) {
    const context = await open.newContext({
      httpCredentials: { username: 'operator', password: ADMIN_KEY },
      viewport: { width, height: 1000 },
      colorScheme,
    });
    const page = await context.newPage();
    const errors = [];
    page.on('console', (message) => message.type() === 'error' && errors.push(message.text()));
    const answer = await page.goto(`${BASE_URL}/admin`);
    await page.getByText('Mailboxes in sync', { exact: true }).waitFor();
    await page.getByRole('cell', { name: 'Acme' }).waitFor();
    assert.equal(await page.locator('svg.chart').count(), 7);
    const [inner, outer] = await page.evaluate(() => [document.documentElement.scrollWidth, window.innerWidth]);
    assert(inner <= outer, `${name}: ${inner} of ${outer} pixels`);
    // The browser tells of the 401 that it answered with the key.
    assert.deepEqual(errors.filter((text) => !text.includes('401')), []);
    if (SCREENSHOTS) await page.screenshot({ path: `${SCREENSHOTS}/admin-${name}.png`, fullPage: true });
    if (name === 'light') statuses.push(answer.status());
  }
} finally {
  await open.close();
}
console.log(`admin: ${statuses[0]}, then ${statuses[1]}`);
