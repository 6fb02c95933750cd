// Each screen on one stored picture of the protocol, its clock standing, pixel by pixel against the stored screenshot.
//   UPDATE_SNAPSHOTS=1     stores the screenshots anew        UPDATE_SNAPSHOTS=all   takes the picture anew too, from the running program
import assert from 'node:assert/strict';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { compare } from './compare.mjs';
import { id, inState, settled, story } from './harness.mjs';
import { givePicture, readPicture, takePicture, writePicture } from './picture.mjs';

const update = process.env.UPDATE_SNAPSHOTS ?? '';
const folder = new URL('./snapshots/', import.meta.url);
const DESK = { width: 1440, height: 900 };
/** The stored pictures are few and small. */
const SMALL = { width: 1280, height: 720 };
const map = `${id('map-canvas')}[data-ready=true]`;
const SCREENS = [
  ['desk', DESK, 'lang=vi&theme=dark', map],
  ['detail', SMALL, 'lang=en&theme=light', `${id('detail-chart')} canvas`, async (page) => {
    await page.locator(id('alert-row')).first().waitFor();
    await page.keyboard.press('j');
    await page.locator(map).waitFor({ state: 'attached' });
  }],
  ['wall', SMALL, 'wall&lang=vi&theme=dark', `${id('wall')} ${map}`],
  ['phone', { width: 360, height: 740 }, 'lang=vi&theme=light', `${id('own-figures')} .place-block`],
  ['pipelines', SMALL, 'view=pipelines&pipeline=traffic_loop&lang=en&theme=dark', `${id('pipeline')}[data-pipeline=traffic_loop]`],
  ['history', SMALL, 'view=history&lang=en&theme=light', id('history-table')],
  ['analyst', SMALL, 'view=analyst&back=1&lang=vi&theme=dark', `${id('analyst-chart')} canvas`],
];

/** All that was asked is answered, and what is drawn by frames (map, charts) has come to rest: three pictures in a row are the same. */
async function atRest(page, answered) {
  for (let before = null, same = 0; ;) {
    await settled(page);
    const taken = await page.screenshot({ animations: 'disabled', caret: 'hide' });
    same = answered() && before?.equals(taken) ? same + 1 : 0;
    if (same === 2) return taken;
    before = taken;
  }
}

await story('snapshots', async ({ open, begin, shot }) => {
  await mkdir(folder, { recursive: true });
  let picture;
  if (update === 'all') {
    begin('a picture of the running program');
    const { page, context } = await open(DESK);
    await inState(page, 'live');
    picture = await takePicture(page);
    await context.close();
  } else picture = await readPicture();
  const differing = [];
  for (const [name, viewport, hash, wanted, hands] of SCREENS) {
    begin(name);
    let answered = () => false;
    const { page, context, problems } = await open(viewport, `#${hash}`, {
      token: null,
      context: { reducedMotion: 'reduce', deviceScaleFactor: 1 },
      before: async (it) => { answered = await givePicture(it.page, picture, update === 'all', it.problems); },
    });
    await hands?.(page);
    await page.locator(wanted).first().waitFor({ state: 'attached' });
    const taken = await atRest(page, answered);
    assert.deepEqual(problems, []);
    await context.close();
    const file = new URL(`${name}.png`, folder);
    if (update !== '') { await writeFile(file, taken); continue; }
    const difference = compare(await readFile(file), taken);
    if (!difference) continue;
    differing.push(`${name}: ${difference.words}`);
    await shot(taken, `snapshot-${name}-taken`);
    await shot(difference.picture, `snapshot-${name}-difference`);
  }
  if (update === 'all') await writePicture(picture);
  begin('every screen as it was (the taken ones and the differences are among the screenshots; if they are meant, UPDATE_SNAPSHOTS=1)');
  assert.deepEqual(differing, []);
});
