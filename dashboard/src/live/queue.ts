//! The order of the alert queue, its filters, its counts, and what may move while a hand is on it.
//! Pure. Order: unacknowledged, severity, newest (then id, so that it is total).

import type { AlertView, Severity } from '../wire';

export const SEVERITIES: readonly Severity[] = ['critical', 'major', 'minor', 'notice'];
const RANK: Record<Severity, number> = { critical: 0, major: 1, minor: 2, notice: 3 };
export const rankOf = (severity: Severity): number => RANK[severity];

/** Its condition stands now. */
export const isOpen = (a: AlertView): boolean => (a.condition === 'firing' || a.condition === 'no_data') && a.handling !== 'closed';

/** Came and went before anybody could look: only a critical one asks for a look afterwards. */
const isPast = (a: AlertView): boolean => a.retroactive && a.condition === 'resolved' && a.severity !== 'critical';

/** Somebody still has to look at it. */
export const isUnacknowledged = (a: AlertView): boolean => a.handling === 'new' && a.condition !== 'pending' && a.condition !== 'inactive' && !isPast(a);

/** Belongs in the queue: it stands, or it is over and nobody has seen it. */
export const isListed = (a: AlertView): boolean => isOpen(a) || isUnacknowledged(a);

export function compareAlerts(a: AlertView, b: AlertView): number {
  return Number(isUnacknowledged(b)) - Number(isUnacknowledged(a))
    || RANK[a.severity] - RANK[b.severity]
    || b.since - a.since
    || (a.id < b.id ? -1 : a.id > b.id ? 1 : 0);
}

export interface Filter {
  readonly sectors: readonly string[];
  readonly severities: readonly Severity[];
  /** Codes of areas and groups. */
  readonly areas: readonly string[];
  /** Only what is the reader's own to do. */
  readonly mine: boolean;
}
export const NO_FILTER: Filter = { sectors: [], severities: [], areas: [], mine: false };

export const isFiltering = (f: Filter): boolean => f.sectors.length > 0 || f.severities.length > 0 || f.areas.length > 0 || f.mine;

/** Whose it is: to whom it was given, else who acknowledged it. */
export const ownerOf = (a: AlertView): string | null => a.assigned?.to ?? a.acknowledged?.by ?? null;

/** What a filter's words mean for this reader: the areas that its codes stand for, and the reader's name. */
export interface Reader { readonly name: string; readonly members: ReadonlySet<string> }

export function passes(f: Filter, a: AlertView, reader: Reader): boolean {
  return (f.sectors.length === 0 || f.sectors.includes(a.sector))
    && (f.severities.length === 0 || f.severities.includes(a.severity))
    && (f.areas.length === 0 || (a.area !== null && reader.members.has(a.area.code)))
    && (!f.mine || (reader.name !== '' && ownerOf(a) === reader.name));
}

export function orderQueue(alerts: Iterable<AlertView>, filter: Filter, reader: Reader): AlertView[] {
  const listed: AlertView[] = [];
  for (const alert of alerts) if (isListed(alert) && passes(filter, alert, reader)) listed.push(alert);
  return listed.sort(compareAlerts);
}

/** Unacknowledged criticals that the filter hides: they are never silent. */
export function hiddenCriticals(alerts: Iterable<AlertView>, filter: Filter, reader: Reader): number {
  let count = 0;
  for (const a of alerts) if (a.severity === 'critical' && isUnacknowledged(a) && !passes(filter, a, reader)) count += 1;
  return count;
}

/** Open alerts of each sector in the scope, whatever the filter. */
export function countBySector(alerts: Iterable<AlertView>): Map<string, number> {
  const counts = new Map<string, number>();
  for (const a of alerts) if (isOpen(a)) counts.set(a.sector, (counts.get(a.sector) ?? 0) + 1);
  return counts;
}

export interface SeverityCount { open: number; unacknowledged: number }
/** Counts are always those of the scope, whatever the filter. */
export function countBySeverity(alerts: Iterable<AlertView>): Record<Severity, SeverityCount> {
  const counts: Record<Severity, SeverityCount> = {
    critical: { open: 0, unacknowledged: 0 }, major: { open: 0, unacknowledged: 0 }, minor: { open: 0, unacknowledged: 0 }, notice: { open: 0, unacknowledged: 0 },
  };
  for (const a of alerts) {
    if (isOpen(a)) counts[a.severity].open += 1;
    if (isUnacknowledged(a)) counts[a.severity].unacknowledged += 1;
  }
  return counts;
}

export interface Held { order: readonly string[]; fresh: readonly string[] }
/**
 * What the list shows. While a hand is on it (`held`), rows keep their places: rows that left stay, new ones wait in `fresh`.
 * `known` says whether an alert still exists at all; a forgotten one cannot stay.
 */
export function holdOrder(shown: readonly string[], wanted: readonly string[], held: boolean, known: (id: string) => boolean): Held {
  if (!held || shown.length === 0) return { order: wanted, fresh: [] };
  const order = shown.filter(known);
  const there = new Set(order);
  return { order, fresh: wanted.filter((id) => !there.has(id)) };
}

/**
 * Where j (+1) and k (−1) go. After an acknowledgement the row moves down the list while the hand stays: `resume` is the row
 * that came after it then, and the next j goes there.
 */
export function nextSelection(order: readonly string[], selected: string | null, step: 1 | -1, resume: string | null): string | null {
  if (order.length === 0) return null;
  const after = resume === null ? -1 : order.indexOf(resume);
  if (after >= 0) return order[step === 1 ? after : Math.max(0, after - 1)] ?? null;
  const at = selected === null ? -1 : order.indexOf(selected);
  if (at < 0) return order[0] ?? null;
  return order[Math.min(order.length - 1, Math.max(0, at + step))] ?? null;
}

export interface AreaAlerts { worst: Severity; open: number; unacknowledged: number; noData: boolean }
/** Worst open alert of each area, or of the place that an area belongs to, for the map. */
export function alertsByArea(alerts: Iterable<AlertView>, placeOf: ReadonlyMap<string, string> = new Map()): Map<string, AreaAlerts> {
  const areas = new Map<string, AreaAlerts>();
  for (const a of alerts) {
    if (!a.area || !isOpen(a)) continue;
    const place = placeOf.get(a.area.code) ?? a.area.code;
    const known = areas.get(place);
    if (!known) {
      areas.set(place, { worst: a.severity, open: 1, unacknowledged: isUnacknowledged(a) ? 1 : 0, noData: a.condition === 'no_data' });
      continue;
    }
    known.open += 1;
    if (isUnacknowledged(a)) known.unacknowledged += 1;
    if (RANK[a.severity] < RANK[known.worst]) {
      known.worst = a.severity;
      known.noData = a.condition === 'no_data';
    } else if (a.severity === known.worst) known.noData &&= a.condition === 'no_data';
  }
  return areas;
}
