// A local officer on a phone: with a token for two wards sees only these, owns an alert, works on a slow line, sees the age when cut off.
//   IOC_TOKEN        the officer's token (needed)    IOC_OWN    codes of the areas that it names, e.g. 660
//   IOC_WHOLE_TOKEN  a token for the whole province, to know what there is to see
//   IOC_LINES=no     without what a line carries and a slow one (two minutes)
import assert from 'node:assert/strict';
import { api, axe, id, inState, patience, settled, story } from './harness.mjs';

const PHONE = { width: 360, height: 740 };
const SLOW = { offline: false, latency: 400, downloadThroughput: 64_000 / 8, uploadThroughput: 64_000 / 8 };

await story('local', async ({ open, begin, shot }) => {
  begin('the sign-in form');
  const gate = await open(PHONE, '#lang=vi', { token: null });
  await gate.page.locator(id('sign-in')).waitFor();
  await axe(gate.page, 'sign-in');
  await gate.context.close();

  begin('what there is to see in the whole province');
  const whole = await open(undefined, '#lang=vi', { token: process.env.IOC_WHOLE_TOKEN });
  await inState(whole.page, 'live');
  const catalog = (await api(whole.page, '/api/v1/catalog')).body;

  begin('on a phone the page is the local one, without the map library');
  const { page, context, requests } = await open(PHONE, '#lang=vi&theme=dark', { context: { hasTouch: true, isMobile: true, deviceScaleFactor: 2 } });
  await page.locator(`${id('local')}[data-live=true]`).waitFor({ timeout: patience });
  await page.locator(`${id('queue')} ${id('alert-row')}, ${id('empty')}`).first().waitFor();
  await page.locator(`${id('own-figures')} .place-block`).first().waitFor();
  assert.deepEqual(requests.filter((r) => /province|maplibre|\/areas/.test(r)), [], 'no map before it is asked for');

  const session = await context.newCDPSession(page);
  await session.send('Network.enable');
  let bytes = 0;
  const counting = Date.now();
  session.on('Network.webSocketFrameReceived', ({ response }) => { bytes += response.payloadData.length; });

  begin('only what lies in its areas is there');
  const own = (await api(page, '/api/v1/catalog')).body;
  const mine = new Set(own.areas.map((a) => a.code));
  assert.ok(mine.size > 0 && mine.size < catalog.areas.length, `${mine.size} of ${catalog.areas.length} areas`);
  // Asked before and after: what comes or goes in between proves nothing.
  const before = (await api(whole.page, '/api/v1/alerts')).body;
  const seen = (await api(page, '/api/v1/alerts')).body;
  const all = (await api(whole.page, '/api/v1/alerts')).body;
  await whole.context.close();
  assert.ok(seen.every((a) => a.area !== null && mine.has(a.area.code)), 'no alert of elsewhere');
  const lasting = all.filter((a) => a.area && mine.has(a.area.code) && before.some((b) => b.id === a.id));
  assert.deepEqual(lasting.filter((a) => !seen.some((s) => s.id === a.id)).map((a) => a.id), [], 'every alert of its own');
  const rows = await page.locator(id('alert-row')).evaluateAll((list) => list.map((r) => r.dataset.alertId));
  assert.ok(rows.every((r) => seen.some((a) => a.id === r)));
  const foreign = all.find((a) => !a.area || !mine.has(a.area.code));
  if (foreign) assert.equal((await api(page, `/api/v1/alerts/${foreign.id}`)).status, 404, 'another one\'s alert does not exist');

  begin('everything that can be touched is 44 px or more');
  const small = await page.evaluate(() => [...document.querySelectorAll('button, select, input, a')]
    .filter((e) => e.offsetParent !== null && getComputedStyle(e).clipPath === 'none')
    .map((e) => [e.outerHTML.slice(0, 80), (e.closest('label') ?? e).getBoundingClientRect()]).filter(([, r]) => r.height < 44 || r.width < 44).map(([html, r]) => `${html} ${Math.round(r.width)}×${Math.round(r.height)}`));
  assert.deepEqual(small, []);
  assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), 'nothing scrolls sideways');
  await settled(page);
  await shot(page, 'phone-vi-dark');
  await axe(page, 'phone');

  begin('the former district is one place, the communes are two');
  const era = page.locator(id('era'));
  if (await era.isVisible()) {
    await era.selectOption('former');
    await page.locator(`${id('own-figures')} .place-block`).first().waitFor();
    assert.match(page.url(), /era=former/);
    await era.selectOption('now');
  }

  begin('an alert is opened and acknowledged');
  const fresh = page.locator(`${id('alert-row')}[data-handling=new]`).first();
  if (await fresh.count()) {
    await fresh.click();
    await page.locator(id('ack-button')).click();
    await page.locator(id('ack-done')).waitFor();
    await shot(page, 'phone-detail-vi-dark');
    await page.locator('.detail .close').click();
  } else console.log('  none is new: not tried here');

  begin('the map comes when it is asked for');
  await page.locator(id('open-map')).click();
  await page.locator(`${id('map-canvas')}[data-ready=true]`).waitFor({ state: 'attached' });
  assert.ok(requests.some((r) => /province/.test(r)));

  // what a line carries does not depend on the back end
  if (process.env.IOC_LINES !== 'no') {
    begin('over a minute in which its detectors report it takes less than 2 kB a second');
    await page.waitForFunction((from) => Date.now() - from > 60_000, counting, { polling: 500, timeout: 90_000 });
    const rate = bytes / ((Date.now() - counting) / 1000);
    console.log(`  ${Math.round(rate)} bytes a second`);
    assert.ok(rate < 2_000, `${rate} bytes a second`);

    begin('on a line of 64 kbit/s its alerts stand within three quarters of a minute');
    const began = Date.now();
    const slow = await open(PHONE, '', { token: null, before: async (it) => {
      await it.context.addCookies(await context.cookies());
      const line = await it.context.newCDPSession(it.page);
      await line.send('Network.enable');
      await line.send('Network.emulateNetworkConditions', SLOW);
    } });
    await slow.page.locator(`${id('queue')} ${id('alert-row')}, ${id('empty')}`).first().waitFor({ timeout: 45_000 });
    const took = Math.round((Date.now() - began) / 1000);
    console.log(`  ${took} s`);
    assert.ok(took < 45, `${took} s`);
    await slow.context.close();
  }

  begin('cut off, a line says so and how old the picture is');
  await context.setOffline(true);
  await session.send('Network.emulateNetworkConditions', { ...SLOW, offline: true });
  await page.locator(id('notice')).waitFor({ timeout: 15_000 });
  await shot(page, 'phone-cut-off');
});
