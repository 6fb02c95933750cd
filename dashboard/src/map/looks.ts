//! From alerts and figures to what the areas look like. Pure but for reading colours from the style sheet.
import type { AreaValue } from '../live/layer';
import { stepOf } from '../live/layer';
import type { AreaAlerts } from '../live/queue';
import type { Severity } from '../wire';
import type { AreaLook, Colors } from './province';

export function readColors(): Colors {
  const css = getComputedStyle(document.documentElement);
  const c = (name: string): string => css.getPropertyValue(name).trim();
  return {
    ground: c('--ground'), area: c('--area'), line: c('--line'), text: c('--text'), quiet: c('--quiet'),
    severity: { critical: c('--critical'), major: c('--major'), minor: c('--minor'), notice: c('--notice') },
  };
}

export function readSteps(): string[] {
  const css = getComputedStyle(document.documentElement);
  return [0, 1, 2, 3, 4].map((i) => css.getPropertyValue(`--step-${i}`).trim());
}

/** How much of its colour an area takes: blurred, only criticals stand out. */
const WEIGHT: Record<Severity, number> = { critical: 0.72, major: 0.34, minor: 0.2, notice: 0.12 };

export function mix(over: string, under: string, weight: number): string {
  const a = channels(over);
  const b = channels(under);
  return `rgb(${a.map((v, i) => Math.round(v * weight + (b[i] ?? 0) * (1 - weight))).join(',')})`;
}

function channels(hex: string): [number, number, number] {
  // The style sheet may come minified: "#fff".
  const full = hex.length === 4 ? [...hex.slice(1)].map((c) => c + c).join('') : hex.slice(1);
  const n = Number.parseInt(full, 16);
  return [(n >> 16) & 255, (n >> 8) & 255, n & 255];
}

export function alertLooks(areas: ReadonlyMap<string, AreaAlerts>, colors: Colors): Map<string, AreaLook> {
  const looks = new Map<string, AreaLook>();
  for (const [code, a] of areas) {
    const color = colors.severity[a.worst];
    const weight = WEIGHT[a.worst] * (a.unacknowledged > 0 ? 1 : 0.55);
    looks.set(code, { fill: mix(color, colors.area, weight), edge: mix(color, colors.area, Math.min(1, weight + 0.25)), hatched: a.noData });
  }
  return looks;
}

/** The choropleth takes the fill; alerts keep their edge. */
export function layerLooks(values: ReadonlyMap<string, AreaValue>, breaks: readonly number[], steps: readonly string[], areas: ReadonlyMap<string, AreaAlerts>, colors: Colors): Map<string, AreaLook> {
  const looks = new Map<string, AreaLook>();
  for (const [code, v] of values) looks.set(code, { fill: steps[stepOf(v.value, breaks)], hatched: v.freshness === 'stale' });
  for (const [code, a] of areas) looks.set(code, { ...looks.get(code), edge: colors.severity[a.worst] });
  return looks;
}
