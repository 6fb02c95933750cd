//! The map, a lazy chunk: flat areas, HTML names, alert points. It is told what to show and says what was pressed or hovered.
//!
//! Invariants
//! 1. No request leaves the page: the areas come as an object, names are HTML, shapes are drawn here; the worker is this site's own module file.
//! 2. Colours change by feature state, without cutting tiles anew.
import { LngLatBounds, Map as MapLibre, setWorkerUrl, type GeoJSONSource, type ExpressionSpecification, type MapMouseEvent, type StyleSpecification } from 'maplibre-gl';
import workerUrl from 'maplibre-gl/dist/maplibre-gl-worker.mjs?url';
import type { AreaCollection } from '../api';
import { SEVERITIES } from '../live/queue';
import { HATCH, SHAPES, TICK, type Look } from '../ui/shape';
import type { Severity } from '../wire';
import { bordersOf } from '../live/places';
import { anchorOf, boxOf, type Anchor, type Box } from './place';

setWorkerUrl(workerUrl);

export interface Colors { ground: string; area: string; line: string; text: string; quiet: string; severity: Record<Severity, string> }
/** What one area looks like; what is left out is plain. */
export interface AreaLook { fill?: string; edge?: string; hatched?: boolean }
export interface PointLook { id: string; at: [number, number]; severity: Severity; look: Look }
export interface LabelLook { code: string; text: string; element: HTMLElement; rank: number }
export interface SourceLook { id: string; at: [number, number]; bad: boolean }
export interface Hover { code: string | null; alert: string | null; source: string | null; x: number; y: number }
/** `near`: for the first time close enough for every source to be shown. */
export interface Hooks { area(code: string): void; alert(id: string): void; hover(hover: Hover | null): void; near(): void; ready(): void; failed(reason: string): void }
/** `scale`: of names and shapes; `still`: a picture nobody points at. */
export interface Options { scale: number; still: boolean }

/** Alerts where they are, once areas are large enough to hold them; sources that are well only from close by. */
const POINTS_FROM = 9;
const SOURCES_FROM = 11;
const LOOKS: readonly Look[] = ['filled', 'outline', 'tick', 'hatch'];
const still = (): boolean => matchMedia('(prefers-reduced-motion: reduce)').matches;

export class ProvinceMap {
  private readonly map: MapLibre;
  private readonly anchors = new Map<string, Anchor>();
  private readonly boxes = new Map<string, Box>();
  private readonly whole: Box;
  private readonly shown = new Map<string, string>();
  private labels: LabelLook[] = [];
  private loaded = false;
  private gone = false;
  private colors: Colors;
  private waiting: (() => void)[] = [];
  private hovered: string | null = null;
  private selected: string | null = null;

  constructor(host: HTMLElement, private readonly labelHost: HTMLElement, areas: AreaCollection, colors: Colors, private readonly hooks: Hooks, private readonly options: Options = { scale: 1, still: false }) {
    this.colors = colors;
    for (const feature of areas.features) {
      this.anchors.set(feature.properties.code, anchorOf(feature));
      this.boxes.set(feature.properties.code, boxOf([feature]));
    }
    this.whole = boxOf(areas.features);
    const [w, s, e, n] = this.whole;
    const spread = Math.max(e - w, n - s);
    this.map = new MapLibre({
      container: host,
      style: styleOf(areas, colors, options.scale),
      bounds: this.whole,
      fitBoundsOptions: { padding: 20 * options.scale },
      interactive: !options.still,
      maxBounds: new LngLatBounds([w - spread, s - spread, e + spread, n + spread]),
      attributionControl: false,
      dragRotate: false,
      pitchWithRotate: false,
      touchPitch: false,
      renderWorldCopies: false,
      fadeDuration: 0,
      maxZoom: 17,
    });
    if (!options.still) {
      this.map.touchZoomRotate.disableRotation();
      this.map.keyboard.disableRotation();
    }
    const canvas = this.map.getCanvas();
    if (!options.still) canvas.tabIndex = 0;
    this.map.once('style.load', () => this.addImages());
    this.map.on('load', () => {
      this.loaded = true;
      for (const run of this.waiting.splice(0)) run();
      this.placeLabels();
      this.hooks.ready();
    });
    this.map.on('error', (event) => { if (!this.loaded) this.hooks.failed(String(event.error?.message ?? event)); });
    this.map.on('move', () => this.placeLabels());
    this.map.on('resize', () => this.placeLabels());
    if (options.still) return;
    let near = false;
    this.map.on('zoomend', () => {
      if (near || this.map.getZoom() < SOURCES_FROM) return;
      near = true;
      this.hooks.near();
    });
    this.map.on('mousemove', (event) => this.onMove(event));
    this.map.on('mouseout', () => this.leave());
    this.map.on('click', (event) => {
      const hit = this.hit(event);
      if (hit.alert) this.hooks.alert(hit.alert);
      else if (hit.code) this.hooks.area(hit.code);
    });
  }

