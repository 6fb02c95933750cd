//! Which figure a selection stands for, with its limits, unit and alert bands. Reads the store, draws nothing.
import { fieldName, measurementName } from '../i18n/names';
import { keyOf } from '../live/board';
import { extentOf, toSeries, TREND_SPAN } from '../live/trend';
import { formatValue } from '../format';
import { alerts, areaNames, board, catalog, lang, measurements, now, ruleOf, t } from '../store';
import type { Band, PlotData } from '../ui/plot';
import type { FigureChoice } from '../route';
import type { AlertView, Limit } from '../wire';
import type { TrendState } from './useTrend';

export function unitOf(measurement: string, field: string): string {
  return measurements.value.get(measurement)?.fields.find((f) => f.field === field)?.unit ?? '';
}

/** The field that the rule limits, else the first that has a value, else the first there is. */
export function figureOfAlert(a: AlertView): FigureChoice | null {
  const measurement = a.evidence.measurement;
  if (measurement === '') return null;
  const field = ruleOf(a)?.limits.find((l) => !l.until)?.field
    ?? Object.keys(a.evidence.values).find((f) => f !== 'count')
    ?? measurements.value.get(measurement)?.fields[0]?.field;
  if (!field) return null;
  const key: Record<string, string> = {};
  for (const [tag, value] of Object.entries(a.key)) if (value !== undefined) key[tag] = value;
  return { measurement, field, key };
}

/** Limits of one rule on a field, or of all rules on it. */
export function limitsFor(measurement: string, field: string, only: AlertView | null): Limit[] {
  const rules = only ? [ruleOf(only)] : catalog.value?.rules.filter((r) => r.measurement === measurement) ?? [];
  const seen = new Set<string>();
  const out: Limit[] = [];
  for (const rule of rules) {
    for (const limit of rule?.limits ?? []) {
      const id = `${limit.op}${limit.value}${limit.until}`;
      if (limit.field !== field || seen.has(id)) continue;
      seen.add(id);
      out.push(limit);
    }
  }
  return out;
}

export function bandsFor(choice: FigureChoice): Band[] {
  const key = keyOf(choice.key);
  const out: Band[] = [];
  for (const a of alerts.value.values()) {
    if (a.condition === 'pending' || a.evidence.measurement !== choice.measurement || keyOf(a.key) !== key) continue;
    out.push({ from: a.since, to: a.resolved ?? now.value, severity: a.severity });
  }
  return out;
}

export function plotDataOf(choice: FigureChoice, trend: TrendState, only: AlertView | null, span = TREND_SPAN, shift = 0): PlotData {
  // The right edge moves in steps of 10 s: a chart that is drawn anew each second says nothing more.
  const to = Math.ceil((now.value || board.value.tick.time) / 10_000) * 10_000 - shift;
  return {
    series: toSeries(trend.points, trend.every),
    limits: limitsFor(choice.measurement, choice.field, only),
    bands: bandsFor(choice),
    from: to - span,
    to,
    unit: unitOf(choice.measurement, choice.field),
  };
}

export function trendWords(choice: FigureChoice, trend: TrendState): string {
  const { newest, min, max } = extentOf(trend.points);
  const unit = unitOf(choice.measurement, choice.field);
  if (!newest) return trend.phase === 'loading' ? t('trend.loading') : t('trend.empty');
  return t('trend.summary', {
    field: `${measurementName(choice.measurement, lang.value)}, ${fieldName(choice.field, lang.value)}`,
    value: formatValue(newest.value, unit, lang.value), min: formatValue(min, unit, lang.value), max: formatValue(max, unit, lang.value),
  });
}

/** What the registry calls a value of a tag, else the value. */
function wordOf(tag: string, value: string): string {
  return catalog.value?.names[tag]?.[value]?.[lang.value] ?? (tag === 'unit' ? areaNames.value.get(value) : undefined) ?? value;
}

/** "L018", "Đông Gia Nghĩa": the parts of a key that are not its area. */
export function keyWords(key: { [tag in string]?: string }): string {
  return Object.entries(key).filter(([tag]) => tag !== 'area').map(([tag, value]) => wordOf(tag, value ?? '')).join(' · ');
}
