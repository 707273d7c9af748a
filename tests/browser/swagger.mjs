// Uses the documentation page as a developer does: authorises, tries `whoami`, reads its answer, and looks at all three
// documents. Fails when the page asks anything of another origin. Takes BASE_URL and API_KEY, and a folder for pictures
// in SCREENSHOTS.

import assert from 'node:assert/strict';
import { browser } from './chromium.mjs';

const { BASE_URL, API_KEY, SCREENSHOTS } = process.env;
assert(BASE_URL && API_KEY, 'BASE_URL and API_KEY are needed');

/** Each document: its name, and a path that only it has. */
const DOCUMENTS = [
  ['unified', '/v1/whoami'],
  ['plannr', '/api/v1/mailboxes'],
  ['feather', '/v1/email/accounts'],
];

async function picture(name) {
  if (SCREENSHOTS) await page.screenshot({ path: `${SCREENSHOTS}/${name}.png` });
}

const page = await (await browser()).newPage({ viewport: { width: 1280, height: 1400 } });
page.setDefaultTimeout(30_000);
try {
  const origin = new URL(BASE_URL).origin;
  const strangers = [];
  const errors = [];
  page.on('request', (request) => {
    const url = new URL(request.url());
    if (url.protocol.startsWith('http') && url.origin !== origin) strangers.push(request.url());
  });
  page.on('pageerror', (error) => errors.push(error.message));

  await page.goto(`${BASE_URL}/docs`);
  await page.locator('.auth-wrapper .btn.authorize').first().click();
  const scheme = page.locator('.dialog-ux .auth-container').filter({ hasText: 'x-api-key' });
  await scheme.locator('input').fill(API_KEY);
  await scheme.getByRole('button', { name: /authorize|apply/i }).click();
  await scheme.getByRole('button', { name: /logout|remove/i }).waitFor();
  await scheme.locator('.btn-done').click();

  const operation = page.locator('.opblock-get').filter({ has: page.locator('[data-path="/v1/whoami"]') });
  await operation.locator('.opblock-summary-control').click();
  const execute = operation.locator('.btn.execute');
  const tryOut = operation.locator('.try-out__btn');
  await execute.or(tryOut).first().waitFor();
  // With `tryItOutEnabled` the form is open at once.
  if (!(await execute.isVisible())) await tryOut.click();
  await execute.click();

  const answer = operation.locator('.live-responses-table .response').first();
  await answer.waitFor();
  const status = (await answer.locator('.response-col_status').innerText()).trim();
  assert.match(status, /^200\b/, await answer.innerText());
  assert.match(await answer.innerText(), /"scopes"/);
  await picture('whoami');

  for (const [name, path] of DOCUMENTS) {
    await page.locator(`.bar [data-api="${name}"]`).click();
    await page.locator(`.bar [data-api="${name}"][aria-current]`).waitFor();
    await page.locator(`.opblock [data-path="${path}"]`).first().waitFor();
    assert.equal(await page.locator('.errors-wrapper').count(), 0, `${name}: Swagger UI finds errors in the document`);
    await picture(name);
  }
  assert.deepEqual(strangers, [], 'the page asked another origin');
  assert.deepEqual(errors, [], 'the page threw');
} catch (error) {
  await picture('failed');
  throw error;
} finally {
  await page.context().browser().close();
}
console.log('swagger: 200');
