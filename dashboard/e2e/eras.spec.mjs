// The choice of era: the districts before July 2025 in place of today's communes, on the map, in the table, the filter, the detail and the top bar.
import assert from 'node:assert/strict';
import { api, axe, id, inState, patience, settled, story, until } from './harness.mjs';

const map = `${id('map-canvas')}[data-ready=true]`;

await story('eras', async ({ open, begin, shot }) => {
  begin('communes, as the page begins');
  const { page } = await open(undefined, '#lang=vi&theme=dark');
  await inState(page, 'live');
  await page.locator(id('alert-row')).first().waitFor({ timeout: patience });
  const { body: catalog } = await api(page, '/api/v1/catalog');
  const grouped = new Set(catalog.groups.flatMap((g) => g.members));
  const rest = catalog.areas.length - grouped.size;
  const era = page.locator(`.top ${id('era')}`);
  const said = () => era.evaluate((e) => e.selectedOptions[0]?.textContent ?? '');
  assert.equal(await said(), `${catalog.areas.length} xã/phường`);

  begin('the former districts: the top bar says so, the address keeps it, the map draws as many shapes');
  await era.selectOption('former');
  assert.equal(await said(), `${catalog.groups.length} huyện cũ + ${rest} xã/phường`);
  assert.match(page.url(), /era=former/);
  await page.locator(`${map}[data-shapes="${catalog.groups.length + rest}"]`).waitFor({ state: 'attached' });

  begin('the table: districts instead of their communes, the open alerts of all of them');
  await page.locator(id('map-mode')).click();
  const rows = page.locator(`${id('area-table')} tbody tr`);
  await rows.first().waitFor();
  assert.equal(await rows.count(), catalog.groups.length + rest);
  const alerts = (await api(page, '/api/v1/alerts?open=true')).body.filter((a) => (a.condition === 'firing' || a.condition === 'no_data') && a.handling !== 'closed' && a.area);
  const busy = catalog.groups.map((g) => ({ ...g, open: alerts.filter((a) => g.members.includes(a.area.code)).length })).sort((a, b) => b.open - a.open)[0];
  assert.ok(busy.open > 0, 'a former district has an open alert');
  await until(page, async ([name, members]) => {
    const open = (await (await fetch('/api/v1/alerts?open=true')).json()).filter((a) => (a.condition === 'firing' || a.condition === 'no_data') && a.handling !== 'closed' && members.includes(a.area?.code)).length;
    const row = [...document.querySelectorAll('[data-testid=area-table] tbody tr')].find((r) => r.querySelector('th')?.textContent === name);
    return row?.querySelectorAll('td')[1]?.textContent === String(open);
  }, [busy.name.vi, busy.members]);

  begin('no mean of several communes is offered, and none is drawn');
  const layers = await page.locator(`${id('layer')} option`).evaluateAll((list) => list.map((o) => o.value));
  assert.ok(layers.includes('traffic_area.speed'));
  await page.locator(id('layer')).selectOption('traffic_area.speed');
  assert.deepEqual(await page.locator(`${id('aggregate')} option`).evaluateAll((list) => list.map((o) => o.value)), ['max']);
  await page.locator(id('layer')).selectOption('');

  begin('a district\'s page: its alerts, its figures put together, its communes');
  await rows.filter({ has: page.getByRole('button', { name: busy.name.vi, exact: true }) }).getByRole('button').click();
  const detail = page.locator(`${id('detail-area')}[data-area="${busy.code}"]`);
  await detail.waitFor();
  assert.equal(await detail.locator(`${id('members')} li`).count(), busy.members.length);
  assert.ok(await detail.locator('section').first().locator('li').count() > 0, 'its alerts');
  assert.ok(await detail.locator('section').nth(1).locator('tbody tr').count() > 0, 'its figures');
  assert.doesNotMatch(await detail.locator('section').nth(1).textContent() ?? '', /trung bình/);
  await page.locator(id('map-mode')).click();
  await page.locator(map).waitFor({ state: 'attached' });
  await settled(page);
  await shot(page, 'era-vi-dark');
  await axe(page, 'former districts');

  begin('the filter offers the places of the era; a district lets through the alerts of its communes');
  const filter = page.locator(id('filter-area'));
  assert.equal(await filter.locator('option').count(), catalog.groups.length + rest + 1);
  await filter.selectOption(busy.code);
  await page.waitForFunction(([n]) => document.querySelectorAll('[data-testid=alert-row]').length >= n, [1]);
  const codes = new Map((await api(page, '/api/v1/alerts')).body.map((a) => [a.id, a.area?.code]));
  for (const row of await page.locator(id('alert-row')).evaluateAll((list) => list.map((r) => r.dataset.alertId))) assert.ok(busy.members.includes(codes.get(row)), 'only its own');
  await filter.click();

  begin('the same address in English and light');
  await page.goto(new URL(page.url()).href.replace('lang=vi', 'lang=en').replace('theme=dark', 'theme=light'));
  await page.locator('html[lang=en][data-theme=light]').waitFor();
  assert.equal(await said(), `${catalog.groups.length} former districts + ${rest} communes`);
  await settled(page);
  await axe(page, 'former districts, English, light');
  await shot(page, 'era-en-light');

  begin('and back');
  await era.selectOption('now');
  await page.locator(`${map}[data-shapes="${catalog.areas.length}"]`).waitFor({ state: 'attached' });
  assert.doesNotMatch(page.url(), /era=/);
});
