//! Areas of either era, and the figures of one place put together. Pure.
import { freshness, type Freshness } from '../format';
import type { AreaCollection, AreaFeature, Ring } from '../api';
import type { AreaName, FieldView, FigureView, GroupView, MeasurementView } from '../wire';
import type { FiguresOf } from './board';
import { aggregatesOf, type Aggregate } from './layer';

/** "now": communes since 2025-07-01; "former": the districts before it, as groups of today's communes. */
export type Era = 'now' | 'former';

export interface Place { code: string; name: { vi: string; en: string }; members: ReadonlySet<string> }

const collator = new Intl.Collator('vi');

/** In the former era each commune stands under its district; one that had none stands for itself. */
export function placesOf(areas: readonly AreaName[], groups: readonly GroupView[], era: Era): Place[] {
  const single = (a: AreaName): Place => ({ code: a.code, name: { vi: a.name, en: a.name }, members: new Set([a.code]) });
  const byName = (a: Place, b: Place): number => collator.compare(a.name.vi, b.name.vi);
  if (era === 'now') return areas.map(single).sort(byName);
  const grouped = new Set(groups.flatMap((g) => g.members));
  const districts = groups.map((g) => ({ code: g.code, name: g.name, members: new Set(g.members) })).sort(byName);
  return [...districts, ...areas.filter((a) => !grouped.has(a.code)).map(single).sort(byName)];
}

/** The place that each area belongs to. */
export function placeByArea(places: readonly Place[]): ReadonlyMap<string, string> {
  return new Map(places.flatMap((place) => [...place.members].map((code) => [code, place.code] as const)));
}

const polygonsOf = (feature: AreaFeature): Ring[][] => (feature.geometry.type === 'Polygon' ? [feature.geometry.coordinates] : feature.geometry.coordinates);

/** The shapes of places: a district's is all of its communes'. */
export function shapesOf(areas: AreaCollection, places: readonly Place[]): AreaCollection {
  const at = placeByArea(places);
  const of = new Map<string, AreaFeature[]>();
  for (const feature of areas.features) {
    const code = at.get(feature.properties.code) ?? feature.properties.code;
    of.set(code, [...(of.get(code) ?? []), feature]);
  }
  const features = [...of].flatMap(([code, parts]): AreaFeature[] => {
    const [first] = parts;
    if (!first || (parts.length === 1 && first.properties.code === code)) return parts;
    const name = places.find((p) => p.code === code)?.name.vi ?? first.properties.name;
    return [{ type: 'Feature', properties: { ...first.properties, code, name }, geometry: { type: 'MultiPolygon', coordinates: parts.flatMap(polygonsOf) } }];
  });
  return { type: 'FeatureCollection', features };
}

/** Borders of shapes as lines; what two polygons of one shape share lies within it and is no border. */
export function bordersOf(shapes: AreaCollection): { type: 'FeatureCollection'; features: BorderFeature[] } {
  return { type: 'FeatureCollection', features: shapes.features.map((feature) => ({
    type: 'Feature', properties: { code: feature.properties.code }, geometry: { type: 'MultiLineString', coordinates: outerLines(polygonsOf(feature)) },
  })) };
}
export interface BorderFeature { type: 'Feature'; properties: { code: string }; geometry: { type: 'MultiLineString'; coordinates: [number, number][][] } }

function outerLines(polygons: readonly Ring[][]): [number, number][][] {
  const rings = polygons.flat();
  if (polygons.length === 1) return rings;
  const id = ([x, y]: [number, number]): string => `${x},${y}`;
  const edge = (a: [number, number], b: [number, number]): string => { const [p, q] = [id(a), id(b)]; return p < q ? `${p};${q}` : `${q};${p}`; };
  const times = new Map<string, number>();
  const each = (ring: Ring, take: (a: [number, number], b: [number, number]) => void): void => ring.forEach((b, i) => { const a = ring[i - 1]; if (a) take(a, b); });
  for (const ring of rings) each(ring, (a, b) => { times.set(edge(a, b), (times.get(edge(a, b)) ?? 0) + 1); });
  const lines: [number, number][][] = [];
  for (const ring of rings) {
    let line: [number, number][] = [];
    each(ring, (a, b) => {
      if (times.get(edge(a, b)) === 1) line = line.length === 0 ? [a, b] : [...line, b];
      else if (line.length > 0) { lines.push(line); line = []; }
    });
    if (line.length > 0) lines.push(line);
  }
  return lines;
}

/** What a code of a filter or a scope means: a group is its members, anything else itself. */
export function membersOf(codes: readonly string[], groups: readonly GroupView[]): ReadonlySet<string> {
  const out = new Set<string>();
  for (const code of codes) {
    out.add(code);
    for (const member of groups.find((g) => g.code === code)?.members ?? []) out.add(member);
  }
  return out;
}

export interface FigureLine {
  measurement: MeasurementView;
  field: FieldView;
  aggregate: Aggregate;
  value: number;
  /** Series behind the value. */
  keys: number;
  end: number;
  freshness: Freshness;
  heard: number | null;
  expected: number | null;
  approx: boolean;
  provisional: boolean;
}

const FIELDS = 2;

/** The figures of a place: of each measurement the first two fields that say something, stale series left out while fresher ones exist. */
export function figureLines(figures: ReadonlyMap<string, FiguresOf>, measurements: readonly MeasurementView[], members: ReadonlySet<string>, now: number): FigureLine[] {
  const lines: FigureLine[] = [];
  for (const measurement of measurements) {
    const own = [...(figures.get(measurement.measurement)?.values() ?? [])].filter((f) => f.area !== null && members.has(f.area.code) && f.state !== 'withdrawn');
    if (own.length === 0) continue;
    const fields = measurement.fields.filter((f) => f.field !== 'count' && own.some((row) => row.values[f.field] !== undefined));
    for (const field of fields.slice(0, FIELDS)) lines.push(lineOf(measurement, field, own, members.size > 1, now));
  }
  return lines;
}

function lineOf(measurement: MeasurementView, field: FieldView, own: readonly FigureView[], several: boolean, now: number): FigureLine {
  const having = own.filter((f) => f.values[field.field] !== undefined);
  const fresh = having.filter((f) => freshness(f.end, measurement.every_ms, now) !== 'stale');
  const used = fresh.length > 0 ? fresh : having;
  const values = used.map((f) => f.values[field.field] ?? 0);
  const sum = values.reduce((a, b) => a + b, 0);
  const aggregate = aggregatesOf(field, several)[0] ?? 'max';
  const end = Math.max(...used.map((f) => f.end));
  const counted = used.filter((f) => f.expected !== null);
  return {
    measurement, field, aggregate,
    value: aggregate === 'sum' ? sum : aggregate === 'max' ? Math.max(...values) : sum / values.length,
    keys: used.length, end,
    freshness: freshness(end, measurement.every_ms, now),
    heard: counted.length > 0 ? counted.reduce((n, f) => n + (f.heard ?? 0), 0) : null,
    expected: counted.length > 0 ? counted.reduce((n, f) => n + (f.expected ?? 0), 0) : null,
    approx: used.some((f) => f.approx === true),
    provisional: used.some((f) => f.state === 'provisional'),
  };
}
