//! The drawn map: the library's chunk, kept in step with the store; legend, hover, zoom. The desk, the wall and the phone draw the same.
import { computed, effect, signal, useSignal } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import { formatAge, formatNumber, formatValue, shortAreaName } from '../format';
import { fieldName, measurementName } from '../i18n/names';
import { compareAlerts, isListed, isOpen, type AreaAlerts } from '../live/queue';
import { trouble } from '../live/sources';
import type { Hover, LabelLook, ProvinceMap } from '../map/province';
import { alerts, areaNames, areas, board, byArea, coarseNow, era, figures, greetings, health, lang, loadAreas, measurements, now, placeOf, select, selection, shapes, shownTheme, t, zone } from '../store';
import { SHAPES, HATCH, Shape, lookOf } from '../ui/shape';
import { getAllSources } from '../api';
import type { AlertView, SourceView } from '../wire';
import { drawn } from './layers';
import { focusTargets } from './keys';

function hasWebGl2(): boolean {
  try {
    return document.createElement('canvas').getContext('webgl2') !== null;
  } catch {
    return false;
  }
}
export const webgl = hasWebGl2();
export const loadMap = () => Promise.all([import('../map/province'), import('../map/looks')]);

/** `scale`: how much larger than on a desk names and shapes are; `still`: nobody can point at it. */
export interface Drawing { onFailed: () => void; scale?: number; still?: boolean; show?: string | null }

export function MapDrawing({ onFailed, scale = 1, still = false, show }: Drawing) {
  const host = useRef<HTMLDivElement>(null);
  const labels = useRef<HTMLDivElement>(null);
  const map = useRef<ProvinceMap | null>(null);
  const hover = useSignal<Hover | null>(null);
  const ready = useSignal(false);
  useEffect(() => {
    let gone = false;
    let stop = (): void => {};
    void loadMap().then(([{ ProvinceMap }, looks]) => {
      const collection = shapes.peek();
      if (gone || !host.current || !labels.current || !collection) return;
      const made = new ProvinceMap(host.current, labels.current, collection, looks.readColors(), {
        area: (code) => select({ kind: 'area', code }),
        alert: (id) => select({ kind: 'alert', id }),
        hover: (h) => { hover.value = h; },
        near: () => { wantsAll.value = true; },
        ready: () => { ready.value = true; },
        failed: () => onFailed(),
      }, { scale, still });
      map.current = made;
      stop = follow(made, looks, still, host.current);
      if (!still) focusTargets.map = () => made.focus();
    }).catch(onFailed);
    return () => {
      gone = true;
      stop();
      ready.value = false;
      focusTargets.map = null;
      map.current?.destroy();
      map.current = null;
    };
  }, [scale, still, era.value]);
  useEffect(() => { if (show !== undefined && ready.value) map.current?.show(show); }, [show, ready.value]);
  useSources(!still);
  return (
    <div class="map-frame">
      <div class="map-host" ref={host} data-testid="map-canvas" data-ready={ready.value} data-shapes={shapes.value?.features.length ?? 0} />
      <div class="labels" ref={labels} aria-hidden="true" />
      {!ready.value && <p class="say quiet map-wait">{t('map.loading')}</p>}
      {!still && (
        <div class="map-tools">
          <button type="button" onClick={() => map.current?.zoom(1)} aria-label={t('map.zoom_in')} title={t('map.zoom_in')}>+</button>
          <button type="button" onClick={() => map.current?.zoom(-1)} aria-label={t('map.zoom_out')} title={t('map.zoom_out')}>−</button>
          <button type="button" onClick={() => map.current?.show(null)} aria-label={t('map.fit')} title={t('map.fit')}>⤢</button>
        </div>
      )}
      <Legend />
      {hover.value && <Tip hover={hover.value} width={host.current?.clientWidth ?? 0} />}
    </div>
  );
}

/** The areas' shapes are asked for when a map or its table first needs them, never for the list. */
export function useAreas(): void {
  useEffect(() => { if (!areas.peek()) void loadAreas(); }, [greetings.value]);
}

// ---- sources as points: bad ones always, the others from close by

const SOURCES_AGAIN = 60_000;
const shownSources = signal<readonly SourceView[]>([]);
const wantsAll = signal(false);
const settledDown = computed(() => board.value.tick.live && (health.value?.built ?? 1) === 1);
const bad = (s: SourceView): boolean => trouble(s) >= 4;

