// The browser that the tests look with.

import { existsSync } from 'node:fs';
import { chromium } from 'playwright-core';

/** The system's Chromium, else the one that tests/setup.sh took from the npm registry. */
export async function browser() {
  const args = [
    '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
    '--disable-component-update', '--disable-sync',
  ];
  const installed = ['/usr/bin/chromium', '/usr/bin/google-chrome'].find(existsSync);
  const executablePath = installed ?? (await (await import('@sparticuz/chromium')).default.executablePath());
  return chromium.launch({ executablePath, args, headless: true, timeout: 60_000 });
}
