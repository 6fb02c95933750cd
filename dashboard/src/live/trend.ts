//! Points of a trend: the store's answer, continued by live rows, and split into what is drawn solid and dashed. Pure.
import type { FigureView, TrendPoint } from '../wire';

export const TREND_SPAN = 2 * 3_600_000;

/** A live row replaces the point of its window or is put in its place by time; what left the span goes. */
export function mergePoint(points: readonly TrendPoint[], figure: FigureView, field: string, from: number): TrendPoint[] {
  const point: TrendPoint = {
    start: figure.start,
    value: figure.state === 'withdrawn' ? null : figure.values[field] ?? null,
    state: figure.state,
    revision: figure.revision,
  };
  const kept = points.filter((p) => p.start !== point.start && p.start >= from);
  if (point.start < from) return kept;
  const at = kept.findLastIndex((p) => p.start < point.start) + 1;
  kept.splice(at, 0, point);
  return kept;
}

/** What could be known at a moment: the store's row of a window that ended later is of its future. */
export function endedBy(points: readonly TrendPoint[], every: number, moment: number): readonly TrendPoint[] {
  return points.filter((p) => p.start + every <= moment);
}

/** The store is not as far as the live rows begin: windows between the two are missing. */
export function missesBefore(stored: readonly TrendPoint[], live: readonly TrendPoint[], every: number): boolean {
  const first = live[0];
  if (!first || every <= 0) return false;
  const last = stored.filter((p) => p.start < first.start).at(-1);
  return last === undefined ? stored.length === 0 : first.start - last.start > every * 1.5;
}

export interface Series {
  /** Window ends, seconds: rules decide at ends, so lines and alert bands meet. */
  x: number[];
  solid: (number | null)[];
  /** Provisional points and the one before each. */
  dashed: (number | null)[];
  ringed: number[];
}

/** A missing window is a gap in both lines, never a straight line across it. */
export function toSeries(points: readonly TrendPoint[], every: number): Series {
  const out: Series = { x: [], solid: [], dashed: [], ringed: [] };
  let before: TrendPoint | null = null;
  for (const p of points) {
    if (before && every > 0 && p.start - before.start > every * 1.5) push(out, before.start + 2 * every, null, null);
    const value = p.state === 'withdrawn' ? null : p.value;
    if (p.state === 'provisional') {
      const last = out.x.length - 1;
      if (last >= 0 && out.dashed[last] === null) out.dashed[last] = out.solid[last] ?? null;
      push(out, p.start + every, null, value);
    } else {
      // A final point after a provisional one: the dashed line runs up to it.
      push(out, p.start + every, value, before?.state === 'provisional' ? value : null);
    }
    // Rows of an hour or more are revised by design (early rows); a ring there would say nothing.
    if (p.revision > 0 && value !== null && p.state !== 'provisional' && every < 3_600_000) out.ringed.push(out.x.length - 1);
    before = p;
  }
  return out;
}

function push(out: Series, ms: number, solid: number | null, dashed: number | null): void {
  out.x.push(ms / 1000);
  out.solid.push(solid);
  out.dashed.push(dashed);
}

export interface Extent { newest: TrendPoint | null; min: number; max: number }
export function extentOf(points: readonly TrendPoint[]): Extent {
  const known = points.filter((p) => p.value !== null);
  const values = known.map((p) => p.value ?? 0);
  return { newest: known.at(-1) ?? null, min: Math.min(...values), max: Math.max(...values) };
}