function useSources(wanted: boolean): void {
  useEffect(() => {
    if (!wanted) return;
    let gone = false;
    let timer = 0;
    const ask = async (): Promise<void> => {
      const answer = await getAllSources(!wantsAll.peek());
      if (gone) return;
      if (answer.ok) shownSources.value = answer.value.filter((s) => s.position !== null && (wantsAll.peek() || bad(s)));
      timer = window.setTimeout(() => void ask(), SOURCES_AGAIN);
    };
    void ask();
    return () => { gone = true; clearTimeout(timer); };
  }, [wanted, wantsAll.value, greetings.value]);
}

/** Keeps the map in step with the store; each effect reads only what it needs. */
function follow(map: ProvinceMap, looks: typeof import('../map/looks'), still: boolean, host: HTMLElement): () => void {
  const stops = [
    effect(() => {
      void shownTheme.value;
      const colors = looks.readColors();
      map.setColors(colors);
      host.dataset.ground = colors.ground;
    }),
    effect(() => {
      void shownTheme.value;
      const colors = looks.readColors();
      const d = drawn.value;
      map.setAreas(d ? looks.layerLooks(d.values, d.breaks, looks.readSteps(), byArea.value, colors) : looks.alertLooks(byArea.value, colors));
    }),
    effect(() => {
      map.setPoints([...alerts.value.values()].filter((a) => a.position !== null && isListed(a)).map((a) => ({ id: a.id, at: a.position ?? [0, 0], severity: a.severity, look: lookOf(a) })));
    }),
    // While the state is being built every source is silent: that says nothing.
    effect(() => map.setSources(!settledDown.value ? [] : shownSources.value.map((s) => ({ id: s.id, at: s.position ?? [0, 0], bad: bad(s) })))),
    effect(() => map.label(t('map.keys'))),
    labelEffect(map),
    ...(still ? [] : [selectionEffect(map)]),
  ];
  return () => stops.forEach((stop) => stop());
}

function selectionEffect(map: ProvinceMap): () => void {
  let shown: string | null = null;
  return effect(() => {
    const s = selection.value;
    const area = s?.kind === 'area' ? s.code : s?.kind === 'alert' ? alerts.value.get(s.id)?.area?.code ?? null : null;
    const code = area === null ? null : placeOf.value.get(area) ?? area;
    map.setSelected(code);
    if (code !== null && code !== shown) map.show(code);
    shown = code;
  });
}

function labelEffect(map: ProvinceMap): () => void {
  let before = '';
  return effect(() => {
    const id = [...byArea.value].map(([code, a]) => `${code}${a.worst}${a.unacknowledged > 0}${a.open}${a.noData}`).sort().join() + (selection.value?.kind === 'area' ? selection.value.code : '') + lang.value;
    if (id === before) return;
    before = id;
    map.setLabels((shapes.value?.features ?? []).map((f) => labelOf(f.properties.code, shortAreaName(areaNames.value.get(f.properties.code) ?? f.properties.name), byArea.value.get(f.properties.code))));
  });
}

const RANKS = { critical: 0, major: 1, minor: 2, notice: 3 } as const;
const SVG = 'http://www.w3.org/2000/svg';

/** HTML made by hand: it lives outside the component tree, on the moving map. */
function labelOf(code: string, text: string, state: AreaAlerts | undefined): LabelLook {
  const element = document.createElement('span');
  element.className = state ? `label alerting${state.unacknowledged > 0 ? ' strong' : ''}` : 'label';
  element.hidden = true;
  if (state) {
    const svg = document.createElementNS(SVG, 'svg');
    svg.setAttribute('viewBox', '0 0 16 16');
    svg.setAttribute('class', `shape sev-${state.worst}`);
    const path = document.createElementNS(SVG, 'path');
    path.setAttribute('d', SHAPES[state.worst]);
    path.setAttribute('fill', state.unacknowledged > 0 && !state.noData ? 'currentColor' : 'none');
    path.setAttribute('stroke', 'currentColor');
    path.setAttribute('stroke-width', '1.6');
    svg.append(path);
    if (state.noData) {
      const hatch = document.createElementNS(SVG, 'path');
      hatch.setAttribute('d', HATCH);
      hatch.setAttribute('stroke', 'currentColor');
      hatch.setAttribute('stroke-width', '1.4');
      hatch.setAttribute('clip-path', `url(#clip-${state.worst})`);
      svg.append(hatch);
    }
    element.append(svg);
  }
  element.append(text);
  if (state && state.open > 1) {
    const count = document.createElement('b');
    count.textContent = String(state.open);
    element.append(count);
  }
  return { code, text: state && state.open > 1 ? `${text} ${state.open}` : text, element, rank: state ? RANKS[state.worst] : 9 };
}