  setColors(colors: Colors): void {
    this.colors = colors;
    this.whenLoaded(() => {
      this.map.setPaintProperty('ground', 'background-color', colors.ground);
      this.map.setPaintProperty('fill', 'fill-color', fillOf(colors));
      this.map.setPaintProperty('line', 'line-color', colors.line);
      this.map.setPaintProperty('mark', 'line-color', markOf(colors));
      for (const layer of ['sources-bad', 'sources']) {
        this.map.setPaintProperty(layer, 'circle-color', layer === 'sources' ? colors.quiet : colors.ground);
        this.map.setPaintProperty(layer, 'circle-stroke-color', layer === 'sources' ? colors.ground : colors.quiet);
      }
      this.addImages();
    });
  }

  setAreas(looks: ReadonlyMap<string, AreaLook>): void {
    this.whenLoaded(() => {
      const hatched: string[] = [];
      for (const code of this.anchors.keys()) {
        const look = looks.get(code);
        if (look?.hatched) hatched.push(code);
        const id = look ? `${look.fill ?? ''}|${look.edge ?? ''}` : '';
        if (this.shown.get(code) === id) continue;
        this.shown.set(code, id);
        this.map.setFeatureState({ source: 'areas', id: code }, { fill: look?.fill ?? null });
        this.map.setFeatureState({ source: 'borders', id: code }, { edge: look?.edge ?? null });
      }
      const list = hatched.join(',');
      if (this.shown.get('hatch') === list) return;
      this.shown.set('hatch', list);
      this.map.setFilter('hatch', ['in', ['get', 'code'], ['literal', hatched]]);
    });
  }

  setPoints(points: readonly PointLook[]): void {
    this.whenLoaded(() => {
      const id = points.map((p) => `${p.id}${p.look}`).join();
      if (this.shown.get('points') === id) return;
      this.shown.set('points', id);
      const source = this.map.getSource<GeoJSONSource>('points');
      void source?.setData({
        type: 'FeatureCollection',
        features: points.map((p) => ({
          type: 'Feature', properties: { id: p.id, icon: `${p.severity}-${p.look}`, rank: 3 - SEVERITIES.indexOf(p.severity) }, geometry: { type: 'Point', coordinates: p.at },
        })),
      });
    });
  }

  setSources(sources: readonly SourceLook[]): void {
    this.whenLoaded(() => {
      void this.map.getSource<GeoJSONSource>('sources')?.setData({
        type: 'FeatureCollection',
        features: sources.map((s) => ({ type: 'Feature', properties: { id: s.id, bad: s.bad }, geometry: { type: 'Point', coordinates: s.at } })),
      });
    });
  }

  setSelected(code: string | null): void {
    this.whenLoaded(() => { this.selected = this.mark('selected', this.selected, code); });
  }

