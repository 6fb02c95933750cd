// Screenshots of the page in its states, for looking at them: IOC_URL, IOC_SHOTS (folder).
import { mkdir } from 'node:fs/promises';
import { launch } from '../e2e/browser.mjs';

const url = process.env.IOC_URL ?? 'http://127.0.0.1:8099/';
const out = process.env.IOC_SHOTS ?? 'shots';
await mkdir(out, { recursive: true });
const { browser, open } = await launch();
const shots = [
  ['dark-vi', '#lang=vi&theme=dark', { select: true }],
  ['light-en', '#lang=en&theme=light', { select: true }],
  ['dark-vi-empty', '#lang=vi&theme=dark', {}],
  ['dark-vi-layer', '#lang=vi&theme=dark&layer=rain_1h.mm', { area: true }],
  ['light-vi-layer', '#lang=vi&theme=light&layer=rain_1h.mm', {}],
  ['phone', '#lang=vi&theme=dark', { viewport: { width: 390, height: 844 } }],
];
const only = process.argv[2];
for (const [name, hash, how] of shots) {
  if (only && !name.includes(only)) continue;
  const { page, context, problems } = await open(how.viewport ?? { width: 1440, height: 900 });
  await page.goto(new URL(`/${hash}`, url).href);
  await page.locator('[data-testid=alert-row]').first().waitFor();
  await page.locator('[data-testid=map-canvas][data-ready=true]').waitFor({ state: 'attached' });
  if (how.select) {
    await page.keyboard.press('j');
    await page.locator('[data-testid=detail-chart] canvas').waitFor();
  }
  if (how.area) {
    await page.keyboard.press('/');
    await page.keyboard.type('dong gia nghia');
    await page.keyboard.press('Enter');
    await page.locator('[data-testid=figures]').first().waitFor();
  }
  await page.locator('[data-testid=trend-chart] canvas').waitFor();
  await page.evaluate(() => new Promise((r) => setTimeout(r, 900)));
  await page.screenshot({ path: `${out}/${name}.png` });
  console.log(name, problems.length ? problems : 'ok');
  await context.close();
}
await browser.close();
