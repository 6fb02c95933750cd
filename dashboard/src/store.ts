//! The page's state as signals, and the few acts that change it.
//!
//! Owns: the one connection, the one board, what is selected. Refuses to know: how anything is drawn.
//!
//! Invariants
//! 1. Frames are applied together once per animation frame (once a second while the page is hidden); the waiting frames are bounded.
//! 2. `now` is the data's clock: tick time plus what has passed on this machine since; the browser's wall clock is never shown.
//! 3. What is selected, filtered and drawn lives in the address.

import { batch, computed, effect, signal } from '@preact/signals';
import * as api from './api';
import type { Lang } from './format';
import { translate, type Key } from './i18n';
import { EMPTY, applyAlert, applySnapshot, applyUpdates, type Board } from './live/board';
import { Connection, type Access, type LinkState } from './live/connection';
import { keepSamples, sampleOf, type Sample } from './live/latency';
import { membersOf, placeByArea, placesOf, shapesOf, type Era } from './live/places';
import { alertsByArea, countBySector, countBySeverity, hiddenCriticals, isUnacknowledged, orderQueue, type Filter, type Reader } from './live/queue';
import type { Span } from './live/span';
import { formatRoute, parseRoute, type FigureChoice, type Layer, type Past, type Selection, type Theme, type View } from './route';
import type { AlertView, Catalog, Me, MeasurementView, RuleView, Update } from './wire';

const MAX_WAITING = 1_000;
const remembered = (name: string): string | null => {
  try { return localStorage.getItem(name); } catch { return null; }
};
const remember = (name: string, value: string): void => {
  try { localStorage.setItem(name, value); } catch { /* private windows may refuse; the page works without */ }
};

const first = parseRoute(location.hash);
export const lang = signal<Lang>(first.lang ?? (remembered('ioc.lang') === 'en' ? 'en' : 'vi'));
export const theme = signal<Theme>(first.theme ?? (remembered('ioc.theme') === 'light' ? 'light' : 'dark'));
/** The theme that the style sheet shows: what reads colours from it follows this one, whatever the order of effects. */
export const shownTheme = signal<Theme | null>(null);
export const view = signal<View>(first.view);
/** On a narrow screen the desk is the local page. */
const NARROW = matchMedia('(max-width: 599px)');
const narrow = signal(NARROW.matches);
export const face = computed<View>(() => (view.value === 'desk' && narrow.value ? 'local' : view.value));
export const selection = signal<Selection>(first.selection);
export const figureChoice = signal<FigureChoice | null>(first.figure);
export const secondChoice = signal<FigureChoice | null>(first.second);
export const span = signal<Span>(first.span);
export const daysBack = signal(first.daysBack);
export const filter = signal<Filter>(first.filter);
export const layer = signal<Layer | null>(first.layer);
export const era = signal<Era>(first.era);
export const past = signal<Past>(first.past);
export const pipelineChoice = signal<string | null>(first.pipeline);
export const personName = signal<string>(remembered('ioc.name') ?? '');
/** In replay the board is the past's and nothing can be acted on (replay.ts). */
export type Mode = 'live' | 'replay';
export const mode = signal<Mode>('live');
/** The moment of a replay as the address has it. */
export const addressMoment = signal<number | null>(first.at);

export const board = signal<Board>(EMPTY);
export const link = signal<LinkState>({ phase: 'connecting', attempt: 0, retryAt: null });
export const me = signal<Me | null>(null);
export const catalog = signal<Catalog | null>(null);
export const areas = signal<api.AreaCollection | null>(null);
export const areasFailed = signal(false);
export const now = signal(0);
export const announcement = signal('');
export const searching = signal(false);
export const helping = signal(false);
/** Seconds until the next try, while cut off. */
export const retryIn = signal(0);

