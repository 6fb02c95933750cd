//! The middle of the desk: the map, or the table in its place; layer menu, legend, hover.
import { effect, useSignal } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import { formatAge, formatNumber, formatValue, shortAreaName } from '../format';
import { fieldName, measurementName } from '../i18n/names';
import { AGGREGATES } from '../live/layer';
import { compareAlerts, isListed, isOpen, type AreaAlerts } from '../live/queue';
import type { Hover, LabelLook, ProvinceMap } from '../map/province';
import { alerts, areaNames, areas, areasFailed, byArea, catalog, coarseNow, hasPicture, lang, layer, now, select, selection, t, theme, zone } from '../store';
import { SHAPES, HATCH, Shape, lookOf } from '../ui/shape';
import type { AlertView } from '../wire';
import { AreaTable } from './AreaTable';
import { drawn } from './layers';
import { focusTargets } from './keys';

function hasWebGl2(): boolean {
  try {
    return document.createElement('canvas').getContext('webgl2') !== null;
  } catch {
    return false;
  }
}
const webgl = hasWebGl2();
/** Asked for once the list stands, while the areas are still on their way: the list never waits for the map. */
const loadMap = () => Promise.all([import('../map/province'), import('../map/looks')]);
if (webgl) {
  const stop = effect(() => {
    if (!hasPicture.value) return;
    setTimeout(() => { stop(); void loadMap().catch(() => undefined); }, 0);
  });
}

export function MapPane() {
  const failed = useSignal(false);
  const table = useSignal(false);
  const canMap = webgl && !failed.value;
  const asTable = table.value || !canMap;
  return (
    <section class="map-pane" aria-label={t('map.title')} data-testid="map" data-mode={asTable ? 'table' : 'map'}>
      <div class="map-bar">
        <LayerMenu />
        <span class="stretch" />
        {canMap && <button type="button" class="chip" data-testid="map-mode" onClick={() => { table.value = !table.value; }}>{asTable ? t('map.as_map') : t('map.as_table')}</button>}
      </div>
      {!canMap && <p class="notice">{t(webgl ? 'map.failed' : 'map.no_webgl')}</p>}
      {areas.value === null
        ? <p class="say quiet">{areasFailed.value ? t('map.areas_failed') : t('map.loading')}</p>
        : areas.value.features.length === 0
          ? <p class="say">{t('map.no_areas')}</p>
          : asTable ? <AreaTable /> : <Drawing onFailed={() => { failed.value = true; }} />}
    </section>
  );
}

function LayerMenu() {
  const value = layer.value ? `${layer.value.measurement}.${layer.value.field}` : '';
  const d = drawn.value;
  return (
    <>
      <label class="menu">
        <span class="quiet">{t('map.layer')}</span>
        <select data-testid="layer" value={value} onChange={(e) => {
          const [measurement, field] = e.currentTarget.value.split('.');
          layer.value = measurement && field ? { measurement, field, aggregate: null } : null;
        }}>
          <option value="">{t('map.layer.alerts')}</option>
          {catalog.value?.measurements.filter((m) => m.tags.includes('area')).map((m) => (
            <optgroup key={m.measurement} label={measurementName(m.measurement, lang.value)}>
              {m.fields.map((f) => <option key={f.field} value={`${m.measurement}.${f.field}`}>{fieldName(f.field, lang.value)}{f.unit ? ` (${f.unit})` : ''}</option>)}
            </optgroup>
          ))}
        </select>
      </label>
      {d && layer.value && (
        <label class="menu">
          <span class="quiet">{t('map.aggregate')}</span>
          <select data-testid="aggregate" value={d.aggregate} onChange={(e) => {
            const aggregate = AGGREGATES.find((a) => a === e.currentTarget.value) ?? null;
            if (layer.value) layer.value = { ...layer.value, aggregate };
          }}>
            {AGGREGATES.map((a) => <option key={a} value={a}>{t(`map.aggregate.${a}`)}</option>)}
          </select>
        </label>
      )}
    </>
  );
}