export function Legend() {
  const d = drawn.value;
  if (!d) return null;
  const n = (v: number | undefined): string => formatNumber(v ?? 0, lang.value);
  const words = (i: number): string => (i === 0 ? `< ${n(d.breaks[0])}` : i === d.breaks.length ? `≥ ${n(d.breaks[i - 1])}` : `${n(d.breaks[i - 1])}–${n(d.breaks[i])}`);
  return (
    <div class="legend" data-testid="legend">
      <p><b>{fieldName(d.field.field, lang.value)}</b>{d.field.unit ? `, ${d.field.unit}` : ''} · <span class="quiet">{t(`map.aggregate.${d.aggregate}`)}</span></p>
      <ul>
        {d.breaks.length > 0
          ? [0, 1, 2, 3, 4].map((i) => <li key={i}><i class={`swatch step-${i}`} />{words(i)}</li>)
          : d.values.size > 0 && <li><i class="swatch step-0" />{n([...d.values.values()][0]?.value)}</li>}
        <li class="quiet"><i class="swatch" />{t('map.no_value')}</li>
        {[...d.values.values()].some((v) => v.freshness === 'stale') && <li class="quiet"><i class="swatch hatched" />{t('map.stale')}</li>}
      </ul>
    </div>
  );
}

/** The two alerts of an area that come first in the queue. */
function worstOf(code: string | null): AlertView[] {
  return [...alerts.value.values()].filter((a) => a.area !== null && (placeOf.value.get(a.area.code) ?? a.area.code) === code && isOpen(a)).sort(compareAlerts).slice(0, 2);
}

function Tip({ hover, width }: { hover: Hover; width: number }) {
  const box = useRef<HTMLDivElement>(null);
  const { code, alert: id, source, x, y } = hover;
  useEffect(() => {
    if (!box.current) return;
    const left = x > width - 260;
    box.current.style.transform = `translate(${left ? x - 12 : x + 12}px, ${y + 12}px)${left ? ' translateX(-100%)' : ''}`;
  });
  const alert = id ? alerts.value.get(id) : undefined;
  const d = drawn.value;
  const value = code ? d?.values.get(code) : undefined;
  const state = code ? byArea.value.get(code) : undefined;
  if (source && !alert) return <div class="tip" ref={box}><OfSource id={source} /></div>;
  return (
    <div class="tip" ref={box}>
      <b>{code ? areaNames.value.get(code) : alert?.area?.name}</b>
      {alert && <p><Shape severity={alert.severity} look={lookOf(alert)} size={12} /> {alert.title[lang.value]} · {formatAge(alert.since, now.value, zone.value, lang.value)}</p>}
      {!alert && <p class="tip-state">{state ? <><Shape severity={state.worst} look={state.unacknowledged > 0 ? 'filled' : 'outline'} size={12} /> {t('map.open_alerts', { n: state.open })}</> : <span class="quiet">{t('map.no_alerts')}</span>}</p>}
      {!alert && state && worstOf(code).map((a) => <p key={a.id}><Shape severity={a.severity} look={lookOf(a)} size={12} /> {a.title[lang.value]} · {formatAge(a.since, coarseNow.value, zone.value, lang.value)}</p>)}
      {d && <p>{fieldName(d.field.field, lang.value)}: {value ? <>{formatValue(value.value, d.field.unit, lang.value)} <span class="quiet">({t(`map.aggregate.${d.aggregate}`)}, {formatAge(value.end, now.value, zone.value, lang.value)})</span></> : <span class="quiet">{t('map.no_value')}</span>}</p>}
    </div>
  );
}

/** One source under the pointer: its newest figures, each with its age. */
function OfSource({ id }: { id: string }) {
  const source = shownSources.value.find((s) => s.id === id);
  const rows = [...measurements.value.values()].flatMap((m) => {
    const figure = [...(figures.value.get(m.measurement)?.values() ?? [])].find((f) => f.key.source === id);
    const field = m.fields.find((f) => f.field !== 'count' && figure?.values[f.field] !== undefined);
    return figure && field ? [{ m, field, figure }] : [];
  });
  return (
    <>
      <b>{source?.name[lang.value] ?? id}</b>
      {source?.silent && <p>{t('sources.silent')} · {source.last_heard === null ? t('sources.never') : formatAge(source.last_heard, now.value, zone.value, lang.value)}</p>}
      {rows.slice(0, 3).map(({ m, field, figure }) => (
        <p key={m.measurement}>{measurementName(m.measurement, lang.value)}, {fieldName(field.field, lang.value)}: {formatValue(figure.values[field.field], field.unit, lang.value)} <span class="quiet">({formatAge(figure.end, now.value, zone.value, lang.value)})</span></p>
      ))}
    </>
  );
}
