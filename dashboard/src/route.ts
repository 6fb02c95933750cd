//! One address restores each view: what is selected, filtered, drawn, in which language and theme. Pure: text in, text out.
import type { Lang } from './format';
import type { Aggregate } from './live/layer';
import { AGGREGATES } from './live/layer';
import { NO_FILTER, SEVERITIES, type Filter } from './live/queue';
import type { Severity } from './wire';

export type View = 'desk' | 'sources';
export type Theme = 'dark' | 'light';
export type Selection = { kind: 'alert'; id: string } | { kind: 'area'; code: string } | null;
export interface Layer { measurement: string; field: string; aggregate: Aggregate | null }
export interface FigureChoice { measurement: string; field: string; key: Record<string, string> }

export interface Route {
  view: View;
  selection: Selection;
  figure: FigureChoice | null;
  filter: Filter;
  layer: Layer | null;
  lang: Lang | null;
  theme: Theme | null;
}

export function parseRoute(hash: string): Route {
  const q = new URLSearchParams(hash.replace(/^#/, ''));
  const alert = q.get('alert');
  const area = q.get('area');
  const lang = q.get('lang');
  const theme = q.get('theme');
  const list = (name: string): string[] => (q.get(name) ?? '').split(',').filter((s) => s !== '');
  const filter: Filter = {
    sectors: list('sector'),
    severities: list('severity').filter((s): s is Severity => (SEVERITIES as readonly string[]).includes(s)),
  };
  return {
    view: q.get('view') === 'sources' ? 'sources' : 'desk',
    selection: alert ? { kind: 'alert', id: alert } : area ? { kind: 'area', code: area } : null,
    figure: parseFigure(q),
    filter: filter.sectors.length + filter.severities.length > 0 ? filter : NO_FILTER,
    layer: parseLayer(q.get('layer')),
    lang: lang === 'vi' || lang === 'en' ? lang : null,
    theme: theme === 'dark' || theme === 'light' ? theme : null,
  };
}

function parseLayer(text: string | null): Layer | null {
  const [measurement, field, aggregate] = (text ?? '').split('.');
  if (!measurement || !field) return null;
  return { measurement, field, aggregate: AGGREGATES.find((a) => a === aggregate) ?? null };
}

function parseFigure(q: URLSearchParams): FigureChoice | null {
  const [measurement, field] = (q.get('figure') ?? '').split('.');
  if (!measurement || !field) return null;
  const key: Record<string, string> = {};
  for (const [name, value] of q) if (name.startsWith('tag.')) key[name.slice(4)] = value;
  return { measurement, field, key };
}

export function formatRoute(route: Route): string {
  const q = new URLSearchParams();
  if (route.view !== 'desk') q.set('view', route.view);
  if (route.selection?.kind === 'alert') q.set('alert', route.selection.id);
  if (route.selection?.kind === 'area') q.set('area', route.selection.code);
  if (route.figure) {
    q.set('figure', `${route.figure.measurement}.${route.figure.field}`);
    for (const [tag, value] of Object.entries(route.figure.key)) q.set(`tag.${tag}`, value);
  }
  if (route.filter.sectors.length > 0) q.set('sector', route.filter.sectors.join(','));
  if (route.filter.severities.length > 0) q.set('severity', route.filter.severities.join(','));
  if (route.layer) q.set('layer', [route.layer.measurement, route.layer.field, route.layer.aggregate].filter((p) => p !== null).join('.'));
  if (route.lang) q.set('lang', route.lang);
  if (route.theme) q.set('theme', route.theme);
  const text = q.toString();
  return text === '' ? '' : `#${text}`;
}
