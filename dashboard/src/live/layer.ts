//! One measurement field over the areas: values combined by area, and five steps for the choropleth. Pure.

import { freshness, type Freshness } from '../format';
import type { FieldView, FigureView, MeasurementView } from '../wire';
import type { FiguresOf } from './board';

export type Aggregate = 'mean' | 'sum' | 'max';
export const AGGREGATES: readonly Aggregate[] = ['mean', 'sum', 'max'];

export interface AreaValue { value: number; end: number; keys: number; freshness: Freshness }

/** Counts add up; whatever has a unit (km/h, %, m) is averaged. */
export function defaultAggregate(field: FieldView): Aggregate {
  return field.unit === '' ? 'sum' : 'mean';
}

/** How a field is put together, the usual first. Of several areas no mean: it would be one of means, each of another number of values. */
export function aggregatesOf(field: FieldView, several: boolean): readonly Aggregate[] {
  const usual = defaultAggregate(field);
  if (several) return usual === 'sum' ? ['sum', 'max'] : ['max'];
  return [usual, ...AGGREGATES.filter((a) => a !== usual)];
}

/** The values of an area's keys combined; the age is that of the newest, stale keys are left out while fresher ones exist. */
export function valuesByArea(figures: FiguresOf | undefined, measurement: MeasurementView, field: string, how: Aggregate, now: number, placeOf: ReadonlyMap<string, string> = new Map()): Map<string, AreaValue> {
  const groups = new Map<string, FigureView[]>();
  for (const figure of figures?.values() ?? []) {
    if (!figure.area || figure.state === 'withdrawn' || figure.values[field] === undefined) continue;
    const place = placeOf.get(figure.area.code) ?? figure.area.code;
    const group = groups.get(place);
    if (group) group.push(figure);
    else groups.set(place, [figure]);
  }
  const out = new Map<string, AreaValue>();
  for (const [area, group] of groups) {
    const fresh = group.filter((f) => freshness(f.end, measurement.every_ms, now) !== 'stale');
    const used = fresh.length > 0 ? fresh : group;
    const values = used.map((f) => f.values[field] ?? 0);
    const sum = values.reduce((a, b) => a + b, 0);
    const value = how === 'sum' ? sum : how === 'max' ? Math.max(...values) : sum / values.length;
    const end = Math.max(...used.map((f) => f.end));
    out.set(area, { value, end, keys: used.length, freshness: freshness(end, measurement.every_ms, now) });
  }
  return out;
}

export const STEPS = 5;

/** Four inner borders of five equal steps on round numbers, so that they stand still while values move a little. */
export function niceBreaks(values: readonly number[]): number[] {
  if (values.length === 0) return [];
  const low = Math.min(...values);
  const high = Math.max(...values);
  if (low === high) return [];
  const raw = (high - low) / STEPS;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 2.5, 5, 10].map((m) => m * power).find((s) => s >= raw) ?? 10 * power;
  const first = Math.floor(low / step) * step + step;
  return Array.from({ length: STEPS - 1 }, (_, i) => Number((first + i * step).toPrecision(12)));
}

/** 0..4. A value on a border belongs to the upper step. */
export function stepOf(value: number, breaks: readonly number[]): number {
  let step = 0;
  for (const border of breaks) if (value >= border) step += 1;
  return step;
}
