//! One address restores each view: what is selected, filtered, drawn, in which language and theme. Pure: text in, text out.
import type { Lang } from './format';
import type { Aggregate } from './live/layer';
import { AGGREGATES } from './live/layer';
import type { Era } from './live/places';
import { NO_FILTER, SEVERITIES, isFiltering, type Filter } from './live/queue';
import { SPANS, type Span } from './live/span';
import type { Severity } from './wire';

export const VIEWS = ['desk', 'wall', 'local', 'analyst', 'history', 'pipelines', 'sources'] as const;
export type View = (typeof VIEWS)[number];
export type Theme = 'dark' | 'light';
export type Selection = { kind: 'alert'; id: string } | { kind: 'area'; code: string } | null;
export interface Layer { measurement: string; field: string; aggregate: Aggregate | null }
export interface FigureChoice { measurement: string; field: string; key: Record<string, string> }
/** What the history page is asked for; times in ms. */
export interface Past { text: string; area: string; rule: string; severity: string; owner: string; verdict: string; from: number | null; to: number | null }
export const WHOLE_PAST: Past = { text: '', area: '', rule: '', severity: '', owner: '', verdict: '', from: null, to: null };

const PAST_TEXTS = ['text', 'area', 'rule', 'severity', 'owner', 'verdict'] as const;

/** The question as the server reads it. */
export function pastQuery(past: Past): URLSearchParams {
  const q = new URLSearchParams();
  for (const name of PAST_TEXTS) if (past[name].trim() !== '') q.set(name, past[name].trim());
  if (past.from !== null) q.set('from', String(past.from));
  if (past.to !== null) q.set('to', String(past.to));
  return q;
}

export interface Route {
  view: View;
  selection: Selection;
  figure: FigureChoice | null;
  /** A second figure beside the first. */
  second: FigureChoice | null;
  span: Span;
  /** The first figure so many days earlier, beside itself; 0: not. */
  daysBack: number;
  filter: Filter;
  layer: Layer | null;
  era: Era;
  past: Past;
  pipeline: string | null;
  lang: Lang | null;
  theme: Theme | null;
  /** The moment of a replay, ms; null: live. */
  at: number | null;
}

const within = <T extends string>(all: readonly T[], text: string | null): T | null => all.find((each) => each === text) ?? null;

export function parseRoute(hash: string): Route {
  const q = new URLSearchParams(hash.replace(/^#/, ''));
  const alert = q.get('alert');
  const area = q.get('area');
  const list = (name: string): string[] => (q.get(name) ?? '').split(',').filter((s) => s !== '');
  const filter: Filter = {
    sectors: list('sector'),
    severities: list('severity').filter((s): s is Severity => (SEVERITIES as readonly string[]).includes(s)),
    areas: list('in'),
    mine: q.get('mine') === '1',
  };
  // "#wall" is what people type.
  const short = within(VIEWS, hash.replace(/^#/, '').split('&')[0] ?? '');
  return {
    view: within(VIEWS, q.get('view')) ?? short ?? 'desk',
    selection: alert ? { kind: 'alert', id: alert } : area ? { kind: 'area', code: area } : null,
    figure: parseFigure(q, 'figure', 'tag.'),
    second: parseFigure(q, 'second', 'tag2.'),
    span: within(SPANS, q.get('span')) ?? '2h',
    daysBack: Math.min(365, Math.max(0, Math.floor(Number(q.get('back')) || 0))),
    filter: isFiltering(filter) ? filter : NO_FILTER,
    layer: parseLayer(q.get('layer')),
    era: q.get('era') === 'former' ? 'former' : 'now',
    past: parsePast(q),
    pipeline: q.get('pipeline'),
    lang: within(['vi', 'en'] as const, q.get('lang')),
    theme: within(['dark', 'light'] as const, q.get('theme')),
    at: parseMoment(q.get('at')),
  };
}

/** "2026-11-24T07:02:10Z" */
function parseMoment(text: string | null): number | null {
  const at = text === null ? NaN : Date.parse(text);
  return Number.isFinite(at) ? at : null;
}

function parseLayer(text: string | null): Layer | null {
  const [measurement, field, aggregate] = (text ?? '').split('.');
  if (!measurement || !field) return null;
  return { measurement, field, aggregate: AGGREGATES.find((a) => a === aggregate) ?? null };
}

function parseFigure(q: URLSearchParams, name: string, tags: string): FigureChoice | null {
  const [measurement, field] = (q.get(name) ?? '').split('.');
  if (!measurement || !field) return null;
  const key: Record<string, string> = {};
  for (const [tag, value] of q) if (tag.startsWith(tags)) key[tag.slice(tags.length)] = value;
  return { measurement, field, key };
}

function parsePast(q: URLSearchParams): Past {
  const past = { ...WHOLE_PAST };
  for (const name of PAST_TEXTS) past[name] = q.get(`q.${name}`) ?? '';
  const time = (name: string): number | null => { const at = Number(q.get(name)); return Number.isFinite(at) && at > 0 ? at : null; };
  return { ...past, from: time('q.from'), to: time('q.to') };
}

export function formatRoute(route: Route): string {
  const q = new URLSearchParams();
  const set = (name: string, value: string | null): void => { if (value !== null && value !== '') q.set(name, value); };
  if (route.view !== 'desk') q.set('view', route.view);
  if (route.selection?.kind === 'alert') q.set('alert', route.selection.id);
  if (route.selection?.kind === 'area') q.set('area', route.selection.code);
  setFigure(q, route.figure, 'figure', 'tag.');
  setFigure(q, route.second, 'second', 'tag2.');
  if (route.span !== '2h') q.set('span', route.span);
  if (route.daysBack > 0) q.set('back', String(route.daysBack));
  set('sector', route.filter.sectors.join(','));
  set('severity', route.filter.severities.join(','));
  set('in', route.filter.areas.join(','));
  if (route.filter.mine) q.set('mine', '1');
  if (route.layer) q.set('layer', [route.layer.measurement, route.layer.field, route.layer.aggregate].filter((p) => p !== null).join('.'));
  if (route.era === 'former') q.set('era', 'former');
  for (const name of PAST_TEXTS) set(`q.${name}`, route.past[name]);
  if (route.past.from !== null) q.set('q.from', String(route.past.from));
  if (route.past.to !== null) q.set('q.to', String(route.past.to));
  set('pipeline', route.pipeline);
  set('lang', route.lang);
  set('theme', route.theme);
  // whole seconds: nobody reads more in an address
  if (route.at !== null) q.set('at', new Date(Math.floor(route.at / 1000) * 1000).toISOString().replace('.000Z', 'Z'));
  const text = q.toString();
  return text === '' ? '' : `#${text}`;
}

function setFigure(q: URLSearchParams, figure: FigureChoice | null, name: string, tags: string): void {
  if (!figure) return;
  q.set(name, `${figure.measurement}.${figure.field}`);
  for (const [tag, value] of Object.entries(figure.key)) q.set(`${tags}${tag}`, value);
}
