// What an operator does, in a real browser against a real server: sees an alert, moves by j and k, acknowledges by `a`, loses the
// line and regains it, and nothing is lost. Plain script: exits 0 when all of it held, else names the step.
//   IOC_URL      the page (needed)
//   IOC_SHOTS    folder for screenshots, default e2e/shots
//   IOC_PATIENCE ms to wait for the first alert, default 240000
//   IOC_TOKEN    token to sign in with, where the server asks for one
//   IOC_RULE     the rule whose alert is waited for, e.g. flow_stopped; without it any
import assert from 'node:assert/strict';
import { mkdir } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { launch } from './browser.mjs';

const url = process.env.IOC_URL;
if (!url) {
  console.error('IOC_URL is not set: name the page, e.g. IOC_URL=http://127.0.0.1:8080/ npm run e2e');
  process.exit(2);
}
const shots = process.env.IOC_SHOTS ?? new URL('./shots', import.meta.url).pathname;
const patience = Number(process.env.IOC_PATIENCE ?? 240_000);
await mkdir(shots, { recursive: true });
const origin = new URL(url).origin;
const id = (name) => `[data-testid=${name}]`;

const { browser, open } = await launch();
const { page, context, problems, requests } = await open();
page.setDefaultTimeout(30_000);
const shot = (name) => page.screenshot({ path: `${shots}/${name}.png` });
const inState = (state) => page.locator(`${id('connection')}[data-state="${state}"]`).waitFor();
let step = '';
const begin = (name) => { step = name; console.log(`· ${name}`); };

/** The line between page and server, in our hand: "through" passes frames, "silent" swallows them, "cut" closes and refuses. */
const line = { mode: 'through', open: new Set(), hellos: [], resumes: [], snapshots: 0, frames: 0 };
await page.routeWebSocket(/\/api\/v1\/live$/, (client) => {
  if (line.mode === 'cut') return void client.close({ code: 1001 });
  const server = client.connectToServer();
  line.open.add(client);
  client.onMessage((text) => {
    const message = JSON.parse(text);
    if (message.type === 'hello') line.resumes.push(message.resume);
    server.send(text);
  });
  server.onMessage((text) => {
    if (line.mode === 'silent') return;
    const message = JSON.parse(text);
    line.frames += 1;
    if (message.type === 'hello') line.hellos.push(message);
    if (message.type === 'snapshot') line.snapshots += 1;
    client.send(text);
  });
  client.onClose(() => { line.open.delete(client); server.close(); });
  server.onClose((code) => { line.open.delete(client); client.close({ code: code === 1006 ? 1001 : code }); });
});
const cut = () => { line.mode = 'cut'; for (const client of line.open) client.close({ code: 1001 }); line.open.clear(); };

/** What the page lists and what the server holds as open are the same alerts in the same versions. */
const sameAsServer = () => page.waitForFunction(async () => {
  const answer = await fetch('/api/v1/alerts?open=true');
  const wanted = (await answer.json()).filter((a) => (a.condition === 'firing' || a.condition === 'no_data') && a.handling !== 'closed');
  const rows = new Map([...document.querySelectorAll('[data-testid=alert-row]')].map((r) => [r.dataset.alertId, Number(r.dataset.version)]));
  return wanted.every((a) => (rows.get(a.id) ?? -1) >= a.version);
}, undefined, { polling: 500 });