export const zone = computed(() => catalog.value?.time_zone ?? 'Asia/Ho_Chi_Minh');
export const hasPicture = computed(() => board.value.epoch !== '');
/** The latest board's parts as their own signals: a view that reads one does not follow the others. */
export const alerts = computed(() => board.value.alerts);
export const figures = computed(() => board.value.figures);
export const health = computed(() => board.value.health);
/** The name that this reader acts under. */
export const myName = computed(() => (openAccess.value ? personName.value.trim() : me.value?.name ?? ''));
const reader = computed<Reader>(() => ({ name: myName.value, members: membersOf(filter.value.areas, catalog.value?.groups ?? []) }));
export const queue = computed(() => orderQueue(alerts.value.values(), filter.value, reader.value));
export const counts = computed(() => countBySeverity(alerts.value.values()));
export const sectorCounts = computed(() => countBySector(alerts.value.values()));
export const hidden = computed(() => hiddenCriticals(alerts.value.values(), filter.value, reader.value));
export const byArea = computed(() => alertsByArea(alerts.value.values(), placeOf.value));
export const unacknowledged = computed(() => {
  let n = 0;
  for (const a of alerts.value.values()) if (isUnacknowledged(a)) n += 1;
  return n;
});
export const cutOff = computed(() => link.value.phase !== 'live' && hasPicture.value);
/** The server refused an action for want of a name. */
const nameAsked = signal(false);
/** Access without tokens: the server names nobody, and an action carries the person's name. */
export const openAccess = computed(() => me.value !== null && (me.value.name === '' || nameAsked.value));
export const askName = (): void => { nameAsked.value = true; };
/** Whether this reader may act on alerts; never on those of the past. */
/** In the past nothing can be acted on. */
export const mayAct = computed(() => me.value?.may_act === true && mode.value === 'live');
/** Counts greetings: what is asked by REST is asked again after each. */
export const greetings = signal(0);
/** For ages in words: they change no faster than this. */
export const coarseNow = computed(() => Math.floor(now.value / 5_000) * 5_000);
export const measurements = computed(() => new Map<string, MeasurementView>((catalog.value?.measurements ?? []).map((m) => [m.measurement, m])));
export const rules = computed(() => new Map<string, RuleView>((catalog.value?.rules ?? []).map((r) => [`${r.pipeline}/${r.rule}`, r])));
export const ruleOf = (a: AlertView): RuleView | undefined => rules.value.get(`${a.pipeline}/${a.rule}`);
export const places = computed(() => placesOf(catalog.value?.areas ?? [], catalog.value?.groups ?? [], era.value));
/** Nothing in it while places are areas. */
export const placeOf = computed<ReadonlyMap<string, string>>(() => (era.value === 'now' ? new Map() : placeByArea(places.value)));
/** What the map draws: the areas, or the districts before them. */
export const shapes = computed(() => (areas.value === null || era.value === 'now' ? areas.value : shapesOf(areas.value, places.value)));
export const areaNames = computed(() => new Map([
  ...(catalog.value?.areas ?? []).map((a) => [a.code, a.name] as const),
  ...(catalog.value?.groups ?? []).map((g) => [g.code, g.name[lang.value]] as const),
]));

export const t = (key: Key, params?: Record<string, string | number>): string => translate(lang.value, key, params);

// ---- the clock of the data

let tickBase = { time: 0, at: 0 };
function setTick(time: number): void {
  tickBase = { time, at: performance.now() };
  moveClock();
}
let replayClock = (): number => 0;
export const setReplayClock = (clock: () => number): void => { replayClock = clock; };
export function moveClock(): void {
  if (mode.peek() === 'replay') {
    now.value = Math.floor(replayClock() / 1000) * 1000;
    return;
  }
  if (tickBase.time === 0) return;
  const at = tickBase.time + performance.now() - tickBase.at;
  // Whole seconds; a jitter of the line never turns it back, a new state may.
  const second = Math.floor(at / 1000) * 1000;
  if (second > now.peek() || now.peek() - second > 5_000) now.value = second;
  const { phase, retryAt } = link.peek();
  retryIn.value = phase === 'waiting' && retryAt !== null ? Math.max(0, Math.ceil((retryAt - performance.now()) / 1000)) : 0;
}

