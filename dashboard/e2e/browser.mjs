// Chromium as it is installed on the machine (IOC_CHROMIUM, else /usr/bin/chromium), without a GPU, without anything of its own on the net.
import { existsSync } from 'node:fs';
import { chromium } from 'playwright-core';

export async function launch() {
  const executablePath = process.env.IOC_CHROMIUM ?? '/usr/bin/chromium';
  if (!existsSync(executablePath)) throw new Error(`no Chromium at ${executablePath}: install it (apt-get install chromium fonts-noto-core) or set IOC_CHROMIUM`);
  const browser = await chromium.launch({
    executablePath,
    args: ['--no-sandbox', '--font-render-hinting=none', '--force-color-profile=srgb', '--use-angle=swiftshader', '--enable-unsafe-swiftshader', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'],
  });
  /** A page of its own, with everything that must not happen collected in `problems`: errors, policy violations, requests to elsewhere. */
  const open = async (viewport = { width: 1440, height: 900 }, more = {}) => {
    const context = await browser.newContext({ viewport, locale: 'vi-VN', timezoneId: 'America/New_York', ...more });
    const page = await context.newPage();
    const problems = [];
    const requests = [];
    page.on('pageerror', (error) => problems.push(`error: ${error.message}`));
    page.on('console', (message) => { if (message.type() === 'error' && !/Failed to load resource|ERR_INTERNET_DISCONNECTED|WebSocket connection/.test(message.text())) problems.push(`console: ${message.text()}`); });
    page.on('request', (request) => requests.push(request.url()));
    return { context, page, problems, requests };
  };
  return { browser, open };
}
