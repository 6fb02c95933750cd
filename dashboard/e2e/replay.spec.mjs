// An analyst opens an alert in replay: ten minutes before it began nothing of it is there; it begins as it was seen then; one key returns to live.
//   IOC_RULE  the rule whose alert is waited for, e.g. flow_stopped; without it any
import assert from 'node:assert/strict';
import { api, axe, id, inState, patience, settled, story, until } from './harness.mjs';

/** The handling that an act leaves; reopening gives it back to who has it. */
const HANDLED = { acknowledged: 'acknowledged', unacknowledged: 'new', assigned: 'assigned', closed: 'closed', reopened: undefined };

await story('replay', async ({ open, begin, shot }) => {
  begin('an alert stands, and the time bar knows it');
  const rule = process.env.IOC_RULE ? `[data-rule="${process.env.IOC_RULE}"]` : '';
  const { page } = await open(undefined, '#lang=vi&theme=dark');
  await inState(page, 'live');
  const row = page.locator(`${id('alert-row')}${rule}[data-condition=firing]`).first();
  await row.waitFor({ timeout: patience });
  const alert = await row.getAttribute('data-alert-id');
  await row.click();
  await page.locator(`${id('detail-alert')}[data-alert-id="${alert}"]`).waitFor();
  await page.locator(id('time-track')).waitFor();
  const { body: known } = await api(page, `/api/v1/alerts/${alert}`);
  const { body: bar } = await api(page, '/api/v1/timeline');
  assert.ok(bar.oldest < known.alert.since && bar.alerts.some((mark) => mark.id === alert), 'the bar has its mark');

  begin('r opens the replay: ten minutes before it began it is not there, and nothing can be acted on');
  const pressed = Date.now();
  await page.keyboard.press('r');
  const sign = page.locator(id('replay-sign'));
  await page.locator(`${id('replay-sign')}[data-phase=shown]`).waitFor();
  console.log(`  the picture was there after ${Date.now() - pressed} ms`);
  assert.match(await sign.textContent() ?? '', /^PHÁT LẠI (\d\d\/\d\d )?\d\d:\d\d:\d\d ×10$/);
  await page.locator(id('detail-not-yet')).waitFor();
  assert.equal(await page.locator(`${id('alert-row')}[data-alert-id="${alert}"]`).count(), 0, 'it has not begun');
  assert.equal(await page.locator(`${id('act-bar')}, ${id('ack-button')}`).count(), 0, 'no action is offered');
  const frame = await page.evaluate(() => { const s = getComputedStyle(document.body, '::after'); return [s.borderTopWidth, s.borderTopColor]; });
  assert.deepEqual(frame, ['4px', 'rgb(196, 167, 255)'], 'a violet frame of 4 px');
  await page.keyboard.press('a');
  await settled(page);
  await shot(page, 'replay-1-before');

  begin('paused, a step on is a minute; the address holds the moment');
  await page.locator(id('replay-play')).click();
  await page.locator(`${id('replay-sign')}[data-playing=false][data-phase=shown]`).waitFor();
  const clock = async () => (/\d\d:\d\d:\d\d/.exec(await sign.textContent() ?? '') ?? [''])[0].split(':').reduce((sum, part) => sum * 60 + Number(part), 0);
  const before = await clock();
  await page.keyboard.press(']');
  await page.waitForFunction(([name, was]) => {
    const text = /\d\d:\d\d:\d\d/.exec(document.querySelector(`[data-testid=${name}]`)?.textContent ?? '')?.[0] ?? '';
    const now = text.split(':').reduce((sum, part) => sum * 60 + Number(part), 0);
    return Math.abs((now - was + 86_400) % 86_400 - 60) <= 1;
  }, ['replay-sign', before]);
  await page.waitForFunction(() => /[#&]at=\d{4}-\d\d-\d\dT/.test(location.hash));

  begin('the bar goes to the moment after it began: it is there as it was then');
  // what the desk did with it meanwhile is shown from its second on; a moment clear of any of it
  const acts = known.history.filter((entry) => entry.what in HANDLED);
  let at = bar.alerts.find((mark) => mark.id === alert).at + 60_000;
  while (acts.some((entry) => Math.abs(entry.at - at) < 3_000)) at += 1_000;
  const done = acts.filter((entry) => entry.at < at).map((entry) => entry.what);
  const owned = done.includes('assigned') ? 'assigned' : 'acknowledged';
  const handling = done.length === 0 ? 'new' : (HANDLED[done.at(-1)] ?? owned);
  await page.evaluate((to) => { location.hash = location.hash.replace(/at=[^&]*/, `at=${new Date(to).toISOString()}`); }, at);
  const then = page.locator(`${id('alert-row')}[data-alert-id="${alert}"]`);
  await then.waitFor();
  await page.locator(`${id('detail-alert')}[data-alert-id="${alert}"]`).waitFor();
  assert.equal(await then.getAttribute('data-handling'), handling, `as it was then: ${JSON.stringify(acts.map((entry) => [entry.at - at, entry.what]))}`);
  await settled(page);
  await shot(page, 'replay-2-alert');
  for (const theme of ['light', 'dark']) {
    if ((await page.locator('html').getAttribute('data-theme')) !== theme) await page.locator(id('theme')).click();
    await settled(page);
    await axe(page, `replay, ${theme}`);
    if (theme === 'light') await shot(page, 'replay-3-light');
  }

  begin('the same address opens the same moment elsewhere');
  const other = (await open(undefined, new URL(page.url()).hash.replace('lang=vi', 'lang=en'))).page;
  await other.locator(`${id('replay-sign')}[data-phase=shown]`).waitFor();
  await other.locator(`${id('alert-row')}[data-alert-id="${alert}"]`).waitFor();
  await other.locator(id('replay-sign')).filter({ hasText: 'REPLAY' }).waitFor();
  await settled(other);
  await shot(other, 'replay-4-english');
  await axe(other, 'replay, English');

  begin('the bar is dragged; the next alert is found');
  const track = await page.locator(id('time-track')).boundingBox();
  await page.mouse.move(track.x + track.width * 0.2, track.y + 6);
  await page.mouse.down();
  await page.mouse.move(track.x + track.width * 0.5, track.y + 6, { steps: 8 });
  await page.mouse.up();
  const place = () => page.evaluate(() => {
    const track = document.querySelector('[data-testid=time-track]');
    const [from, to, now] = ['min', 'max', 'now'].map((name) => Number(track?.getAttribute(`aria-value${name}`)));
    return { now, share: (now - from) / (to - from) };
  });
  await page.waitForFunction(() => {
    const track = document.querySelector('[data-testid=time-track]');
    const [from, to, now] = ['min', 'max', 'now'].map((name) => Number(track?.getAttribute(`aria-value${name}`)));
    return document.querySelector('[data-testid=replay-sign]')?.dataset.phase === 'shown' && Math.abs((now - from) / (to - from) - 0.5) < 0.02;
  });
  const middle = (await place()).now;
  await page.keyboard.press('n');
  await page.waitForFunction((was) => {
    const shown = document.querySelector('[data-testid=replay-sign]')?.dataset.phase === 'shown';
    return document.querySelector('[data-testid=replay-note]') !== null || (shown && Number(document.querySelector('[data-testid=time-track]')?.getAttribute('aria-valuenow')) > was);
  }, middle);

  begin('Escape returns to the live picture');
  await page.keyboard.press('Escape');
  await sign.waitFor({ state: 'detached' });
  assert.doesNotMatch(new URL(page.url()).hash, /at=/);
  await inState(page, 'live');
  await until(page, async () => {
    const wanted = (await (await fetch('/api/v1/alerts?open=true')).json()).filter((a) => (a.condition === 'firing' || a.condition === 'no_data') && a.handling !== 'closed');
    const rows = new Map([...document.querySelectorAll('[data-testid=alert-row]')].map((r) => [r.dataset.alertId, Number(r.dataset.version)]));
    return wanted.every((a) => (rows.get(a.id) ?? -1) >= a.version);
  });
  const { body: after } = await api(page, `/api/v1/alerts/${alert}`);
  assert.equal(after.alert.handling, known.alert.handling, 'the replay has changed nothing');
});