// ---- frames

/** What the frames of the last minute told of the way from an event to this screen. */
export const samples = signal<readonly Sample[]>([]);
/** When the newest frame came, on this machine's own clock. */
export const receivedAt = signal(0);
let received: { sample: Sample; at: number }[] = [];
/** The live picture: also while the past is shown in its place. */
let live: Board = EMPTY;
function setLive(next: Board): void {
  live = next;
  if (mode.peek() === 'live') board.value = next;
}

/** The answer to an act, which may overtake its frame. */
export const putAlert = (alert: AlertView): void => setLive(applyAlert(live, alert));

/** Back from the past: what came meanwhile is there. */
export function showLive(): void {
  board.value = live;
  now.value = 0;
  moveClock();
}

let waiting: Update[] = [];
let scheduled: (() => void) | null = null;

function schedule(): void {
  if (scheduled) return;
  if (document.hidden) {
    const timer = setTimeout(flush, 1_000);
    scheduled = () => clearTimeout(timer);
  } else {
    const frame = requestAnimationFrame(flush);
    scheduled = () => cancelAnimationFrame(frame);
  }
}

function flush(): void {
  scheduled?.();
  scheduled = null;
  if (waiting.length === 0) return;
  const updates = waiting;
  waiting = [];
  batch(() => {
    const before = live;
    const after = applyUpdates(before, updates);
    // what comes meanwhile is neither said nor sounded over the past
    if (mode.peek() === 'live') noteArrivals(before, updates);
    setLive(after);
    setTick(after.tick.time);
  });
  notePainted();
}

/** The frame after the one that drew it: then it was on the screen. */
function notePainted(): void {
  if (received.length === 0) return;
  const mine = received;
  received = [];
  if (document.hidden) return;
  requestAnimationFrame(() => {
    const at = performance.now();
    samples.value = keepSamples(samples.peek(), mine.map(({ sample, at: from }) => ({ ...sample, painted: at - from })), at);
  });
}

/** Alerts that came while the page was looking: their rows fade in, criticals are said aloud. Bounded: each leaves after 10 s. */
export const arrivals = new Set<string>();
function noteArrivals(before: Board, updates: readonly Update[]): void {
  for (const update of updates) {
    for (const alert of update.alerts ?? []) {
      const known = before.alerts.get(alert.id);
      if (known && known.condition !== 'pending') continue;
      if (alert.condition !== 'firing' || arrivals.has(alert.id)) continue;
      arrivals.add(alert.id);
      setTimeout(() => arrivals.delete(alert.id), 10_000);
      if (alert.severity === 'critical') announcement.value = t('live_region.critical', { title: alert.title[lang.peek()], area: alert.area?.name ?? '' });
    }
  }
}

// ---- the connection

async function access(): Promise<Access> {
  const answer = await api.getMe();
  if (answer.ok) return 'ok';
  if (answer.status === 401) return 'signed_out';
  return answer.status === 403 ? 'denied' : 'unreachable';
}

export const connection = new Connection(
  {
    open: () => {
      const socket = new WebSocket(`${location.protocol === 'https:' ? 'wss' : 'ws'}://${location.host}/api/v1/live`);
      return socket as unknown as import('./live/connection').SocketLike;
    },
    now: () => performance.now(),
    later: (run, ms) => window.setTimeout(run, ms),
    cancel: (timer) => window.clearTimeout(timer),
    random: Math.random,
    access,
  },
  {
    state: (state) => {
      link.value = state;
      moveClock();
    },
    hello: (who, _epoch, resumed) => {
      me.value = who;
      greetings.value += 1;
      if (!resumed || !catalog.peek()) void loadCatalog();
    },
    snapshot: (epoch, snapshot) => {
      waiting = [];
      batch(() => {
        setLive(applySnapshot(epoch, snapshot));
        if (mode.peek() === 'live') now.value = 0;
        setTick(snapshot.tick.time);
      });
    },
    update: (update) => {
      const at = performance.now();
      receivedAt.value = at;
      const sample = sampleOf(update, at);
      if (sample) received.push({ sample, at });
      waiting.push(update);
      if (waiting.length >= MAX_WAITING) flush();
      else schedule();
    },
  },
);