  /** Takes a mark from one area and gives it to another. */
  private mark(name: 'selected' | 'hovered', from: string | null, to: string | null): string | null {
    if (from === to) return to;
    if (from !== null) this.map.setFeatureState({ source: 'borders', id: from }, { [name]: false });
    if (to !== null) this.map.setFeatureState({ source: 'borders', id: to }, { [name]: true });
    return to;
  }

  /** Names in the order in which they claim their place. */
  setLabels(labels: LabelLook[]): void {
    this.labels = labels.sort((a, b) => a.rank - b.rank || (this.anchors.get(b.code)?.size ?? 0) - (this.anchors.get(a.code)?.size ?? 0));
    this.labelHost.replaceChildren(...this.labels.map((l) => l.element));
    this.placeLabels();
  }

  /** The whole, or one area; an area that can be seen well enough is left where it is, so that j and k do not shake the map. */
  show(code: string | null): void {
    const box = code === null ? this.whole : this.boxes.get(code);
    if (!box) return;
    // After the layout: the detail may just have taken its part of the width.
    requestAnimationFrame(() => {
      if (this.gone) return;
      this.map.resize();
      if (code !== null && this.seesWell(box)) return;
      this.map.fitBounds(box, { padding: (code === null ? 20 : 60) * this.options.scale, maxZoom: code === null ? 12 : 9.5, animate: !still(), duration: 500 });
    });
  }

  private seesWell([west, south, east, north]: Box): boolean {
    const a = this.map.project([west, north]);
    const b = this.map.project([east, south]);
    const { width, height } = this.map.getContainer().getBoundingClientRect();
    return Math.max(b.x - a.x, b.y - a.y) >= 14 && a.x >= 0 && a.y >= 0 && b.x <= width && b.y <= height;
  }

  zoom(step: 1 | -1): void {
    if (step === 1) this.map.zoomIn({ animate: !still() });
    else this.map.zoomOut({ animate: !still() });
  }

  focus(): void {
    this.map.getCanvas().focus();
  }

  label(text: string): void {
    this.map.getCanvas().setAttribute('aria-label', text);
  }

  destroy(): void {
    this.gone = true;
    this.map.remove();
    this.labelHost.replaceChildren();
  }

  private whenLoaded(run: () => void): void {
    if (this.loaded) run();
    else this.waiting.push(run);
  }

  private hit(event: MapMouseEvent): { code: string | null; alert: string | null; source: string | null } {
    if (!this.loaded) return { code: null, alert: null, source: null };
    const around: [[number, number], [number, number]] = [[event.point.x - 3, event.point.y - 3], [event.point.x + 3, event.point.y + 3]];
    const [point] = this.map.queryRenderedFeatures(around, { layers: ['points'] });
    const [area] = this.map.queryRenderedFeatures(event.point, { layers: ['fill'] });
    const [source] = this.map.queryRenderedFeatures(around, { layers: ['sources-bad', 'sources'] });
    const text = (value: unknown): string | null => (typeof value === 'string' ? value : null);
    return { alert: text(point?.properties.id), code: text(area?.properties.code), source: text(source?.properties.id) };
  }

  private onMove(event: MapMouseEvent): void {
    const { code, alert, source } = this.hit(event);
    this.map.getCanvas().style.cursor = code || alert ? 'pointer' : '';
    if (this.loaded) this.hovered = this.mark('hovered', this.hovered, code);
    this.hooks.hover(code || alert || source ? { code, alert, source, x: event.point.x, y: event.point.y } : null);
  }

  private leave(): void {
    if (this.loaded) this.hovered = this.mark('hovered', this.hovered, null);
    this.hooks.hover(null);
  }

