// A stored picture of the protocol: hello, snapshot and answers as a real program once gave them, given to the page again with its clock standing.
// Owns: what is stored, how it is given. The page, its files and the areas' shapes come from the running program.
import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { gunzipSync, gzipSync } from 'node:zlib';

const FILE = new URL('./snapshots/picture.json.gz', import.meta.url);
const LIVE = '/api/v1/live';
/** From the registry alone, too large to be stored. */
const AS_IT_IS = /^\/api\/v1\/areas$/;

export const readPicture = async () => JSON.parse(gunzipSync(await readFile(FILE)).toString('utf8'));
export const writePicture = (picture) => writeFile(FILE, gzipSync(JSON.stringify(picture), { level: 9 }));

/** Hello and snapshot of the running program. */
export async function takePicture(page) {
  const frames = await page.evaluate((path) => new Promise((done, failed) => {
    const socket = new WebSocket(`ws://${location.host}${path}`);
    const seen = [];
    socket.onopen = () => socket.send(JSON.stringify({ type: 'hello', protocol: 1, resume: null }));
    socket.onerror = () => failed(new Error('the live socket fails'));
    socket.onmessage = (event) => {
      seen.push(event.data);
      if (seen.length === 2) { socket.close(); done(seen); }
    };
  }), LIVE);
  const [hello, snapshot] = frames.map((text) => JSON.parse(text));
  assert.deepEqual([hello.type, snapshot.type], ['hello', 'snapshot']);
  assert.ok(snapshot.tick.live, 'the program has caught up: the picture is of a moment like any other');
  return { hello, snapshot, answers: {} };
}

/** The page's clocks stand still. Timers and frames go on, so that all of it still works. */
function standStill(at) {
  performance.now = () => 1_000;
  const Then = Date;
  globalThis.Date = class extends Then {
    constructor(...given) { super(...(given.length === 0 ? [at] : given)); }
    static now() { return at; }
  };
}

/** `taking`: what is not stored is asked of the running program and kept; else it fails. Gives what waits until all that was asked is answered. */
export async function givePicture(page, picture, taking, problems) {
  const { hello, snapshot, answers } = picture;
  let open = 0;
  await page.addInitScript(standStill, snapshot.tick.time);
  await page.routeWebSocket((url) => url.pathname === LIVE, (socket) => {
    socket.onMessage(() => {
      socket.send(JSON.stringify(hello));
      socket.send(JSON.stringify(snapshot));
    });
  });
  await page.route((url) => url.pathname.startsWith('/api/'), async (route) => {
    const { pathname, search } = new URL(route.request().url());
    const path = pathname + search;
    open += 1;
    route.request().response().catch(() => undefined).then(() => { open -= 1; });
    if (AS_IT_IS.test(path)) return route.continue();
    if (!(path in answers) && taking) {
      const answer = await route.fetch();
      answers[path] = { status: answer.status(), body: await answer.json() };
    }
    const kept = answers[path];
    if (!kept) {
      problems.push(`asked for ${path}, which the stored picture does not have: take it anew (dashboard/README.md, "Pictures")`);
      return route.abort();
    }
    return route.fulfill({ status: kept.status, json: kept.body });
  });
  return () => open === 0;
}
