//! What people do to alerts, as values: what another one changed meanwhile, and which rows are marked. Pure.
import type { AlertView, Verdict } from '../wire';
import { ownerOf } from './queue';

export const VERDICTS: readonly Verdict[] = ['true', 'false', 'duplicate', 'test'];
/** One request takes so many alerts. */
export const MOST_AT_ONCE = 200;

export type Change =
  | { what: 'condition' | 'handling'; from: string; to: string }
  | { what: 'owner'; from: string | null; to: string | null }
  | { what: 'verdict'; from: Verdict | null; to: Verdict | null }
  | { what: 'steps' | 'notes'; from: number; to: number };

/** What became of an alert between what somebody saw and what it is. */
export function changesBetween(seen: AlertView, now: AlertView): Change[] {
  const changes: Change[] = [];
  if (seen.condition !== now.condition) changes.push({ what: 'condition', from: seen.condition, to: now.condition });
  if (seen.handling !== now.handling) changes.push({ what: 'handling', from: seen.handling, to: now.handling });
  if (ownerOf(seen) !== ownerOf(now)) changes.push({ what: 'owner', from: ownerOf(seen), to: ownerOf(now) });
  const [before, after] = [seen.closed?.verdict ?? null, now.closed?.verdict ?? null];
  if (before !== after) changes.push({ what: 'verdict', from: before, to: after });
  if (seen.steps.length !== now.steps.length) changes.push({ what: 'steps', from: seen.steps.length, to: now.steps.length });
  if (seen.notes !== now.notes) changes.push({ what: 'notes', from: seen.notes, to: now.notes });
  return changes;
}

/** Everybody whose name stands on an alert, the most frequent first: to whom one may be given. */
export function peopleOf(alerts: Iterable<AlertView>, me: string): string[] {
  const counts = new Map<string, number>();
  if (me !== '') counts.set(me, Infinity);
  for (const a of alerts) {
    for (const name of [a.assigned?.to, a.assigned?.by, a.acknowledged?.by, a.closed?.by]) if (name) counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  return [...counts].sort(([a, n], [b, m]) => m - n || (a < b ? -1 : 1)).map(([name]) => name);
}

/** Marks `id`, and with `from` everything of the list between the two. */
export function markTo(order: readonly string[], marked: ReadonlySet<string>, id: string, from: string | null): Set<string> {
  const out = new Set(marked);
  const [a, b] = [from === null ? -1 : order.indexOf(from), order.indexOf(id)];
  if (a < 0 || b < 0) return out.add(id);
  for (const each of order.slice(Math.min(a, b), Math.max(a, b) + 1)) out.add(each);
  return out;
}

export const toggled = (marked: ReadonlySet<string>, id: string): Set<string> => {
  const out = new Set(marked);
  if (!out.delete(id)) out.add(id);
  return out;
};
