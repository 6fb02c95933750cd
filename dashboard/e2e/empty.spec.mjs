// A program that has never heard anything: the page says so with a line to try; that very line, taken off the page into a shell, makes an event arrive.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { runProgram } from './program.mjs';

const program = await runProgram();
process.env.IOC_URL = `${program.url}/`;
const { axe, id, inState, settled, story } = await import('./harness.mjs');

await story('empty', async ({ open, begin, shot }) => {
  const { page } = await open(undefined, '#lang=vi&theme=dark');
  await inState(page, 'live');
  const empty = page.locator(id('no-events'));
  for (const [lang, words] of [['vi', /Chưa có sự kiện/], ['en', /No events yet/]]) {
    for (const theme of ['dark', 'light']) {
      begin(`it says so: ${lang}, ${theme}`);
      await page.goto(`${program.url}/#lang=${lang}&theme=${theme}`);
      await page.locator(`html[lang=${lang}][data-theme=${theme}]`).waitFor();
      await empty.waitFor();
      assert.match(await empty.textContent() ?? '', words);
      await settled(page);
      await axe(page, `no events, ${lang}, ${theme}`);
      await shot(page, `empty-${lang}-${theme}`);
    }
  }
  begin('the line of the page in a shell: the event is taken');
  const line = await empty.locator('pre').textContent() ?? '';
  assert.match(line, /^curl /);
  const { stdout } = await promisify(execFile)('bash', ['-c', line]);
  assert.match(stdout, /^HTTP\/1\.1 202/);
  begin('it arrives on the page: the sentence goes, the source is listed where the page says');
  await empty.waitFor({ state: 'detached' });
  assert.match(await page.locator(id('health')).getAttribute('title') ?? '', /1 accepted/);
  await page.keyboard.press('g');
  await page.keyboard.press('s');
  await page.locator(`${id('sources-table')} tr[data-area] button[aria-expanded=false]`).first().waitFor();
  const source = page.locator('tr[data-source="try"]');
  // the areas that were heard stand among those that were not
  for (const closed of await page.locator(`${id('sources-table')} tr[data-area]`).all()) if (!/never/.test(await closed.locator('td').nth(1).textContent() ?? '')) await closed.locator('button').click();
  await source.waitFor();
  assert.match(await source.textContent() ?? '', /try/);
  await settled(page);
  await shot(page, 'empty-then-heard');
});
assert.equal(await program.stop(), 0, 'SIGTERM ends it well');