async function loadCatalog(): Promise<void> {
  const answer = await api.getCatalog();
  if (answer.ok) catalog.value = answer.value;
  else if (answer.status === 401) connection.stop('signed_out');
}

export async function loadAreas(): Promise<void> {
  const answer = await api.getAreas();
  areasFailed.value = !answer.ok;
  if (answer.ok) areas.value = answer.value;
}

export async function signIn(token: string): Promise<'ok' | 'wrong' | 'unreachable'> {
  const answer = await api.signIn(token);
  if (!answer.ok) return answer.status === 0 || answer.status >= 500 ? 'unreachable' : 'wrong';
  connection.forget();
  connection.start();
  return 'ok';
}

export async function signOut(): Promise<void> {
  await api.signOut();
  connection.forget();
  batch(() => {
    setLive(EMPTY);
    me.value = null;
    catalog.value = null;
    areas.value = null;
    selection.value = null;
    figureChoice.value = null;
  });
  connection.stop('signed_out');
}

// ---- acts

/** The row that followed the acknowledged one: j goes there (queue.ts, nextSelection). */
export const resumeAt = signal<string | null>(null);
/** What the list shows just now, in its order; the queue view writes it, the keys read it. */
export const shownOrder = signal<readonly string[]>([]);

export function setName(name: string): void {
  personName.value = name;
  remember('ioc.name', name);
}

export function select(next: Selection): void {
  batch(() => {
    selection.value = next;
    figureChoice.value = null;
    resumeAt.value = null;
  });
}

export function setLang(next: Lang): void {
  lang.value = next;
  remember('ioc.lang', next);
}

export function setTheme(next: Theme): void {
  theme.value = next;
  remember('ioc.theme', next);
}

// ---- start

export function start(): void {
  effect(() => {
    document.documentElement.lang = lang.value;
    document.documentElement.dataset.theme = theme.value;
    shownTheme.value = theme.value;
  });
  effect(() => {
    const place = catalog.value?.place[lang.value] ?? 'ioc';
    if (mode.value === 'replay') document.title = `${t('replay.sign')} · ${place} · ioc`;
    else document.title = unacknowledged.value > 0 ? `(${unacknowledged.value}) ${place} · ioc` : `${place} · ioc`;
  });
  effect(() => {
    const hash = formatRoute({
      view: view.value, selection: selection.value, figure: figureChoice.value, second: secondChoice.value, span: span.value, daysBack: daysBack.value,
      filter: filter.value, layer: layer.value, era: era.value, past: past.value, pipeline: pipelineChoice.value, lang: lang.value, theme: theme.value,
      at: addressMoment.value,
    });
    if (hash !== location.hash) history.replaceState(null, '', `${location.pathname}${location.search}${hash}`);
  });
  addEventListener('hashchange', () => {
    const route = parseRoute(location.hash);
    batch(() => {
      view.value = route.view;
      selection.value = route.selection;
      figureChoice.value = route.figure;
      secondChoice.value = route.second;
      span.value = route.span;
      daysBack.value = route.daysBack;
      filter.value = route.filter;
      layer.value = route.layer;
      addressMoment.value = route.at;
      era.value = route.era;
      past.value = route.past;
      pipelineChoice.value = route.pipeline;
      if (route.lang) setLang(route.lang);
      if (route.theme) setTheme(route.theme);
    });
  });
  NARROW.addEventListener('change', () => { narrow.value = NARROW.matches; });
  setInterval(moveClock, 1_000);
  addEventListener('online', () => { if (link.peek().phase === 'waiting') connection.start(); });
  document.addEventListener('visibilitychange', flush);
  connection.start();
}