try {
  begin('the page opens and is live');
  await page.goto(new URL('/#lang=vi&theme=dark', origin).href);
  if (process.env.IOC_TOKEN) {
    await page.locator(`${id('sign-in')} input`).fill(process.env.IOC_TOKEN);
    await page.keyboard.press('Enter');
  }
  await inState('live');
  await page.locator(`${id('map-canvas')}[data-ready=true]`).waitFor({ state: 'attached' });
  assert.equal(await page.locator('html').getAttribute('lang'), 'vi');

  begin('an alert is there, or appears');
  const rule = process.env.IOC_RULE ? `[data-rule="${process.env.IOC_RULE}"]` : '';
  const waitedFor = page.locator(`${id('alert-row')}${rule}[data-condition=firing][data-handling=new]`).first();
  await waitedFor.waitFor({ timeout: patience });
  const alertId = await waitedFor.getAttribute('data-alert-id');
  await page.waitForFunction(() => /^\(\d+\) /.test(document.title));
  await shot('1-alert');

  begin('j and k move to it; its detail opens');
  const chosen = () => page.locator(`${id('alert-row')}[aria-current=true]`).getAttribute('data-alert-id');
  await page.keyboard.press('j');
  const first = await chosen();
  const rows = await page.locator(id('alert-row')).count();
  if (rows > 1) {
    await page.keyboard.press('j');
    assert.notEqual(await chosen(), first, 'j moves on');
    await page.keyboard.press('k');
    assert.equal(await chosen(), first, 'k moves back');
  }
  for (let n = 0; n < rows * 2 && (await chosen()) !== alertId; n++) await page.keyboard.press('j');
  assert.equal(await chosen(), alertId, 'j reaches the alert');
  await page.locator(`${id('detail-alert')}[data-alert-id="${alertId}"]`).waitFor();
  await page.locator(id('evidence')).waitFor();
  await page.locator(`${id('detail-chart')} canvas`).waitFor();
  await page.locator(`${id('trend-chart')} canvas`).waitFor();
  await shot('2-detail');

  begin('a acknowledges it');
  const row = page.locator(`[data-alert-id="${alertId}"]${id('alert-row')}`);
  const before = Number(await row.getAttribute('data-version'));
  await page.keyboard.press('a');
  const name = page.locator(id('ack-name'));
  const done = page.locator(`${id('alert-row')}[data-alert-id="${alertId}"][data-handling=acknowledged]`);
  await Promise.race([done.waitFor(), name.and(page.locator(':focus')).waitFor()]);
  if (await name.isVisible()) {
    await page.keyboard.type('Nguyễn Thị Ánh');
    await page.keyboard.press('Enter');
  }
  await done.waitFor();
  await page.locator(id('ack-done')).waitFor();
  assert.ok(Number(await row.getAttribute('data-version')) > before, 'the version rose');
  const told = await page.evaluate(async (alert) => (await fetch(`/api/v1/alerts/${alert}`)).json(), alertId);
  assert.equal(told.alert.handling, 'acknowledged', 'the server holds it');
  await page.locator(id('history')).waitFor();
  await shot('3-acknowledged');

  begin('a silent line is noticed within 3 s, the picture stays, with its age');
  const listed = await page.locator(id('alert-row')).count();
  line.mode = 'silent';
  await page.locator(`${id('connection')}:not([data-state=live])`).waitFor({ timeout: 8_000 });
  await page.locator(id('notice')).waitFor();
  assert.ok((await page.locator(id('alert-row')).count()) >= Math.min(1, listed), 'rows stay');
  await shot('4-cut-off');
  cut();
  await context.setOffline(true);
  await inState('waiting');

  begin('the line returns: resumed, nothing lost, nothing doubled');
  const helloes = line.hellos.length;
  const snapshots = line.snapshots;
  await context.setOffline(false);
  line.mode = 'through';
  await inState('live');
  assert.ok(line.hellos.length > helloes, 'greeted again');
  assert.ok(line.resumes.at(-1)?.seq > 0, 'asked to resume from the last frame');
  const resumed = line.hellos.at(-1).resumed;
  assert.equal(line.snapshots - snapshots, resumed ? 0 : 1, 'a snapshot comes if and only if it was not resumed');
  await sameAsServer();
  const ids = await page.locator(id('alert-row')).evaluateAll((list) => list.map((r) => r.dataset.alertId));
  assert.equal(new Set(ids).size, ids.length, 'no row twice');
  console.log(`  resumed: ${resumed}`);
  await shot('5-regained');

  begin('the address restores the view; light and English');
  await page.locator(id('theme')).click();
  await page.locator(id('lang')).click();
  await page.locator('html[lang=en][data-theme=light]').waitFor();
  await page.reload();
  await inState('live');
  await page.locator('html[lang=en][data-theme=light]').waitFor();
  await page.locator(`${id('detail-alert')}[data-alert-id="${alertId}"]`).waitFor();
  await page.locator(`${id('map-canvas')}[data-ready=true]`).waitFor({ state: 'attached' });
  await page.locator(`${id('detail-chart')} canvas`).waitFor();
  await sameAsServer();
  await shot('6-light-en');

  begin('search finds without diacritics');
  const area = await page.evaluate(async () => (await (await fetch('/api/v1/areas')).json()).features.find((f) => /Đ/.test(f.properties.name))?.properties);
  if (area) {
    await page.keyboard.press('/');
    await page.keyboard.type(area.name.normalize('NFD').replace(/\p{M}/gu, '').replace(/[đĐ]/g, 'd'));
    await page.keyboard.press('Enter');
    await page.locator(`${id('detail-area')}[data-area="${area.code}"]`).waitFor();
    await page.keyboard.press('Escape');
    await page.locator(id('detail')).waitFor({ state: 'detached' });
  }

  begin('axe finds nothing');
  const axe = createRequire(import.meta.url).resolve('axe-core/axe.min.js');
  // Evaluated by the debugger, not by a script tag: the page's policy stays as strict as it is.
  await page.evaluate(await (await import('node:fs/promises')).readFile(axe, 'utf8'));
  for (const theme of ['light', 'dark']) {
    await page.locator(`html[data-theme=${theme}]`).or(page.locator(id('theme'))).first().waitFor();
    if ((await page.locator('html').getAttribute('data-theme')) !== theme) await page.locator(id('theme')).click();
    await page.keyboard.press('j');
    await page.locator(id('detail-alert')).waitFor();
    const found = await page.evaluate(() => window.axe.run(document));
    const words = found.violations.map((v) => `${v.id}: ${v.help}\n    ${v.nodes.slice(0, 4).map((n) => `${n.target} ${n.failureSummary?.split('\n')[1] ?? ''}`).join('\n    ')}`);
    assert.ok(found.passes.length > 20, 'axe looked');
    assert.deepEqual(words, [], `${theme}: axe finds nothing`);
  }

  begin('the sources page: g s shows who is heard, worst first; Escape returns to the map');
  await page.keyboard.press('Escape');
  await page.locator(id('detail')).waitFor({ state: 'detached' });
  await page.keyboard.press('g');
  await page.keyboard.press('s');
  await page.locator(`${id('sources-table')} button`).first().click();
  await page.locator(`${id('sources-table')} tr[data-source]`).first().waitFor();
  assert.match(page.url(), /view=sources/);
  await shot('8-sources');
  const sources = await page.evaluate(() => window.axe.run(document));
  assert.deepEqual(sources.violations.map((v) => `${v.id}: ${v.nodes[0]?.html}`), [], 'axe finds nothing on the sources page');
  await page.keyboard.press('Escape');
  await page.locator(id('map')).waitFor();

  begin('without WebGL2 the table takes the place of the map');
  const plain = await open();
  await plain.page.addInitScript(() => {
    const real = HTMLCanvasElement.prototype.getContext;
    HTMLCanvasElement.prototype.getContext = function getContext(kind, ...rest) { return kind === 'webgl2' ? null : real.call(this, kind, ...rest); };
  });
  await plain.context.addCookies(await context.cookies());
  await plain.page.goto(new URL('/#lang=vi', origin).href);
  await plain.page.locator(id('area-table')).waitFor();
  await plain.page.screenshot({ path: `${shots}/7-no-webgl.png` });
  problems.push(...plain.problems);
  requests.push(...plain.requests);
  await plain.context.close();

  begin('no error, no breach of the policy, no request to elsewhere');
  assert.deepEqual(problems, []);
  const elsewhere = requests.filter((r) => new URL(r).origin !== origin && !r.startsWith('blob:') && !r.startsWith('data:'));
  assert.deepEqual(elsewhere, []);
  console.log('all held');
} catch (error) {
  console.error(`failed at: ${step}\n${error.stack ?? error}`);
  if (problems.length > 0) console.error(`seen on the page:\n  ${problems.join('\n  ')}`);
  await shot('failed').catch(() => undefined);
  process.exitCode = 1;
} finally {
  await browser.close();
}
