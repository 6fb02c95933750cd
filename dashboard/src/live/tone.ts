//! When the desk sounds: at once for a new critical that nobody has acknowledged, and every 30 s while one stands so. Pure.
import type { AlertView } from '../wire';
import { isUnacknowledged } from './queue';

export const AGAIN = 30_000;

export interface Heard { at: number | null; ids: ReadonlySet<string> }
export const NOTHING_HEARD: Heard = { at: null, ids: new Set() };

/** `quiet`: muted, or a replay. What stood while it was quiet sounds when it no longer is. */
export function nextTone(heard: Heard, alerts: Iterable<AlertView>, now: number, quiet: boolean): { sound: boolean; heard: Heard } {
  const standing = new Set<string>();
  for (const a of alerts) if (a.severity === 'critical' && isUnacknowledged(a) && a.condition !== 'resolved') standing.add(a.id);
  if (standing.size === 0) return { sound: false, heard: NOTHING_HEARD };
  if (quiet) return { sound: false, heard };
  const fresh = [...standing].some((id) => !heard.ids.has(id));
  const due = heard.at === null || now - heard.at >= AGAIN;
  return fresh || due ? { sound: true, heard: { at: now, ids: standing } } : { sound: false, heard };
}
