// What did not count: refused and late records sent over HTTP stand on the sources page with their reason, path and place; refused ones are
// driven again and each says what became of it. And a figure behind which a sketch stands is marked as approximate.
import assert from 'node:assert/strict';
import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runProgram } from './program.mjs';

const pipelines = await mkdtemp(join(tmpdir(), 'ioc-pipelines-'));
await cp('pipelines', pipelines, { recursive: true });
await writeFile(join(pipelines, 'spread.yaml'), `pipeline: spread
sector: traffic
from: [traffic.loop]
out_of_orderness: 5s
lateness: 5m
windows:
  - {measurement: spread, every: 1m, by: [area], fields: {p95: p95(data.speed_kmh)}}
`);
const program = await runProgram(['--pipelines', pipelines]);
process.env.IOC_URL = `${program.url}/`;
const { api, axe, id, inState, settled, story, until } = await import('./harness.mjs');

let sent = 0;
const event = (source, time, data) => ({ specversion: '1.0', id: `e${sent += 1}`, source, type: 'traffic.loop', time: new Date(time).toISOString(), data: { lon: 107.6897, lat: 12.0045, ...data } });
async function send(...events) {
  const answer = await fetch(`${program.url}/api/v1/events`, { method: 'POST', headers: { 'content-type': 'application/cloudevents-batch+json' }, body: JSON.stringify(events) });
  assert.equal(answer.status, 202, await answer.text());
}
const WELL = { count: 3, speed_kmh: 41.5, occupancy_pct: 7 };

await story('refused', async ({ open, begin, shot }) => {
  const { page } = await open(undefined, '#view=sources&lang=vi&theme=dark');
  await inState(page, 'live');
  begin('one source sends what is refused, one what is late');
  const begun = Date.now();
  const ahead = begun + 65_000;
  await send(
    event('broken', begun, { count: 3, speed_kmh: 40 }), event('broken', begun, { ...WELL, count: 'ba' }),
    event('fast', ahead, WELL),
    event('slow', begun - 1_000, WELL),
  );
  await send(event('slow', begun - 21 * 60_000, WELL));
  await until(page, async () => {
    const { sources } = await (await fetch('/api/v1/sources')).json();
    const of = (name) => sources.find((s) => s.id === name);
    return of('broken')?.rejected === 2 && of('fast')?.rejected === 1 && of('slow')?.late > 0 ? of('slow').late : false;
  });
    await page.reload();
  // nobody registered them: they stand at the end, outside every area
  await page.locator('tr[data-area=""] button').click();
  const line = async (source) => {
    const row = page.locator(`tr[data-source="${source}"]`);
    await row.waitFor();
    return row;
  };
  const picture = async (what, file) => {
    await what.scrollIntoViewIfNeeded();
    await settled(page);
    await shot(page, file);
  };

  begin('the counts, and the samples with reason, path and place');
  const broken = await line('broken');
  assert.equal(await broken.locator(id('show-rejected')).textContent(), '2');
  await broken.locator(id('show-rejected')).click();
  const samples = page.locator(`${id('samples')} .sample`);
  await samples.nth(1).waitFor();
  const texts = await samples.allTextContents();
  assert.ok(texts.some((text) => /schema\.required/.test(text) && /occupancy_pct/.test(text)), texts.join('\n'));
  assert.ok(texts.some((text) => /schema\.type/.test(text) && /count/.test(text) && /"ba"/.test(text)), texts.join('\n'));
  assert.ok(texts.every((text) => /\S+\/\d+ @\d+/.test(text)), 'where it lies in the log');
  await picture(samples.nth(1), 'refused-vi-dark');
  await axe(page, 'refused');

  begin('driven again without a change it is refused again, and says why');
  await samples.first().locator(id('redrive')).click();
  const told = samples.first().locator(`${id('redriven')}[data-verdict=rejected]`);
  await told.waitFor();
  assert.match(await told.textContent() ?? '', /lại bị từ chối.*schema\./);
  await broken.locator(id('show-rejected')).click();

  begin('what was ahead of the clock is accepted once its time has come');
  const fast = await line('fast');
  await fast.locator(id('show-rejected')).click();
  assert.match(await samples.first().textContent() ?? '', /^time/);
  await page.waitForFunction((at) => Date.now() > at, ahead - 58_000);
  await samples.first().locator(id('redrive')).click();
  const taken = samples.first().locator(`${id('redriven')}[data-verdict=accepted]`);
  await taken.waitFor();
  assert.match(await taken.textContent() ?? '', /được nhận.*traffic_loop: được nhận/);
  await picture(taken, 'refused-driven-again-vi-dark');
  await fast.locator(id('show-rejected')).click();

  begin('the late one: how late, for which pipeline, where it lies');
  const slow = await line('slow');
  await slow.locator(id('show-late')).click();
  const late = page.locator(`${id('late-samples')} .sample`).first();
  await late.waitFor();
  assert.match(await late.textContent() ?? '', /muộn 20 phút ở (traffic_loop|spread) traffic\.loop.*\/\d+ @\d+/);
  for (const [lang, theme] of [['en', 'light'], ['en', 'dark'], ['vi', 'light']]) {
    if (await page.locator('html').getAttribute('lang') !== lang) await page.locator(id('lang')).click();
    if (await page.locator('html').getAttribute('data-theme') !== theme) await page.locator(id('theme')).click();
    await settled(page);
    await axe(page, `late, ${lang}, ${theme}`);
  }
  await picture(late, 'late-vi-light');

  begin('a figure of more than 1,024 values is a sketch, and is marked');
  const minute = Math.floor((Date.now() - 120_000) / 60_000) * 60_000;
  await send(...Array.from({ length: 1_500 }, (_, i) => event('many', minute + i * 30, { ...WELL, speed_kmh: 20 + (i % 60) })));
  await send(event('many', Date.now(), WELL));
  const area = await until(page, async (start) => {
    const answer = await fetch(`/api/v1/rows?measurement=spread&from=${start}&to=${start + 60_000}`);
    return answer.ok ? (await answer.json()).rows[0]?.area?.code ?? false : false;
  }, minute, 120_000);
  await page.goto(`${program.url}/#area=${area}&lang=vi&theme=light`);
  const figure = page.locator(`${id('figures')}[data-measurement=spread]`);
  await figure.waitFor();
  await page.waitForFunction(() => /≈ \d/.test(document.querySelector('[data-testid=figures][data-measurement=spread]')?.textContent ?? ''));
  assert.match(await figure.textContent() ?? '', /gần đúng/);
  await figure.locator('button.figure').click();
  await page.waitForFunction(() => /^≈ \d/.test(document.querySelector('[data-testid=trend-value]')?.textContent ?? ''));
  // what was counted to the end is not marked
  assert.doesNotMatch(await page.locator(`${id('figures')}[data-measurement=traffic_loop]`).textContent() ?? '', /≈/);
  await settled(page);
  await shot(page, 'approximate-vi-light');
  await axe(page, 'approximate');
  assert.equal((await api(page, '/api/v1/rejected')).status, 200);
});
assert.equal(await program.stop(), 0, 'SIGTERM ends it well');
await rm(pipelines, { recursive: true });