  /** Greedy: whoever comes first keeps its place, what would overlap is hidden until there is room. */
  private placeLabels(): void {
    const taken = this.keptFree();
    const { width, height } = this.map.getContainer().getBoundingClientRect();
    const zoom = this.map.getZoom();
    for (const { code, element, rank, text } of this.labels) {
      const anchor = this.anchors.get(code);
      if (!anchor) continue;
      const alerting = rank < 9;
      const w = (text.length * 6.6 + (alerting ? 32 : 6)) * this.options.scale;
      const h = (alerting ? 22 : 16) * this.options.scale;
      const room = Math.sqrt(anchor.size) * (512 / 360) * 2 ** zoom;
      // A plain name must fit its area; an alert's is always wanted, beside its area where it would cover it.
      if (!alerting && room < w * 0.85) { element.hidden = true; continue; }
      const place = this.placesOf(code, anchor, w, h, room < w * 1.4 && alerting).find(([x, y]) => {
        const box: Box = [x - w / 2, y - h / 2, x + w / 2, y + h / 2];
        if (box[0] < 0 || box[1] < 0 || box[2] > width || box[3] > height) return false;
        if (taken.some((o) => box[0] < o[2] && box[2] > o[0] && box[1] < o[3] && box[3] > o[1])) return false;
        taken.push(box);
        return true;
      });
      element.hidden = !place;
      if (place) element.style.transform = `translate(${Math.round(place[0])}px, ${Math.round(place[1])}px) translate(-50%, -50%)`;
    }
  }

  /** No other name stands on a small area with a critical or major alert. */
  private keptFree(): Box[] {
    const kept: Box[] = [];
    for (const { code, rank } of this.labels) {
      const box = this.boxes.get(code);
      if (rank > 1 || !box) continue;
      const a = this.map.project([box[0], box[3]]);
      const b = this.map.project([box[2], box[1]]);
      const inset = Math.min(b.x - a.x, b.y - a.y) * 0.15;
      if (b.x - a.x < 160 * this.options.scale) kept.push([a.x + inset, a.y + inset, b.x - inset, b.y - inset]);
    }
    return kept;
  }

  /** Middle of the area, or, where it is small, above, below, right, left of it. */
  private placesOf(code: string, anchor: Anchor, w: number, h: number, beside: boolean): [number, number][] {
    const { x, y } = this.map.project(anchor.at);
    const box = this.boxes.get(code);
    if (!beside || !box) return [[x, y]];
    const a = this.map.project([box[0], box[3]]);
    const b = this.map.project([box[2], box[1]]);
    const gap = 3;
    return [[x, a.y - h / 2 - gap], [x, b.y + h / 2 + gap], [b.x + w / 2 + gap, y], [a.x - w / 2 - gap, y], [x, y]];
  }

  private addImages(): void {
    for (const severity of SEVERITIES) {
      for (const look of LOOKS) {
        const id = `${severity}-${look}`;
        const image = drawShape(SHAPES[severity], look, this.colors.severity[severity], this.colors.ground);
        if (this.map.hasImage(id)) this.map.updateImage(id, image);
        else this.map.addImage(id, image, { pixelRatio: 2 });
      }
    }
    const hatch = drawHatch(this.colors.quiet);
    if (this.map.hasImage('hatch')) this.map.updateImage('hatch', hatch);
    else this.map.addImage('hatch', hatch, { pixelRatio: 2 });
  }
}

function fillOf(colors: Colors): ExpressionSpecification {
  return ['to-color', ['feature-state', 'fill'], colors.area];
}

function markOf(colors: Colors): ExpressionSpecification {
  return ['case', ['boolean', ['feature-state', 'selected'], false], colors.text, ['boolean', ['feature-state', 'hovered'], false], colors.quiet, 'rgba(0,0,0,0)'];
}