function Drawing({ onFailed }: { onFailed: () => void }) {
  const host = useRef<HTMLDivElement>(null);
  const labels = useRef<HTMLDivElement>(null);
  const map = useRef<ProvinceMap | null>(null);
  const hover = useSignal<Hover | null>(null);
  const ready = useSignal(false);
  useEffect(() => {
    let gone = false;
    let stop = (): void => {};
    void loadMap().then(([{ ProvinceMap }, looks]) => {
      const collection = areas.peek();
      if (gone || !host.current || !labels.current || !collection) return;
      const made = new ProvinceMap(host.current, labels.current, collection, looks.readColors(), {
        area: (code) => select({ kind: 'area', code }),
        alert: (id) => select({ kind: 'alert', id }),
        hover: (h) => { hover.value = h; },
        ready: () => { ready.value = true; },
        failed: () => onFailed(),
      });
      map.current = made;
      stop = follow(made, looks);
      focusTargets.map = () => made.focus();
    }).catch(onFailed);
    return () => {
      gone = true;
      stop();
      focusTargets.map = null;
      map.current?.destroy();
      map.current = null;
    };
  }, []);
  return (
    <div class="map-frame">
      <div class="map-host" ref={host} data-testid="map-canvas" data-ready={ready.value} />
      <div class="labels" ref={labels} aria-hidden="true" />
      {!ready.value && <p class="say quiet map-wait">{t('map.loading')}</p>}
      <div class="map-tools">
        <button type="button" onClick={() => map.current?.zoom(1)} aria-label={t('map.zoom_in')} title={t('map.zoom_in')}>+</button>
        <button type="button" onClick={() => map.current?.zoom(-1)} aria-label={t('map.zoom_out')} title={t('map.zoom_out')}>−</button>
        <button type="button" onClick={() => map.current?.show(null)} aria-label={t('map.fit')} title={t('map.fit')}>⤢</button>
      </div>
      <Legend />
      {hover.value && <Tip hover={hover.value} width={host.current?.clientWidth ?? 0} />}
    </div>
  );
}

/** Keeps the map in step with the store; each effect reads only what it needs. */
function follow(map: ProvinceMap, looks: typeof import('../map/looks')): () => void {
  const stops = [
    effect(() => {
      void theme.value;
      map.setColors(looks.readColors());
    }),
    effect(() => {
      void theme.value;
      const colors = looks.readColors();
      const d = drawn.value;
      map.setAreas(d ? looks.layerLooks(d.values, d.breaks, looks.readSteps(), byArea.value, colors) : looks.alertLooks(byArea.value, colors));
    }),
    effect(() => {
      map.setPoints([...alerts.value.values()].filter((a) => a.position !== null && isListed(a)).map((a) => ({ id: a.id, at: a.position ?? [0, 0], severity: a.severity, look: lookOf(a) })));
    }),
    effect(() => map.label(t('map.keys'))),
    labelEffect(map),
    effect(() => {
      const s = selection.value;
      const code = s?.kind === 'area' ? s.code : s?.kind === 'alert' ? alerts.value.get(s.id)?.area?.code ?? null : null;
      map.setSelected(code);
    }),
    effect(() => {
      const s = selection.value;
      if (s?.kind === 'area') map.show(s.code);
      const alert = s?.kind === 'alert' ? alerts.peek().get(s.id) : undefined;
      if (alert?.area) map.show(alert.area.code);
    }),
  ];
  return () => stops.forEach((stop) => stop());
}

function labelEffect(map: ProvinceMap): () => void {
  let before = '';
  return effect(() => {
    const id = [...byArea.value].map(([code, a]) => `${code}${a.worst}${a.unacknowledged > 0}${a.open}${a.noData}`).sort().join() + (selection.value?.kind === 'area' ? selection.value.code : '');
    if (id === before) return;
    before = id;
    map.setLabels((areas.value?.features ?? []).map((f) => labelOf(f.properties.code, shortAreaName(f.properties.name), byArea.value.get(f.properties.code))));
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
    svg.setAttribute('width', '12');
    svg.setAttribute('height', '12');
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

function Legend() {
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
  return [...alerts.value.values()].filter((a) => a.area?.code === code && isOpen(a)).sort(compareAlerts).slice(0, 2);
}

function Tip({ hover, width }: { hover: Hover; width: number }) {
  const box = useRef<HTMLDivElement>(null);
  const { code, alert: id, x, y } = hover;
  useEffect(() => {
    if (!box.current) return;
    const left = x > width - 260;
    box.current.style.transform = `translate(${left ? x - 12 : x + 12}px, ${y + 12}px)${left ? ' translateX(-100%)' : ''}`;
  });
  const alert = id ? alerts.value.get(id) : undefined;
  const d = drawn.value;
  const value = code ? d?.values.get(code) : undefined;
  const state = code ? byArea.value.get(code) : undefined;
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
