// What every browser test here stands on: a page of its own, steps with names, screenshots, axe, and that nothing went wrong beside.
//   IOC_URL    the page (needed)                      IOC_SHOTS   folder for screenshots, default e2e/shots
//   IOC_TOKEN  token to sign in with, where needed     IOC_PATIENCE ms to wait for the first alert, default 240000
import assert from 'node:assert/strict';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { launch } from './browser.mjs';

const url = process.env.IOC_URL;
if (!url) {
  console.error('IOC_URL is not set: name the page, e.g. IOC_URL=http://127.0.0.1:8080/ npm run e2e');
  process.exit(2);
}
export const origin = new URL(url).origin;
export const patience = Number(process.env.IOC_PATIENCE ?? 240_000);
export const id = (name) => `[data-testid=${name}]`;
const shots = process.env.IOC_SHOTS ?? new URL('./shots', import.meta.url).pathname;
const axeText = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

/** Runs one story; `body` gets { open, begin, shot }. Exits 0 when all of it held, else names the step. */
export async function story(name, body) {
  await mkdir(shots, { recursive: true });
  const began = Date.now();
  const { browser, open: openPage } = await launch();
  const opened = [];
  let step = '';
  const begin = (words) => { step = words; console.log(`· ${words}`); };
  const open = async (viewport, hash = '', how = {}) => {
    const it = await openPage(viewport, how.context);
    it.page.setDefaultTimeout(30_000);
    opened.push(it);
    await how.before?.(it);
    await it.page.goto(`${origin}/${hash}`);
    // A page may come with a cookie of another one: `token: null`.
    const token = 'token' in how ? how.token : process.env.IOC_TOKEN;
    if (token) await signIn(it.page, token);
    return it;
  };
  /** Of a page, or a picture that is one already. */
  const shot = (what, file) => (Buffer.isBuffer(what) ? writeFile(`${shots}/${file}.png`, what) : what.screenshot({ path: `${shots}/${file}.png` }));
  try {
    await body({ open, begin, shot });
    begin('no error, no breach of the policy, no request to elsewhere');
    assert.deepEqual(opened.flatMap((o) => o.problems), []);
    const elsewhere = opened.flatMap((o) => o.requests).filter((r) => new URL(r).origin !== origin && !r.startsWith('blob:') && !r.startsWith('data:'));
    assert.deepEqual(elsewhere, []);
    console.log(`${name}: all held, ${Math.round((Date.now() - began) / 1000)} s`);
  } catch (error) {
    console.error(`${name} failed at: ${step}\n${error.stack ?? error}`);
    const problems = opened.flatMap((o) => o.problems);
    if (problems.length > 0) console.error(`seen on the page:\n  ${problems.join('\n  ')}`);
    for (const [n, o] of opened.entries()) await shot(o.page, `failed-${name}-${n}`).catch(() => undefined);
    process.exitCode = 1;
  } finally {
    await browser.close();
  }
}

async function signIn(page, token) {
  await page.locator(`${id('sign-in')} input`).fill(token);
  await page.keyboard.press('Enter');
}

export const inState = (page, state) => page.locator(`${id('connection')}[data-state="${state}"]`).waitFor({ state: 'attached' });

/** Asks in the page until what comes is true, and gives it. `waitForFunction` takes any promise for true: what asks the server goes through here. */
export async function until(page, ask, given, within = 30_000) {
  for (const end = Date.now() + within; ;) {
    const came = await page.evaluate(ask, given);
    if (came) return came;
    assert.ok(Date.now() < end, `not within ${within / 1000} s: ${ask}`);
    await page.evaluate(() => new Promise((done) => { setTimeout(done, 200); }));
  }
}

/** Fonts, and whatever still fades, are done. */
export const settled = (page) => page.evaluate(async () => {
  await document.fonts.ready;
  await Promise.all(document.getAnimations().filter((a) => a.effect?.getTiming().iterations === 1).map((a) => a.finished.catch(() => undefined)));
  await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
});

export async function axe(page, where) {
  assert.deepEqual(await violations(page, where), [], `${where}: axe finds nothing`);
}

/** What axe finds, in words. */
export async function violations(page, where) {
  // Evaluated by the debugger, not by a script tag: the page's policy stays as strict as it is.
  if (!(await page.evaluate(() => 'axe' in window))) await page.evaluate(axeText);
  const found = await page.evaluate(() => window.axe.run(document));
  assert.ok(found.passes.length > 8, `${where}: axe looked`);
  return found.violations.map((v) => `${where}: ${v.id}: ${v.help}\n    ${v.nodes.slice(0, 4).map((n) => `${n.target} ${n.failureSummary?.split('\n')[1] ?? ''}`).join('\n    ')}`);
}

/** Types a name where the page asks for one: access is open and nobody has said who they are. */
export async function nameIfAsked(page, name, done) {
  const field = page.locator(id('ack-name'));
  await Promise.race([done.waitFor(), field.waitFor()]);
  if (await field.isVisible()) {
    await field.fill(name);
    await page.keyboard.press('Enter');
  }
  await done.waitFor();
}

export const api = (page, path) => page.evaluate(async (p) => { const answer = await fetch(p); return { status: answer.status, body: await answer.json().catch(() => null) }; }, path);
