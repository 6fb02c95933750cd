// Every screen in both languages and both themes: axe finds nothing, no screen scrolls that must not, and a screenshot of each.
//   IOC_AXE=0  only the screenshots, for docs/images
import assert from 'node:assert/strict';
import { id, inState, origin, patience, settled, story, violations } from './harness.mjs';

const WALL = { width: 1920, height: 1080 };
const FOUR_K = { width: 3840, height: 2160 };
const map = `${id('map-canvas')}[data-ready=true]`;
const SCREENS = [
  ['desk', '', map],
  ['desk-detail', '', `${id('detail-chart')} canvas`, async (page) => { await page.keyboard.press('j'); }],
  ['sources', 'view=sources', `${id('sources-table')} tr`],
  ['pipelines', 'view=pipelines&pipeline=traffic_loop', `${id('pipeline')}[data-pipeline=traffic_loop]`],
  ['history', 'view=history', `${id('history-table')}, ${id('history-empty')}`],
  ['analyst', 'view=analyst&back=1', `${id('analyst-chart')} canvas`],
];

await story('looks', async ({ open, begin, shot }) => {
  const { page } = await open(undefined, '#lang=vi&theme=dark');
  begin('an alert is there');
  await inState(page, 'live');
  await page.locator(id('alert-row')).first().waitFor({ timeout: patience });
  const go = async (at, hash, lang, theme) => {
    await at.goto(`${origin}/#${[hash, `lang=${lang}`, `theme=${theme}`].filter((p) => p !== '').join('&')}`);
    await at.locator(`html[lang=${lang}][data-theme=${theme}]`).waitFor();
  };
  const still = async (at, name) => {
    const [w, h] = await at.evaluate(() => [document.documentElement.scrollWidth - innerWidth, document.documentElement.scrollHeight - innerHeight]);
    assert.deepEqual([w <= 0, h <= 0], [true, true], `${name} does not scroll`);
  };
  // All of them are seen before the first one fails.
  const found = [];
  const look = async (at, name) => {
    await settled(at);
    await still(at, name);
    await shot(at, name);
    if (process.env.IOC_AXE !== '0') found.push(...await violations(at, name));
  };
  for (const lang of ['vi', 'en']) {
    for (const theme of ['dark', 'light']) {
      begin(`the desk's screens in ${lang}, ${theme}`);
      for (const [name, hash, wanted, hands] of SCREENS) {
        await go(page, hash, lang, theme);
        await hands?.(page);
        await page.locator(wanted).first().waitFor({ state: 'attached' });
        await look(page, `${name}-${lang}-${theme}`);
      }
    }
  }
  begin('the wall, 1920 × 1080, and where it cannot be pointed at');
  const wall = (await open(WALL, '#wall')).page;
  for (const [lang, theme] of [['vi', 'dark'], ['en', 'dark'], ['vi', 'light'], ['en', 'light']]) {
    await go(wall, 'wall', lang, theme);
    await wall.locator(`${id('wall')} ${map}`).waitFor({ state: 'attached' });
    // Its colours are those of the theme, also after a change.
    await wall.waitForFunction(() => document.querySelector('[data-testid=map-canvas]')?.dataset.ground === getComputedStyle(document.documentElement).getPropertyValue('--ground').trim());
    await wall.locator(`${id('wall-path')}:not([data-ms=""])`).waitFor({ timeout: patience });
    await look(wall, `wall-${lang}-${theme}`);
  }
  assert.equal(await wall.evaluate(() => getComputedStyle(document.querySelector('.wall b')).cursor), 'none');
  const size = (at) => at.evaluate(() => [...document.querySelectorAll('.wall *')].filter((e) => [...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim() !== '') && !e.closest('.visually-hidden, svg')).reduce((least, e) => Math.min(least, Number.parseFloat(getComputedStyle(e).fontSize)), 99));
  assert.ok((await size(wall)) >= 21.9, 'nothing smaller than 22 px');
  begin('the wall in 4K is twice as large');
  const large = (await open(FOUR_K, '#wall&lang=vi&theme=dark')).page;
  await large.locator(`${id('wall')} ${map}`).waitFor({ state: 'attached' });
  assert.ok((await size(large)) >= 43.9, 'nothing smaller than 44 px');
  await settled(large);
  await still(large, '4K');
  await shot(large, 'wall-4k-vi-dark');
  begin('the help, the search');
  await page.keyboard.press('?');
  await page.locator(id('help')).waitFor();
  found.push(...await violations(page, 'help'));
  await page.keyboard.press('Escape');
  begin('axe finds nothing');
  assert.deepEqual(found, []);
});
