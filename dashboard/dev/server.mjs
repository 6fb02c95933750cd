// A stand-in for `ioc`: serves dist/ and speaks docs/protocol.md with the made-up province of province.mjs.
//   IOC_DEV_AREAS  GeoJSON of the areas (needed)     IOC_DEV_PORT   port, default 8099
//   IOC_DEV_TOKEN  if set, access needs this token   IOC_DEV_PACE   ms between new alerts, default 20000
// Handles for trying things out, POST: /dev/cut (close all sockets), /dev/mute?on=1 (send nothing), /dev/restart (new epoch), /dev/built?v=0.4
import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { extname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import { WebSocketServer } from 'ws';
import { CATALOG, COMING, MEASUREMENTS, MINUTE, RULES, STANDING, hash, makeSources, random, valuesAt } from './province.mjs';

const PORT = Number(process.env.IOC_DEV_PORT ?? 8099);
const TOKEN = process.env.IOC_DEV_TOKEN ?? '';
const PACE = Number(process.env.IOC_DEV_PACE ?? 20_000);
if (!process.env.IOC_DEV_AREAS) {
  console.error('IOC_DEV_AREAS is not set: name the GeoJSON file of the areas, e.g. IOC_DEV_AREAS=../registry/areas/communes.geojson npm run serve');
  process.exit(2);
}
export const CSP = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; connect-src 'self'; worker-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const geo = JSON.parse(readFileSync(process.env.IOC_DEV_AREAS, 'utf8'));
const features = geo.features
  .filter((f) => f.properties.level === 'commune')
  .map((f) => ({ type: 'Feature', properties: { code: f.properties.code, name: f.properties.name, level: f.properties.level, parent: f.properties.parent }, geometry: f.geometry }));
/** A made-up former district of the first three wards. */
const GROUPS = [{ code: '660', level: 'former-district', name: { vi: 'Thành phố Gia Nghĩa (cũ)', en: 'Gia Nghĩa City (former)' }, members: features.filter((f) => f.properties.name.startsWith('Phường')).slice(0, 3).map((f) => f.properties.code) }];
const areasJson = JSON.stringify({ type: 'FeatureCollection', features });
const sources = makeSources(features);
const byMeasurement = (m) => sources.filter((s) => s.measurement === m);
const sourceOf = (measurement, nth) => { const list = byMeasurement(measurement); return list[nth % list.length]; };

// ---- state
const started = Date.now();
let epoch = `dev-${started.toString(36)}`;
let seq = 1;
let built = 1;
let muted = false;
const alerts = new Map();
const histories = new Map();
const figures = new Map();
const ring = [];
const sockets = new Set();
const verdicts = { accepted: 482_113, late: 1_702, duplicate: 913, rejected: 41, unwanted: 77_410 };
const tick = () => ({ number: Math.floor((Date.now() - started) / 100), time: Date.now(), live: built === 1 });
const silent = new Set(STANDING.filter((s) => s[1] === 'detector_silent' || s[4] === 'no_data').map((s) => sourceOf(RULES.get(s[1]).measurement, s[2]).id));
const health = () => ({ sources_expected: sources.length, sources_heard: sources.length - silent.size - 3, delay_ms: 3000 + Math.round(1500 * Math.sin(Date.now() / 9000)), verdicts, store: 'ok', log: 'ok', built });

function incidentAt(source, time) {
  for (const a of alerts.values()) {
    if (a.key.source !== source.id || a.condition === 'pending') continue;
    const every = MEASUREMENTS.get(source.measurement).every_ms;
    if (time > a.since - RULES.get(a.rule).for_ms - every * (every > MINUTE ? 2 : 1) && (a.resolved === null || time <= a.resolved)) return a.rule;
  }
  return null;
}

function rowOf(source, end, revision = 0) {
  const every = MEASUREMENTS.get(source.measurement).every_ms;
  const values = valuesAt(source, end, incidentAt(source, end));
  const early = end > Date.now();
  return { measurement: source.measurement, key: { area: source.area.code, source: source.id }, area: source.area, start: end - every, end, revision, state: early ? 'provisional' : 'final', values, heard: source.measurement === 'rain_1h' ? 11 : null, expected: source.measurement === 'rain_1h' ? 12 : null };
}

function evidenceOf(rule, source, end) {
  const row = rowOf(source, end);
  return { measurement: rule.measurement, window_start: row.start, window_end: row.end, revision: 0, state: 'final', values: row.values, when: rule.when, until: rule.until, for_ms: rule.for_ms, rule_version: hash(rule.when).toString(16).padStart(8, '0') + '9e1c', heard: null, expected: null, clauses: rule.when.split(/ && /).map((text) => ({ text, value: row.values[/^\w+/.exec(text)?.[0]] ?? null, limit: rule.limits[0]?.value ?? null, truth: true })) };
}

function makeAlert(ruleName, nth, since) {
  const rule = RULES.get(ruleName);
  const source = sourceOf(rule.measurement, nth);
  const id = [1, 2, 3, 4].map((i) => hash(`${ruleName}${source.id}${since}${i}`).toString(16).padStart(8, '0')).join('');
  const sector = MEASUREMENTS.get(rule.measurement).sector;
  const place = source.area.name.replace(/^(Phường|Xã|Đặc khu) /, '');
  const alert = {
    id, version: 1, pipeline: rule.pipeline, rule: ruleName, sector, severity: rule.severity,
    title: { vi: `${rule.title.vi} tại ${place}`, en: `${rule.title.en} in ${place}` },
    area: source.area, key: { area: source.area.code, source: source.id }, position: source.at,
    condition: 'firing', handling: 'new', since, changed: since, resolved: null, reason: null, retroactive: false, acknowledged: null, steps: [], notes: 0, evidence: null,
  };
  alerts.set(id, alert);
  alert.evidence = evidenceOf(rule, source, since);
  const past = [{ at: since, what: 'firing', by: null, note: null, reason: null, values: alert.evidence.values }];
  if (rule.for_ms > 0) past.unshift({ at: since - rule.for_ms, what: 'pending', by: null, note: null, reason: null, values: {} });
  histories.set(id, past);
  return alert;
}

function change(alert, changes, entry) {
  const next = { ...alert, ...changes, version: alert.version + 1 };
  alerts.set(next.id, next);
  histories.get(next.id).push({ by: null, note: null, reason: null, values: {}, ...entry });
  return next;
}

for (const [minutes, ruleName, nth, handling, condition] of STANDING) {
  const since = Math.floor(started / MINUTE) * MINUTE - minutes * MINUTE;
  let alert = makeAlert(ruleName, nth, since);
  if (handling === 'acknowledged') alert = change(alert, { handling, acknowledged: { by: ['Trần Thị Hạnh', 'Nguyễn Văn Đức', 'K’Brèm'][minutes % 3], at: since + 2 * MINUTE, note: minutes % 2 ? 'Đã gọi đơn vị trực' : '' } }, { at: since + 2 * MINUTE, what: 'acknowledged', by: 'Trần Thị Hạnh', note: 'Đã gọi đơn vị trực' });
  if (condition === 'no_data') change(alert, { condition, changed: since + 4 * MINUTE, reason: 'no data' }, { at: since + 4 * MINUTE, what: 'no_data' });
  if (condition === 'resolved') change(alert, { condition, changed: since + 9 * MINUTE, resolved: since + 9 * MINUTE }, { at: since + 9 * MINUTE, what: 'resolved' });
}

function newestEnd(source, at) {
  const every = MEASUREMENTS.get(source.measurement).every_ms;
  // Windows of an hour publish early: the running one counts.
  return every >= 60 * MINUTE ? Math.ceil(at / every) * every : Math.floor((at - 5_000) / every) * every;
}
for (const source of sources) {
  const stop = silent.has(source.id) ? Date.now() - 25 * MINUTE : Date.now();
  figures.set(`${source.measurement}/${source.id}`, rowOf(source, newestEnd(source, stop), 0));
}

// ---- moving on
function publish(changed) {
  seq += 1;
  const update = { type: 'update', seq, tick: tick(), ...changed };
  ring.push(update);
  if (ring.length > 2_000) ring.shift();
  send(update);
}
function send(message) {
  if (muted) return;
  const text = JSON.stringify(message);
  for (const socket of sockets) if (socket.greeted) socket.send(text);
}

const rng = random(11);
let coming = 0;
const standing = [];
function nextAlert() {
  const [rule, nth] = COMING[coming % COMING.length];
  const alert = makeAlert(rule, nth + Math.floor(coming / COMING.length), Date.now());
  coming += 1;
  publish({ alerts: [alert] });
  standing.push({ id: alert.id, until: Date.now() + PACE * (6 + Math.floor(rng() * 10)) });
}
setTimeout(() => { nextAlert(); setInterval(nextAlert, PACE); }, Math.min(4_000, PACE));

setInterval(() => {
  const now = Date.now();
  verdicts.accepted += 38 + Math.floor(rng() * 9);
  if (rng() < 0.1) verdicts.late += 1;
  for (const due of standing.filter((s) => s.until <= now)) {
    standing.splice(standing.indexOf(due), 1);
    const alert = alerts.get(due.id);
    if (alert && alert.condition !== 'resolved') publish({ alerts: [change(alert, { condition: 'resolved', changed: now, resolved: now }, { at: now, what: 'resolved' })] });
  }
  const rows = [];
  for (const source of sources) {
    if (silent.has(source.id)) continue;
    const end = newestEnd(source, now);
    const known = figures.get(`${source.measurement}/${source.id}`);
    const early = source.measurement === 'air_quality' && Math.floor(now / 1000) % 60 === 0;
    const revised = known.end === end && source.seed % 40 === Math.floor(now / 1000) % 40 && source.measurement.startsWith('traffic') && known.revision === 0;
    if (known.end === end && !early && !revised) continue;
    const row = rowOf(source, end, known.end === end ? known.revision + 1 : 0);
    figures.set(`${source.measurement}/${source.id}`, row);
    rows.push(row);
  }
  if (rows.length > 0) publish({ figures: rows });
}, 250);
setInterval(() => send({ type: 'update', seq, tick: tick(), health: health() }), 500);

// ---- HTTP
const dist = fileURLToPath(new URL('../dist', import.meta.url));
const TYPES = { '.html': 'text/html; charset=utf-8', '.js': 'text/javascript', '.mjs': 'text/javascript', '.css': 'text/css', '.woff2': 'font/woff2', '.svg': 'image/svg+xml' };
const signedIn = (request) => TOKEN === '' || (request.headers.cookie ?? '').includes(`ioc_session=${hash(TOKEN)}`);
const me = () => (TOKEN === '' ? { name: '', role: 'operator', areas: [], sectors: [], may_act: true } : { name: 'Nguyễn Thị Ánh', role: 'operator', areas: [], sectors: [], may_act: true });
const problem = (code, vi, en) => ({ code, message: { vi, en }, detail: '' });

async function body(request) {
  const parts = [];
  for await (const part of request) parts.push(part);
  return JSON.parse(Buffer.concat(parts).toString('utf8') || '{}');
}

const server = createServer(async (request, response) => {
  const url = new URL(request.url, 'http://localhost');
  const answer = (status, value, headers = {}) => {
    response.writeHead(status, { 'content-type': 'application/json', 'cache-control': 'no-store', ...headers });
    response.end(value === null ? '' : typeof value === 'string' ? value : JSON.stringify(value));
  };
  try {
    if (url.pathname === '/healthz') return answer(200, {});
    if (url.pathname.startsWith('/dev/')) return answer(200, control(url));
    if (url.pathname.startsWith('/api/')) return await api(request, url, answer);
    const path = url.pathname === '/' ? '/index.html' : normalize(url.pathname);
    const data = await readFile(join(dist, path));
    response.writeHead(200, { 'content-type': TYPES[extname(path)] ?? 'application/octet-stream', 'content-security-policy': CSP, 'x-content-type-options': 'nosniff', 'referrer-policy': 'no-referrer' });
    response.end(data);
  } catch (error) {
    answer(error.code === 'ENOENT' ? 404 : 500, problem('not_found', 'Không có.', 'Not there.'));
  }
});

function control(url) {
  if (url.pathname === '/dev/cut') for (const s of sockets) s.terminate();
  if (url.pathname === '/dev/mute') muted = url.searchParams.get('on') === '1';
  if (url.pathname === '/dev/built') built = Number(url.searchParams.get('v'));
  if (url.pathname === '/dev/restart') {
    epoch = `dev-${Date.now().toString(36)}`;
    ring.length = 0;
    for (const s of sockets) { s.send(JSON.stringify({ type: 'bye', reason: 'shutdown', detail: '' })); s.close(); }
  }
  return { epoch, seq, built, muted };
}

async function api(request, url, answer) {
  if (url.pathname === '/api/v1/session') {
    if (request.method === 'DELETE') return answer(204, null, { 'set-cookie': 'ioc_session=; Max-Age=0; Path=/' });
    const { token } = await body(request);
    if (TOKEN === '' || token !== TOKEN) return answer(401, problem('token', 'Mã không đúng.', 'Wrong token.'));
    return answer(204, null, { 'set-cookie': `ioc_session=${hash(TOKEN)}; HttpOnly; SameSite=Strict; Path=/` });
  }
  if (!signedIn(request)) return answer(401, problem('signed_out', 'Hãy đăng nhập.', 'Sign in.'));
  if (url.pathname === '/api/v1/me') return answer(200, me());
  if (url.pathname === '/api/v1/catalog') return answer(200, { ...CATALOG, areas: features.map((f) => ({ code: f.properties.code, name: f.properties.name, level: f.properties.level })), groups: GROUPS });
  if (url.pathname === '/api/v1/areas') return answer(200, areasJson);
  if (url.pathname === '/api/v1/trend') return answer(200, trend(url.searchParams));
  if (url.pathname === '/api/v1/alerts') {
    const list = [...alerts.values()].filter((a) => url.searchParams.get('open') !== 'true' || a.condition === 'firing' || a.condition === 'no_data' || a.handling === 'new');
    return answer(200, list.sort((a, b) => b.since - a.since));
  }
  if (url.pathname === '/api/v1/alerts/history') return answer(200, pastAlerts(url.searchParams));
  if (url.pathname === '/api/v1/alerts/act') {
    const wanted = await body(request);
    const out = { done: [], conflicts: [], unknown: [] };
    for (const { id, version } of wanted.alerts) {
      const alert = alerts.get(id);
      const next = alert && alert.version === version ? acted(alert, wanted) : null;
      if (!alert) out.unknown.push(id);
      else if (next) out.done.push(next);
      else out.conflicts.push({ alert, reason: CHANGED });
    }
    if (out.done.length > 0) publish({ alerts: out.done });
    return answer(200, out);
  }
  if (url.pathname === '/api/v1/pipelines') return answer(200, pipelinesNow());
  if (/^\/api\/v1\/pipelines\/\w+\/explain$/.test(url.pathname)) return answer(200, explained(url.pathname.split('/')[4], url.searchParams.get('measurement')));
  if (url.pathname === '/api/v1/sources') return answer(200, sourcesNow(url.searchParams.get('troubled') === 'true'));
  if (url.pathname === '/api/v1/rejected') return answer(200, { records: [], next: null });
  const [, id, act] = /^\/api\/v1\/alerts\/([0-9a-f]{32})(\/act)?$/.exec(url.pathname) ?? [];
  const alert = alerts.get(id);
  if (!alert) return answer(404, problem('not_found', 'Không có cảnh báo này.', 'No such alert.'));
  if (!act) return answer(200, { alert, history: histories.get(id) });
  const wanted = await body(request);
  const next = wanted.version === alert.version ? acted(alert, wanted) : null;
  if (!next) return answer(409, { alert, reason: CHANGED });
  publish({ alerts: [next] });
  return answer(200, next);
}

const CHANGED = { vi: 'Cảnh báo đã thay đổi. Hãy xem lại.', en: 'The alert has changed. Look at it again.' };

/** The alert after an act, or null where the act makes no sense. */
function acted(alert, { act, note, name }) {
  const by = name ?? me().name;
  const at = Date.now();
  const said = { by, at, note: note ?? '' };
  const entry = (what, more = {}) => ({ at, what, by, note: note || null, ...more });
  const done = (changes, story) => change(alert, { ...changes, acted: at }, story);
  switch (act.kind) {
    case 'acknowledge': return alert.handling === 'new' ? done({ handling: 'acknowledged', acknowledged: said }, entry('acknowledged')) : null;
    case 'unacknowledge': return alert.handling === 'acknowledged' ? done({ handling: 'new', acknowledged: null }, entry('unacknowledged')) : null;
    case 'assign': return alert.handling === 'closed' ? null : done({ handling: 'assigned', assigned: { to: act.to, ...said } }, entry('assigned', { to: act.to }));
    case 'note': return done({ notes: alert.notes + 1 }, entry('noted'));
    case 'close': return alert.handling === 'closed' ? null : done({ handling: 'closed', closed: { ...said, verdict: act.verdict } }, entry('closed', { verdict: act.verdict }));
    case 'reopen': return alert.handling === 'closed' ? done({ handling: alert.assigned ? 'assigned' : 'acknowledged', closed: undefined }, entry('reopened')) : null;
    default: return done({ steps: [...alert.steps.filter((s) => s.step !== act.step), ...(act.done ? [{ step: act.step, by, at }] : [])] }, entry(act.done ? 'step_done' : 'step_undone', { step: act.step }));
  }
}

const folded = (text) => text.normalize('NFD').replace(/\p{M}/gu, '').replace(/[đĐ]/g, 'd').toLowerCase();

function pastAlerts(q) {
  const words = folded(q.get('text') ?? '').split(/\s+/).filter((w) => w !== '');
  const list = [...alerts.values()].filter((a) => words.every((w) => folded(`${a.title.vi} ${a.title.en} ${a.area.name}`).includes(w))
    && (!q.get('rule') || a.rule === q.get('rule')) && (!q.get('area') || a.area.code === q.get('area')) && (!q.get('severity') || a.severity === q.get('severity')) && (!q.get('verdict') || a.closed?.verdict === q.get('verdict')));
  return { alerts: list.sort((a, b) => b.since - a.since).slice(0, Number(q.get('limit') ?? 100)), next: null, total: list.length };
}

function sourcesNow(troubled) {
  const list = sources.map((s) => ({
    id: s.id, name: { vi: s.id, en: s.id }, registered: true, kind: null, types: [], area: s.area, sector: MEASUREMENTS.get(s.measurement).sector, position: s.at, cadence_ms: MEASUREMENTS.get(s.measurement).every_ms,
    last_heard: silent.has(s.id) ? Date.now() - 25 * MINUTE : Date.now() - 9_000, silent: silent.has(s.id), accepted: 500, late: s.seed % 31 === 0 ? 4 : 0, duplicate: 0, conflict: 0, rejected: s.seed % 57 === 0 ? 2 : 0, invalid_field: 0, worst_delay_ms: 0, clock_offset_ms: 0,
  }));
  return { at: Date.now(), sources: list.filter((s) => !troubled || s.silent || s.rejected > 0).sort((a, b) => (a.id < b.id ? -1 : 1)), more: false };
}

const holdOf = (now) => ({ start: Math.floor(now / MINUTE) * MINUTE - MINUTE, end: Math.floor(now / MINUTE) * MINUTE, since: now - 4_000, holders: [{ topic: 'events', partition: 2, watermark: Math.floor(now / MINUTE) * MINUTE - 3_000, idle_at: now + 21_000, unreadable: false, source: 'L018', heard: now - 9_000 }], event_time: now, release_at: now + 21_000, release_by: 'idle', deadline: now + 110_000 });

function pipelinesNow() {
  const now = Date.now();
  const names = [...new Set(CATALOG.measurements.map((m) => m.pipeline))];
  return {
    at: now, live: true,
    pipelines: names.map((name) => ({
      name, sector: CATALOG.measurements.find((m) => m.pipeline === name).sector, file: `pipelines/${name}.yaml`, text: `pipeline: ${name}\nout_of_orderness: 5s\nlateness: 5m\n`, from: [name.replace('_', '.')],
      timing: { out_of_orderness_ms: 5_000, lateness_ms: 300_000, idle_after_ms: 30_000, patience_ms: 120_000, max_delay_ms: 900_000, dedup_ms: 360_000 },
      windows: CATALOG.measurements.filter((m) => m.pipeline === name).map((m) => ({ measurement: m.measurement, every_ms: m.every_ms, period_ms: m.every_ms, early_ms: m.every_ms >= 60 * MINUTE ? MINUTE : null, gauge: null, by: m.tags, fields: m.fields, held: byMeasurement(m.measurement).length * 2, oldest: holdOf(now) })),
      rules: CATALOG.rules.filter((r) => r.pipeline === name).map((r) => ({ ...r, alerts: { pending: 1, firing: [...alerts.values()].filter((a) => a.rule === r.rule && a.condition === 'firing').length, no_data: 0, resolved: 0 } })),
      rates: { over_ms: 60_000, read: 22.4, accepted: 20.1, late: 0.3, duplicate: 0.1, rejected: 0, unwanted: 1.9 },
      partitions: [0, 1, 2, 3].map((partition) => ({ topic: 'events', partition, watermark: now - 5_000 - partition * 1_700, lag_ms: 5_000 + partition * 1_700, idle: partition === 3, unreadable: false, quiet_ms: partition === 3 ? 48_000 : 300, rate_per_s: 5.2 - partition, next_offset: 182_113 + partition * 17, behind: partition === 2 ? 4 : 0, source: `L0${10 + partition}`, heard: now - 4_000 })),
    })),
  };
}

function explained(pipeline, measurement) {
  const now = Date.now();
  return { at: now, pipeline, measurement, key: {}, state: 'open', start: null, end: null, hold: holdOf(now), quiet: sources.filter((s) => silent.has(s.id)).map((s) => ({ id: s.id, name: { vi: s.id, en: s.id }, area: s.area, last_heard: now - 25 * MINUTE, cadence_ms: MINUTE })), quiet_total: silent.size,
    says: { vi: 'Cửa sổ còn mở vì phân vùng events/2 chưa vượt qua cuối cửa sổ; nó sẽ chốt khi phân vùng này nghỉ, sau 21 giây.', en: 'The window is open because partition events/2 has not passed its end; it fires when that partition falls idle, in 21 s.' } };
}

function trend(q) {
  const m = MEASUREMENTS.get(q.get('measurement'));
  const field = m?.fields.find((f) => f.field === q.get('field'));
  const source = sources.find((s) => s.measurement === m?.measurement && s.id === q.get('tag.source'));
  const points = [];
  if (m && field && source) {
    const last = figures.get(`${m.measurement}/${source.id}`).end;
    for (let end = Math.ceil((Number(q.get('from')) + m.every_ms) / m.every_ms) * m.every_ms; end <= Math.min(Number(q.get('to')), last); end += m.every_ms) {
      const n = Math.floor(end / m.every_ms);
      if (m.every_ms === MINUTE && (n + source.seed) % 97 < 4) continue;
      const row = rowOf(source, end);
      points.push({ start: row.start, value: row.values[field.field] ?? null, state: row.state, revision: (n + source.seed) % 23 === 0 ? 1 : 0 });
    }
  }
  return { measurement: q.get('measurement'), field: q.get('field'), unit: field?.unit ?? '', every_ms: m?.every_ms ?? 0, points };
}

// ---- websocket
const wss = new WebSocketServer({ noServer: true });
server.on('upgrade', (request, socket, head) => {
  const refuse = (status) => { socket.write(`HTTP/1.1 ${status}\r\nconnection: close\r\n\r\n`); socket.destroy(); };
  if (new URL(request.url, 'http://localhost').pathname !== '/api/v1/live') return refuse('404 Not Found');
  if (!signedIn(request)) return refuse('401 Unauthorized');
  if (new URL(request.headers.origin ?? 'http://none').host !== request.headers.host) return refuse('403 Forbidden');
  wss.handleUpgrade(request, socket, head, greet);
});

function greet(socket) {
  sockets.add(socket);
  socket.on('close', () => sockets.delete(socket));
  socket.on('error', () => sockets.delete(socket));
  socket.on('message', (data) => {
    const message = JSON.parse(String(data));
    if (message.type !== 'hello' || message.protocol !== 1) {
      socket.send(JSON.stringify({ type: 'bye', reason: 'protocol', detail: 'protocol 1 is spoken here' }));
      return socket.close();
    }
    const since = message.resume?.epoch === epoch && message.resume.seq >= (ring[0]?.seq ?? seq) - 1 ? message.resume.seq : null;
    const out = [{ type: 'hello', protocol: 1, server: 'dev', epoch, resumed: since !== null, me: me() }];
    if (since === null) out.push({ type: 'snapshot', seq, tick: tick(), alerts: [...alerts.values()], figures: [...figures.values()], health: health() });
    else out.push(...ring.filter((u) => u.seq > since));
    if (!muted) for (const m of out) socket.send(JSON.stringify(m));
    socket.greeted = true;
  });
}

server.listen(PORT, '127.0.0.1', () => console.log(`http://127.0.0.1:${PORT}/`));