function styleOf(areas: AreaCollection, colors: Colors, scale: number): StyleSpecification {
  const none = { type: 'FeatureCollection' as const, features: [] };
  return {
    version: 8,
    sources: {
      areas: { type: 'geojson', data: areas as never, promoteId: 'code', tolerance: 0.3 },
      borders: { type: 'geojson', data: bordersOf(areas) as never, promoteId: 'code', tolerance: 0.3 },
      points: { type: 'geojson', data: none },
      sources: { type: 'geojson', data: none },
    },
    layers: [
      { id: 'ground', type: 'background', paint: { 'background-color': colors.ground } },
      { id: 'fill', type: 'fill', source: 'areas', paint: { 'fill-color': fillOf(colors), 'fill-antialias': false } },
      { id: 'hatch', type: 'fill', source: 'areas', filter: ['==', ['get', 'code'], ''], paint: { 'fill-pattern': 'hatch', 'fill-opacity': 0.6 } },
      { id: 'line', type: 'line', source: 'borders', paint: { 'line-color': colors.line, 'line-width': ['interpolate', ['linear'], ['zoom'], 7, 0.7 * scale, 11, 1.5 * scale] } },
      { id: 'edge', type: 'line', source: 'borders', paint: { 'line-color': ['to-color', ['feature-state', 'edge'], 'rgba(0,0,0,0)'], 'line-width': 2 * scale } },
      { id: 'mark', type: 'line', source: 'borders', paint: { 'line-color': markOf(colors), 'line-width': 2 } },
      {
        id: 'sources', type: 'circle', source: 'sources', minzoom: SOURCES_FROM, filter: ['!', ['get', 'bad']],
        paint: { 'circle-radius': 3, 'circle-color': colors.quiet, 'circle-stroke-width': 1, 'circle-stroke-color': colors.ground },
      },
      {
        id: 'sources-bad', type: 'circle', source: 'sources', filter: ['get', 'bad'],
        paint: {
          'circle-radius': ['interpolate', ['linear'], ['zoom'], 7, 2 * scale, 11, 4 * scale],
          'circle-color': colors.ground, 'circle-stroke-width': 1.5 * scale, 'circle-stroke-color': colors.quiet,
        },
      },
      {
        id: 'points', type: 'symbol', source: 'points', minzoom: POINTS_FROM,
        layout: { 'icon-image': ['get', 'icon'], 'icon-size': scale, 'icon-allow-overlap': true, 'icon-ignore-placement': true, 'symbol-sort-key': ['get', 'rank'] },
      },
    ],
  };
}

const ICON = 20;
function drawShape(path: string, look: Look, color: string, ground: string): ImageData {
  const canvas = document.createElement('canvas');
  canvas.width = canvas.height = ICON * 2;
  const ctx = canvas.getContext('2d', { willReadFrequently: true });
  if (!ctx) return new ImageData(ICON * 2, ICON * 2);
  ctx.scale(2, 2);
  ctx.translate(2, 2);
  const shape = new Path2D(path);
  ctx.lineJoin = 'round';
  ctx.strokeStyle = ground;
  ctx.lineWidth = 3.5;
  ctx.stroke(shape);
  ctx.fillStyle = look === 'filled' ? color : ground;
  ctx.fill(shape);
  ctx.strokeStyle = color;
  ctx.lineWidth = 1.5;
  ctx.stroke(shape);
  if (look === 'tick') ctx.stroke(new Path2D(TICK));
  if (look === 'hatch') {
    ctx.clip(shape);
    ctx.stroke(new Path2D(HATCH));
  }
  return ctx.getImageData(0, 0, ICON * 2, ICON * 2);
}

function drawHatch(color: string): ImageData {
  const size = 16;
  const canvas = document.createElement('canvas');
  canvas.width = canvas.height = size;
  const ctx = canvas.getContext('2d', { willReadFrequently: true });
  if (!ctx) return new ImageData(size, size);
  ctx.strokeStyle = color;
  ctx.lineWidth = 2;
  ctx.beginPath();
  for (const shift of [-size, 0, size]) {
    ctx.moveTo(shift, size);
    ctx.lineTo(shift + size, 0);
  }
  ctx.stroke();
  return ctx.getImageData(0, 0, size, size);
}
