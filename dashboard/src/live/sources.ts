//! Sources put together by area, worst first. Pure.
import type { SourceView } from '../wire';

/** A clock this far ahead, in ms, is wrong; behind, it may be the road that is slow. */
export const CLOCK_AHEAD = 5_000;

export interface AreaSources {
  /** `null`: outside every area. */
  code: string | null;
  name: string;
  /** Sources whose cadence is known, and those of them that are not silent. */
  expected: number;
  heard: number;
  /** Heard, but nobody registered them. */
  unregistered: number;
  late: number;
  conflict: number;
  rejected: number;
  emptied: number;
  lastHeard: number | null;
  /** The worst clock. */
  ahead: number | null;
  sources: SourceView[];
}

const most = (a: number | null, b: number | null): number | null => (a === null ? b : b === null ? a : Math.max(a, b));

/** What is wrong with a source, the worst first; 0: nothing. */
export function trouble(s: SourceView): number {
  const ahead = (s.clock_offset_ms ?? 0) > CLOCK_AHEAD;
  return (s.silent ? 8 : 0) + (ahead ? 4 : 0) + (s.rejected > 0 ? 2 : 0) + (s.conflict + s.late > 0 ? 1 : 0);
}

export function compareSources(a: SourceView, b: SourceView): number {
  return trouble(b) - trouble(a) || b.rejected - a.rejected || b.late - a.late || (a.id < b.id ? -1 : 1);
}

export function sourcesByArea(list: readonly SourceView[]): AreaSources[] {
  const areas = new Map<string, AreaSources>();
  for (const s of list) {
    const id = s.area?.code ?? '';
    let area = areas.get(id);
    if (!area) {
      area = { code: s.area?.code ?? null, name: s.area?.name ?? '', expected: 0, heard: 0, unregistered: 0, late: 0, conflict: 0, rejected: 0, emptied: 0, lastHeard: null, ahead: null, sources: [] };
      areas.set(id, area);
    }
    if (s.cadence_ms !== null) {
      area.expected += 1;
      if (!s.silent) area.heard += 1;
    }
    if (!s.registered) area.unregistered += 1;
    area.late += s.late;
    area.conflict += s.conflict;
    area.rejected += s.rejected;
    area.emptied += s.invalid_field;
    area.lastHeard = most(area.lastHeard, s.last_heard);
    area.ahead = most(area.ahead, s.clock_offset_ms);
    area.sources.push(s);
  }
  const badness = (a: AreaSources): number[] => [a.expected - a.heard, (a.ahead ?? 0) > CLOCK_AHEAD ? 1 : 0, a.rejected, a.conflict + a.late];
  const collator = new Intl.Collator('vi');
  const out = [...areas.values()];
  for (const area of out) area.sources.sort(compareSources);
  return out.sort((a, b) => {
    const [x, y] = [badness(a), badness(b)];
    for (let i = 0; i < x.length; i += 1) if (x[i] !== y[i]) return (y[i] ?? 0) - (x[i] ?? 0);
    // what lies in no area comes last among equals
    return Number(a.code === null) - Number(b.code === null) || collator.compare(a.name, b.name);
  });
}
