//! What the wall shows now: the whole picture while anything is critical, else one thing after another. Pure.
import type { FieldView, MeasurementView } from '../wire';
import type { AreaAlerts } from './queue';
import { rankOf } from './queue';

export const STEP = 20_000;
const MOST_AREAS = 3;

export type WallStep =
  | { kind: 'whole' }
  | { kind: 'layer'; measurement: string; field: string }
  | { kind: 'area'; code: string };

/** The round: the whole, each measurement that has figures of areas, the areas that are worst off. */
export function roundOf(measurements: readonly MeasurementView[], hasFigures: (measurement: string) => boolean, areas: ReadonlyMap<string, AreaAlerts>): WallStep[] {
  const round: WallStep[] = [{ kind: 'whole' }];
  for (const m of measurements) {
    const field = tellingField(m);
    if (field && m.tags.includes('area') && hasFigures(m.measurement)) round.push({ kind: 'layer', measurement: m.measurement, field: field.field });
  }
  const worst = [...areas].sort(([a, x], [b, y]) => rankOf(x.worst) - rankOf(y.worst) || y.unacknowledged - x.unacknowledged || y.open - x.open || (a < b ? -1 : 1));
  for (const [code] of worst.slice(0, MOST_AREAS)) round.push({ kind: 'area', code });
  return round;
}

/** By the clock of the data, so that two walls show the same. */
export function stepAt(round: readonly WallStep[], now: number, critical: boolean): WallStep {
  if (critical || round.length === 0) return { kind: 'whole' };
  return round[Math.floor(now / STEP) % round.length] ?? { kind: 'whole' };
}

/** The field that says most of a measurement: the first with a unit, else the first that is no plain number of events. */
export function tellingField(m: MeasurementView): FieldView | null {
  return m.fields.find((f) => f.unit !== '') ?? m.fields.find((f) => f.field !== 'count') ?? null;
}
