// Two operators on one alert: neither overwrites the other, and what was typed is still there. IOC_RULE: whose alert is waited for.
import assert from 'node:assert/strict';
import { api, id, inState, nameIfAsked, patience, story, until } from './harness.mjs';

await story('two', async ({ open, begin, shot }) => {
  begin('both look at the same alert');
  const rule = process.env.IOC_RULE ? `[data-rule="${process.env.IOC_RULE}"]` : '';
  const lan = (await open(undefined, '#lang=vi')).page;
  await inState(lan, 'live');
  const row = lan.locator(`${id('alert-row')}${rule}[data-condition=firing]:not([data-handling=closed])`).first();
  await row.waitFor({ timeout: patience });
  const alert = await row.getAttribute('data-alert-id');
  const duc = (await open(undefined, `#lang=vi&alert=${alert}`)).page;
  await inState(duc, 'live');
  await lan.goto(`${lan.url().split('#')[0]}#lang=vi&alert=${alert}`);
  await lan.locator(`${id('detail-alert')}[data-alert-id="${alert}"]`).waitFor();
  await duc.locator(`${id('detail-alert')}[data-alert-id="${alert}"]`).waitFor();

  begin('Đức begins to write; his line is slow');
  await duc.keyboard.press('n');
  await duc.locator(`${id('form-note')} ${id('act-note-text')}`).fill('Đã gọi cảnh sát giao thông, đang chờ trả lời');
  let held = null;
  await duc.route(/\/act$/, async (route) => {
    // What Đức sends waits until Lan's act is durable: he has not seen it.
    held ??= route.request().postDataJSON();
    await lanDone;
    await route.continue();
  });
  let release;
  const lanDone = new Promise((done) => { release = done; });
  await duc.keyboard.press('Enter');
  const asked = duc.locator(id('ack-name'));
  await Promise.race([asked.waitFor(), duc.locator(`${id('ack-message')}[data-phase=saving]`).waitFor()]);
  if (await asked.isVisible()) { await asked.fill('Nguyễn Văn Đức'); await duc.keyboard.press('Enter'); }
  await duc.locator(`${id('ack-message')}[data-phase=saving]`).waitFor();

  begin('Lan assigns it to herself meanwhile');
  // an earlier story may have given it to her already: only her own act counts
  const { body: before } = await api(lan, `/api/v1/alerts/${alert}`);
  await lan.keyboard.press('s');
  await lan.locator(id('assign-to')).fill('Trần Thị Lan');
  await lan.keyboard.press('Enter');
  await nameIfAsked(lan, 'Trần Thị Lan', lan.locator(id('assigned-to')));
  const assigned = before.history.filter((h) => h.what === 'assigned').length;
  await until(lan, async ([of, was]) => {
    const { history } = await (await fetch(`/api/v1/alerts/${of}`)).json();
    return history.filter((h) => h.what === 'assigned').length > was;
  }, [alert, assigned]);
  release();

  begin('Đức is told what she did; his words are still there, and go through the second time');
  const message = duc.locator(`${id('ack-message')}[data-phase=conflict]`);
  await message.waitFor();
  assert.match(await message.innerText(), /Lan/, 'it says who');
  assert.equal(await duc.locator(`${id('form-note')} ${id('act-note-text')}`).inputValue(), 'Đã gọi cảnh sát giao thông, đang chờ trả lời');
  await shot(duc, 'two-conflict');
  await duc.locator(id('act-send')).click();
  await duc.locator(id('form-note')).waitFor({ state: 'detached' });
  const { body } = await api(duc, `/api/v1/alerts/${alert}`);
  assert.equal(body.alert.assigned.to, 'Trần Thị Lan', 'her act stands');
  assert.ok(body.history.some((h) => h.what === 'noted' && /cảnh sát/.test(h.note)), 'his note stands');
  assert.ok(held.version < body.alert.version);
});
