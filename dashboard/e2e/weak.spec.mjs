// A weak machine: without WebGL2 the table takes the place of the map, and everything else works.
import assert from 'node:assert/strict';
import { axe, id, inState, story } from './harness.mjs';

await story('weak', async ({ open, begin, shot }) => {
  const blind = async ({ page }) => {
    await page.addInitScript(() => {
      const real = HTMLCanvasElement.prototype.getContext;
      HTMLCanvasElement.prototype.getContext = function getContext(kind, ...rest) { return kind === 'webgl2' ? null : real.call(this, kind, ...rest); };
    });
  };
  begin('the desk: a table, with one line of explanation');
  const { page, requests } = await open(undefined, '#lang=vi', { before: blind });
  await inState(page, 'live');
  await page.locator(id('area-table')).waitFor();
  assert.ok((await page.locator(`${id('area-table')} tbody tr`).count()) > 10);
  assert.deepEqual(requests.filter((r) => /province-/.test(r)), [], 'the map library is not even asked for');
  await axe(page, 'no webgl');
  await shot(page, 'desk-no-webgl');
  begin('the wall: the same');
  await page.goto(`${page.url().split('#')[0]}#wall`);
  await page.locator(`${id('wall')} ${id('area-table')}`).waitFor();
});
